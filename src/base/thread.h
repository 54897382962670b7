/* SPDX-License-Identifier: MIT
 *
 * thread.h - threads that hear no signals.
 *
 * Signals are for the control thread alone. One that another thread hears may find
 * their handlers gone while roost ends, and would make of that end a death by signal.
 */
#ifndef ROOST_BASE_THREAD_H
#define ROOST_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* As pthread_create(3) with default attributes; the thread has all signals blocked from
 * its first moment. 0, or the error. Any thread. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

/* Waits for the thread's end, so many seconds at most. False: it hangs and is left
 * behind, detached. Any thread, once. */
bool thread_join(pthread_t thread, unsigned seconds);

#endif
