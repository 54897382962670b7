/* SPDX-License-Identifier: MIT
 *
 * probe.c - active health checks; see probe.h.
 *
 * A probe is one backend that is checked:
 *
 *   IDLE --timer--> CONNECTING --> ASKING --> verdict, IDLE
 *                       \------------\------> timeout or error: bad, IDLE
 *
 * A running check keeps the snapshot it began under, so that a reload in the middle of
 * it neither loses it (someone may reload every second) nor leaves it without its
 * settings. Checks say nothing to passive health: a backend that accepts a check may
 * still fail its clients, and the other way round.
 */
#include "upstream/probe.h"

#include "base/log.h"
#include "loop/loop.h"
#include "net/dial.h"
#include "net/proxy_protocol.h"
#include "net/stream.h"
#include "upstream/backend.h"
#include "upstream/check.h"
#include "upstream/upstream.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { JITTER = 10 };

enum probe_state { PROBE_IDLE, PROBE_CONNECTING, PROBE_ASKING };

/* Owner: the prober. */
struct probe {
	struct stream stream; /* while a check runs */
	struct prober *prober;
	struct probe *next;
	struct backend *backend;            /* a reference */
	const struct config_upstream *conf; /* of the prober's snapshot */
	struct snapshot *held;              /* while a check runs: a reference */
	const struct config_upstream *asks; /* of that one */
	struct timer timer; /* idle: the next check; else: the end of this one */
	struct check check;
	struct health health;
	uint64_t begun_ms;
	enum probe_state state;
	bool seen; /* in the newest snapshot */
};

struct prober {
	struct loop *loop;
	struct snapshot *snapshot; /* a reference, or NULL */
	struct probe *probes;
};

/* ---- time ---- */

/* +-10 % of the interval, and not in step with the others. */
static uint64_t
jittered(struct prober *p, uint64_t ms)
{
	uint64_t spread = ms * JITTER / 100;

	return ms - spread + random_u64(&p->loop->random) % (2 * spread + 1);
}

static void
plan_next(struct probe *probe)
{
	uint64_t after = jittered(probe->prober, probe->conf->health.interval_ms);
	uint64_t taken = clock_now_ms() - probe->begun_ms;

	loop_timer(probe->prober->loop, &probe->timer,
	    after > taken ? after - taken : 1);
}

/* ---- verdict ---- */

/* A bad one's reason is in check.why. */
static void
note(struct probe *probe, bool good)
{
	const struct config_health *conf = &probe->conf->health;
	struct backend *b = probe->backend;

	if (!good) {
		backend_note_trouble(b, TROUBLE_CHECK, probe->check.why);
		backend_log(LEVEL_DEBUG, b, "backend %s/%s: bad check (%s)",
		    b->upstream, b->name, probe->check.why);
	}
	if (!health_note(&probe->health, good, conf->rise, conf->fall))
		return;
	if (good)
		backend_warm_up(b, clock_now_ms());
	atomic_store(&b->unhealthy_since_ms, good ? 0 : clock_now_ms());
	atomic_fetch_add(good ? &b->recovered : &b->sickened, 1);
	if (good)
		backend_log(LEVEL_NOTICE, b, "backend %s/%s is healthy again",
		    b->upstream, b->name);
	else
		backend_log(LEVEL_WARN, b, "backend %s/%s is unhealthy (%s)",
		    b->upstream, b->name, probe->check.why);
}

/* Back to idle, whatever was going on. */
static void
end_check(struct probe *probe)
{
	if (probe->state == PROBE_IDLE)
		return;
	if (probe->state == PROBE_ASKING)
		stream_close(&probe->stream);
	else
		io_close(&probe->stream.io);
	probe->state = PROBE_IDLE;
	check_fini(&probe->check);
	snapshot_put(probe->held);
	probe->held = NULL;
}

static void
conclude(struct probe *probe, bool good)
{
	note(probe, good);
	end_check(probe);
	plan_next(probe);
}

static void
conclude_bad(struct probe *probe, const char *why)
{
	snprintf(probe->check.why, sizeof probe->check.why, "%s", why);
	conclude(probe, false);
}

static void
conclude_errno(struct probe *probe, int error)
{
	char text[CHECK_WHY];

	conclude_bad(probe, strerror_r(error, text, sizeof text));
}

/* ---- asking ---- */

static void
take_verdict(struct probe *probe, enum check_verdict verdict)
{
	if (verdict == CHECK_MORE)
		return;
	if (verdict == CHECK_GOOD && probe->asks->health.websocket)
		stream_put(&probe->stream, check_farewell, sizeof check_farewell);
	conclude(probe, verdict == CHECK_GOOD);
}

static void
on_readable(struct stream *s)
{
	struct probe *probe = container_of(s, struct probe, stream);
	char *p = (char *)probe->prober->loop->scratch;
	ssize_t n = stream_read(s, p, LOOP_READ);

	if (n == STREAM_AGAIN)
		return;
	if (n > 0)
		take_verdict(probe, check_take(&probe->check, p, (size_t)n));
	else if (n == STREAM_END)
		take_verdict(probe, check_end(&probe->check));
	else
		conclude_bad(probe, "connection reset");
}

static void
on_drained(struct stream *s)
{
}

/* It may have answered before it stopped listening: reading tells. */
static void
on_broken(struct stream *s)
{
}

static const struct stream_ops stream_ops = {
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_broken = on_broken,
};

/* A backend that wants a PROXY header gets one that speaks of nobody. */
static void
write_hello(const struct config_upstream *conf, struct strbuf *out)
{
	const struct addr nobody = {0};
	char header[PROXY_HEADER_OUT];

	if (conf->proxy_protocol == PROXY_OUT_OFF)
		return;
	strbuf_append(out, header,
	    proxy_header_write(header, conf->proxy_protocol == PROXY_OUT_V1 ? 1 : 2,
		&nobody, &nobody));
}

static void
ask(struct probe *probe)
{
	struct strbuf out = STRBUF_INIT;

	write_hello(probe->asks, &out);
	check_write_request(&probe->asks->health, probe->backend->address, &out);
	if (out.failed) {
		conclude_bad(probe, "out of memory");
	} else {
		stream_put(&probe->stream, out.data, out.len);
		stream_read_on(&probe->stream);
	}
	strbuf_fini(&out);
}

/* ---- connecting ---- */

static void
on_connect(struct io *io, unsigned what)
{
	struct probe *probe = container_of(io, struct probe, stream.io);
	int error = 0;
	socklen_t n = sizeof error;

	if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &n))
		error = errno;
	if (error) {
		conclude_errno(probe, error);
	} else if (probe->asks->health.tcp) {
		conclude(probe, true);
	} else {
		stream_begin(&probe->stream, &stream_ops);
		probe->state = PROBE_ASKING;
		ask(probe);
	}
}

static void
connect_to(struct probe *probe, const struct addr *addr)
{
	struct loop *loop = probe->prober->loop;
	int fd = dial_socket(addr);

	if (fd < 0) { /* our own trouble, which is no verdict on the backend */
		plan_next(probe);
		return;
	}
	check_init(&probe->check, &probe->conf->health);
	probe->held = snapshot_get(probe->prober->snapshot);
	probe->asks = probe->conf;
	probe->state = PROBE_CONNECTING;
	io_init(&probe->stream.io, loop, fd, on_connect);
	loop_timer(loop, &probe->timer, probe->conf->health.timeout_ms);
	switch (dial(fd, addr, probe->backend->address)) {
	case DIAL_UNDER_WAY:
		if (!io_want(&probe->stream.io, IO_WRITE))
			conclude_bad(probe, "out of memory");
		break;
	case DIAL_BUSY: conclude_bad(probe, "queue of its socket is full"); break;
	case DIAL_REFUSED: conclude_errno(probe, errno); break;
	}
}

static void
on_timer(struct timer *t)
{
	struct probe *probe = container_of(t, struct probe, timer);
	struct addr addr;

	if (probe->state == PROBE_CONNECTING) {
		conclude_bad(probe, "timeout while connecting");
		return;
	}
	if (probe->state == PROBE_ASKING) {
		conclude_bad(probe, "timeout, no whole answer");
		return;
	}
	probe->begun_ms = clock_now_ms();
	/* who is out by order, or nowhere, is not asked */
	if (atomic_load(&probe->backend->admin_state) == BACKEND_DOWN ||
	    !backend_addr(probe->backend, &addr))
		plan_next(probe);
	else
		connect_to(probe, &addr);
}

/* ---- which ---- */

static void
probe_free(struct probe *probe)
{
	end_check(probe);
	timer_clear(&probe->timer);
	atomic_store(&probe->backend->unhealthy_since_ms, 0);
	backend_put(probe->backend);
	free(probe);
}

static struct probe *
probe_of(struct prober *p, const struct backend *b)
{
	struct probe *probe = p->probes;

	while (probe && probe->backend != b)
		probe = probe->next;
	return probe;
}

static struct probe *
probe_add(struct prober *p, struct backend *b)
{
	struct probe *probe = calloc(1, sizeof *probe);

	if (!probe)
		return NULL; /* taken to be well, as without checks */
	probe->prober = p;
	probe->backend = backend_get(b);
	/* the process before us may have found out */
	probe->health.bad = atomic_load(&b->unhealthy_since_ms) != 0;
	timer_init(&probe->timer, on_timer);
	probe->next = p->probes;
	p->probes = probe;
	return probe;
}

/* The first checks of an upstream's n backends come one after the other, in the first
 * interval. */
static void
watch_backend(struct prober *p, const struct upstream *up, size_t i)
{
	struct probe *probe = probe_of(p, up->backends[i]);
	uint64_t interval = up->conf->health.interval_ms;
	bool fresh = !probe;

	if (fresh)
		probe = probe_add(p, up->backends[i]);
	if (!probe)
		return;
	probe->seen = true;
	probe->conf = up->conf;
	if (fresh)
		loop_timer(p->loop, &probe->timer, interval * i / up->n_backends);
	else if (probe->state == PROBE_IDLE &&
		 probe->timer.due_ms > clock_now_ms() + interval)
		loop_timer(p->loop, &probe->timer, jittered(p, interval));
}

static void
drop_unseen(struct prober *p)
{
	struct probe **at = &p->probes, *probe;

	while ((probe = *at)) {
		if (probe->seen) {
			probe->seen = false;
			at = &probe->next;
		} else {
			*at = probe->next;
			probe_free(probe);
		}
	}
}

void
prober_watch(struct prober *p, struct snapshot *s)
{
	struct snapshot *old = p->snapshot;

	p->snapshot = snapshot_get(s);
	for (size_t u = 0; u < s->n_upstreams; u++) {
		const struct upstream *up = &s->upstreams[u];

		for (size_t i = 0;
		     i < up->n_backends && check_is_wanted(&up->conf->health); i++)
			watch_backend(p, up, i);
	}
	drop_unseen(p);
	if (old)
		snapshot_put(old);
}

struct prober *
prober_new(struct loop *loop)
{
	struct prober *p = calloc(1, sizeof *p);

	if (p)
		p->loop = loop;
	return p;
}

void
prober_free(struct prober *p)
{
	if (!p)
		return;
	drop_unseen(p);
	if (p->snapshot)
		snapshot_put(p->snapshot);
	free(p);
}
