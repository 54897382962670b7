/* SPDX-License-Identifier: MIT
 *
 * exchange.h - one HTTP request and its response.
 *
 * Request and response run independently, each in its own state; the exchange ends
 * when the response is out. Nothing is copied on the way but heads; a body is passed
 * on as it comes, and whoever does not take it makes the other side wait.
 *
 *   request:  WAITING --> CONNECTING --> BODY --> SENT
 *   response: HEAD --> BODY --> DONE      or HEAD --(101)--> a session
 *
 * Owner: the door. Thread: its worker's.
 */
#ifndef ROOST_HTTP_EXCHANGE_H
#define ROOST_HTTP_EXCHANGE_H

#include "base/reasons.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct door;
struct exchange;
struct front;
struct head;

/* NULL: no memory. */
struct exchange *exchange_new(struct door *d);

/* Routes, chooses, connects. May end the exchange with an answer of our own. */
void exchange_start(struct exchange *x, const struct head *head);

/* Takes what it can of the request's body; 0: nothing is wanted now (still connecting,
 * the backend does not take more, or the body is complete). May end the exchange. */
size_t exchange_take_body(struct exchange *x, const char *p, size_t n);

/* Is there more of the body to come? */
bool exchange_wants_body(const struct exchange *x);

/* Would it take some of the body now, if there were enough of it? */
bool exchange_takes_body(const struct exchange *x);

/* Sends the head if it still waits for a first piece of body to go along. */
void exchange_flush(struct exchange *x);

/* The client has ended its side of the connection. False: that ends the exchange. True:
 * its request is complete and is served all the same (upstream's half_close). */
bool exchange_client_ended(struct exchange *x);

/* The client has taken everything that was queued. */
void exchange_client_drained(struct exchange *x);

/* For door_close: drops it without a word to the client. */
void exchange_abort(struct exchange *x, enum reason why);

/* For the front's timer: gives places that have become free to those who wait. */
void exchange_serve_waiting(struct front *f);

/* The client's seat that exchange `number` of this front waits for is its own now; or
 * its seat goes to a newer session. An exchange that is gone is passed over. */
void exchange_seated(struct front *f, uint64_t number);
void exchange_unseat(struct front *f, uint64_t number);

/* Frees what the front keeps for reuse. */
void exchange_free_spare(struct front *f);

#endif
