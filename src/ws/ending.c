/* SPDX-License-Identifier: MIT
 *
 * ending.c - what is told of a session that is over: counters, a log line, a record in
 * the access log.
 *
 * Thread: the session's worker; the numbers of a backend are shared.
 */
#include "ws/session_private.h"

#include "base/causes.h"
#include "http/access_log.h"
#include "upstream/backend.h"
#include "ws/close_table.h"
#include "ws/describe.h"
#include "ws/registry.h"

static const char *const side_names[] = {"roost", "client", "backend", "roost"};

/* What a side saw in the end. */
static unsigned
seen_code(const struct half *h)
{
	return h->told_code ? h->told_code : CLOSE_ABNORMAL;
}

static void
count_end(const struct session *s, enum cause cause)
{
	struct counters *counters = &s->registry->loop->counters;
	struct backend *b = s->home;

	count_add(counters, COUNT_SESSIONS_ENDED, 1);
	count_add(counters, COUNT_END_CLEAN + cause, 1);
	time_note(&s->counts->lives, long_times,
	    (clock_now_ms() - s->opened_ms) * 1000);
	atomic_fetch_add_explicit(&b->ends[cause], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&b->client_codes[code_slot(seen_code(&s->client))], 1,
	    memory_order_relaxed);
	atomic_fetch_add_explicit(&b->backend_codes[code_slot(seen_code(&s->backend))],
	    1, memory_order_relaxed);
}

static void
write_side(struct strbuf *out, const char *name, const struct side_view *side)
{
	strbuf_printf(out,
	    ", %s said %u saw %u, %u of %u pings answered, rtt %u us mean %u us", name,
	    side->close_said, side->close_seen, side->pongs, side->pings, side->rtt_us,
	    side->rtt_mean_us);
}

static void
log_end(const struct session *s, enum reason why, enum cause cause)
{
	char text[512];
	struct strbuf rest = strbuf_over(text, sizeof text);
	uint64_t ms = clock_now_ms() - s->opened_ms;
	struct session_view v;

	session_describe(s, &v);
	write_side(&rest, "client", &v.client_side);
	write_side(&rest, "backend", &v.backend_side);
	if (v.tried)
		strbuf_printf(&rest,
		    ", reconnects %u tried %u done %u failed, available %u.%02u %%",
		    v.tried, v.succeeded, v.failed, v.availability / 100,
		    v.availability % 100);
	if (v.lost || v.again)
		strbuf_printf(&rest, ", %u messages may be lost, %u sent again", v.lost,
		    v.again);
	session_log(LEVEL_INFO, TOPIC_SESSION, s,
	    "session ended by %s (%s): code %u, %llu.%03llu s, "
	    "in %llu messages %llu bytes, out %llu messages %llu bytes, re-homed %u "
	    "times, cause %s%s",
	    side_names[s->ended_by], reason_text(why), s->end_code,
	    (unsigned long long)ms / 1000, (unsigned long long)ms % 1000,
	    (unsigned long long)s->client.messages, (unsigned long long)s->client.bytes,
	    (unsigned long long)s->backend.messages,
	    (unsigned long long)s->backend.bytes, s->moves, cause_label(cause),
	    strbuf_cstr(&rest));
}

/* The phases before the 101 are not known any more. */
static void
record_end(const struct session *s, enum reason why)
{
	struct access_record r = access_record_empty();

	r.session = true;
	r.status = 101;
	r.upstream = str_of(s->home->upstream);
	r.backend = str_of(s->home->name);
	r.chosen_by = str_of(choose_by_name((enum choose_by)s->chosen_by));
	r.reason = str_of(reason_label(why == REASON_CLOSED ? REASON_NONE : why));
	r.bytes_in = s->client.bytes;
	r.bytes_out = s->backend.bytes;
	r.messages_in = s->client.messages;
	r.messages_out = s->backend.messages;
	r.close_code = seen_code(&s->client);
	r.ended_by = str_of(side_names[s->ended_by]);
	access_note_fill(s->note, &r);
	r.id = (struct str){s->id, SESSION_ID}; /* not the request's */
	r.total_us = clock_now_us() - s->note->start_us;
	access_put(s->registry->access, &r);
}

void
ending_tell(const struct session *s, enum reason why)
{
	const struct access *access = s->registry->access;
	enum cause cause = close_cause(why, s->end_code);

	count_end(s, cause);
	if (log_kind_enabled(KIND_ENDED))
		log_end(s, why, cause);
	if (s->note && access && access_is_on(access))
		record_end(s, why);
}
