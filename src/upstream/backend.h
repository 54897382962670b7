/* SPDX-License-Identifier: MIT
 *
 * backend.h - one app server, shared by all workers.
 *
 * A record lives as long as somebody holds it: snapshots, pins, sessions and conns do.
 * A reload keeps the record of a backend with the same upstream, name and address,
 * so its counts and failures go on. Numbers are atomics; nobody takes a lock to look.
 */
#ifndef ROOST_UPSTREAM_BACKEND_H
#define ROOST_UPSTREAM_BACKEND_H

#include "base/addr.h"
#include "base/causes.h"
#include "base/log.h"
#include "config/config.h"
#include "upstream/books.h"
#include "upstream/outlier.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* What a new session or exchange may expect of it. */
enum backend_use {
	BACKEND_USABLE,
	BACKEND_FULL,       /* max_sessions reached: exchanges only */
	BACKEND_BUSY,       /* max_connections reached */
	BACKEND_EJECTED,    /* answered badly lately: keeps what it has for a while */
	BACKEND_FAILING,    /* refused connections lately, left alone for a while */
	BACKEND_UNHEALTHY,  /* so its health checks say */
	BACKEND_UNRESOLVED, /* its name has no address yet */
	BACKEND_DRAINING,   /* keeps what it has, takes nothing new */
	BACKEND_OUT,        /* set down by the administrator */
	BACKEND_REMOVED     /* no longer in the configuration */
};

/* What it failed at lately. */
enum trouble { TROUBLE_CONNECT, TROUBLE_CHECK, TROUBLE_COUNT };
enum { TROUBLE_TEXT = 96 };

/* Owner: reference counted. Thread: any. */
struct backend {
	atomic_uint refs;
	uint64_t id;    /* never used twice in a process */
	unsigned slot;  /* small index for per-worker arrays; used again later */
	char *upstream; /* name */
	char *name;
	char *address;             /* as configured */
	_Atomic uint64_t identity; /* the same on every node; see backend_identity */
	_Atomic uint32_t weight;
	_Atomic int admin_state; /* enum backend_admin_state */
	atomic_bool removed;
	_Atomic uint32_t max_sessions;                /* 0: none */
	_Atomic uint32_t max_connections;             /* 0: none */
	_Atomic uint32_t session_cost, exchange_cost; /* what counts in its load */
	atomic_bool backup; /* asked only where no other will do */

	_Atomic uint64_t slow_start_ms; /* 0: its weight counts at once */
	_Atomic uint64_t up_since_ms;   /* came into service, with a cold start */
	_Atomic uint64_t latency;       /* see balance/latency.h; policy p2c only */

	_Atomic uint32_t sessions; /* sessions whose pin points here (pins.c counts) */
	_Atomic uint32_t sockets; /* sessions that talk to it, or are being moved to it:
				     other than `sessions` while pins are ahead */
	_Atomic uint32_t exchanges; /* exchanges it works on */
	_Atomic uint32_t opening;   /* of these, handshakes that hold a place */
	_Atomic uint32_t awaited;   /* sessions that were sent here (re-homing by
				       reconnect) and have not come yet (pins.c counts) */
	uint64_t next_move_us; /* the pace's: when the next client may be moved here */

	struct books *books;                  /* owned */
	struct outlier outlier;               /* passive health, see outlier.h */
	_Atomic uint64_t unhealthy_since_ms;  /* active health, see probe.h; 0: well */
	_Atomic uint64_t sickened, recovered; /* so often, by its health checks */

	_Atomic uint32_t refused;          /* connections in a row */
	_Atomic uint32_t failures;         /* times in a row that it was left alone */
	_Atomic uint64_t failing_until_ms; /* 0: not failing */

	/* its sessions that ended: by cause, by what each side saw (code_slot) */
	_Atomic uint64_t ends[CAUSE_COUNT];
	_Atomic uint64_t client_codes[CODE_SLOTS];
	_Atomic uint64_t backend_codes[CODE_SLOTS];

	pthread_mutex_t addr_lock; /* leaf; guards addr and troubles */
	struct addr addr;          /* family 0: not resolved yet; AF_UNIX: `address`
				      has the path */

	char troubles[TROUBLE_COUNT][TROUBLE_TEXT]; /* "": none so far */

	atomic_bool resolved;      /* addr has a family */
	uint32_t announced_weight; /* upstream.c only: by a SRV record; 0: none */
};

/* A new record with one reference, or NULL (no memory). A numeric address or a
 * unix socket is resolved at once. */
struct backend *backend_new(const char *upstream, const struct config_backend *conf);

/* Is this the record of that row of a configuration? Of a name with several addresses
 * there is one for each: b, b#2, b#3 ... */
bool backend_is_of(const struct backend *b, const struct config_backend *conf);

/* What several nodes agree on without asking each other: a hash of the name, or, where
 * its address was looked up, of that: which one is called b and which b#2 is chance. */
static inline uint64_t
backend_identity(const struct backend *b)
{
	return atomic_load_explicit(&b->identity, memory_order_relaxed);
}

/* Does the address have to be looked up? */
bool backend_address_is_name(const char *address);

struct backend *backend_get(struct backend *b); /* returns b */
void backend_put(struct backend *b);            /* NULL is fine */

/* Takes over weight, state and limits from a (new) configuration; up NULL: what a
 * backend has without one. */
void backend_configure(struct backend *b, const struct config_backend *conf,
    const struct config_upstream *up);

/* It has come into service (again) and is to be treated gently: slow start begins,
 * and what was known of its latency is forgotten. Whoever ends an outage calls this. */
void backend_warm_up(struct backend *b, uint64_t now_ms);

/* Its weight as it counts at this moment, in hundredths: 100 times the configured one,
 * and from a tenth of that up to all of it during slow start. */
uint32_t backend_weight_now(const struct backend *b, uint64_t now_ms);

/* It took so long to begin its answer. */
void backend_add_latency(struct backend *b, uint64_t sample_us, uint64_t now_ms);

enum backend_use backend_use(const struct backend *b, uint64_t now_ms);

static inline bool
backend_is_usable(const struct backend *b, uint64_t now_ms)
{
	return backend_use(b, now_ms) == BACKEND_USABLE;
}

/* Is it in service, though perhaps with no place for more? */
static inline bool
backend_use_is_serving(enum backend_use use)
{
	return use == BACKEND_USABLE || use == BACKEND_FULL || use == BACKEND_BUSY;
}

/* Is it in service, but believed to be ill? Where all are, they are tried. */
static inline bool
backend_use_is_ailing(enum backend_use use)
{
	return use == BACKEND_EJECTED || use == BACKEND_FAILING ||
	       use == BACKEND_UNHEALTHY;
}

/* Should sessions leave one that is in this state? */
static inline bool
backend_use_is_leaving(enum backend_use use)
{
	return use == BACKEND_DRAINING || use == BACKEND_OUT ||
	       use == BACKEND_REMOVED || use == BACKEND_FAILING ||
	       use == BACKEND_UNHEALTHY;
}

/* What a line about it says beside the message. Borrows from b. */
static inline struct log_about
backend_about(const struct backend *b)
{
	return (struct log_about){.upstream = b->upstream, .backend = b->name};
}

#define backend_log(level, b, ...)                                               \
	do {                                                                     \
		if (log_enabled(TOPIC_BACKEND, level)) {                         \
			const struct log_about about_ = backend_about(b);        \
			log_write((level), TOPIC_BACKEND, &about_, __VA_ARGS__); \
		}                                                                \
	} while (0)

/* Counts an exchange; false: max_connections is reached, nothing was counted. */
bool backend_exchange_begin(struct backend *b);
void backend_exchange_end(struct backend *b);

/* Takes the place of one session to come; false: max_sessions is reached. Each place
 * taken is given back by backend_place_end, after the session was counted. `awaited`:
 * it is one for whom a place is kept. */
bool backend_place_take(struct backend *b, bool awaited);
void backend_place_end(struct backend *b);

/* Has it places for so many sessions more? */
bool backend_has_places(const struct backend *b, unsigned n);

static inline bool
backend_is_leaving(const struct backend *b, uint64_t now_ms)
{
	return backend_use_is_leaving(backend_use(b, now_ms));
}

/* What was met when it failed at that, for people ("Connection refused"), and what was
 * last told so. */
void backend_note_trouble(struct backend *b, enum trouble at, const char *why);
void backend_trouble(const struct backend *b, enum trouble at, char text[TROUBLE_TEXT]);

/* A connection to it failed: after as many in a row as its upstream's outliers say
 * (one) it is left alone for 1 s, doubling to 30 s with each failure in a row, +-30 %.
 * Logs when that begins. Failures while it is left alone anyway belong to the same
 * outage and count once. jitter: any random number. */
void backend_mark_failed(struct backend *b, uint64_t now_ms, uint64_t jitter);

/* A connection was accepted: forgets the failures, logs when it had been failing. */
void backend_mark_ok(struct backend *b);

bool backend_addr(struct backend *b, struct addr *addr_r); /* false: unresolved */
void backend_set_addr(struct backend *b, const struct addr *addr);

uint32_t backend_held(const struct backend *b); /* sessions + exchanges */

/* The same, each by its cost. Sessions about to be opened, and those that are awaited,
 * count as sessions. */
uint64_t backend_load(const struct backend *b);

#endif
