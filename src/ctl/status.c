/* SPDX-License-Identifier: MIT
 *
 * status.c - what roost is doing, once or as long as somebody looks.
 */
#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/picture.h"
#include "ctl/screen.h"

enum { STANDARD_MS = 1000, LEAST_MS = 100 };

/* False: not all of it is there (said so, unless quiet). */
static bool
take_picture(struct ctl *c, struct picture *p)
{
	*p = (struct picture){.at_ms = clock_now_ms()};
	p->status = ctl_ask(c, "GET", "/v1/status", NULL, 0);
	if (p->status)
		p->upstreams = ctl_ask(c, "GET", "/v1/upstreams", NULL, 0);
	if (p->upstreams)
		p->rehomes = ctl_ask(c, "GET", "/v1/rehomes", NULL, 0);
	return p->rehomes != NULL;
}

/* As a live view takes it: who is away may come back. */
static bool
take_picture_quietly(struct ctl *c, struct picture *p)
{
	unsigned status;

	*p = (struct picture){.at_ms = clock_now_ms()};
	p->status = ctl_ask_quietly(c, "GET", "/v1/status", &status);
	if (p->status)
		p->upstreams = ctl_ask_quietly(c, "GET", "/v1/upstreams", &status);
	if (p->upstreams)
		p->rehomes = ctl_ask_quietly(c, "GET", "/v1/rehomes", &status);
	return p->rehomes != NULL;
}

struct live {
	struct picture now, before;
	struct departures departures;
	bool is_there;
};

static void
live_step(struct ctl *c, struct live *l)
{
	struct picture p;

	l->is_there = take_picture_quietly(c, &p);
	if (!l->is_there) {
		picture_fini(&p);
		return;
	}
	picture_fini(&l->before);
	l->before = l->now;
	l->now = p;
}

/* Of two processes one after the other nothing can be said per second. */
static bool
is_comparable(const struct live *l)
{
	return l->before.status && json_number(l->before.status, "pid") ==
				       json_number(l->now.status, "pid");
}

static void
live_show(struct ctl *c, struct live *l)
{
	struct out *o = &c->out;

	if (!l->is_there) {
		out_paint(o, BAD, "nobody answers");
		out_printf(o, " on %s; the last that was seen:\n",
		    c->client.address.data);
	}
	picture_draw(&l->now, is_comparable(l) ? &l->before : NULL, &l->departures, o);
	if (o->is_terminal)
		out_paint(o, DIM, "\nq quits\n");
	screen_show(&o->text);
	strbuf_reset(&o->text);
}

static void
watch(struct ctl *c, struct picture *first, uint64_t ms)
{
	struct live l = {.now = *first, .is_there = true};
	enum screen_event event = SCREEN_RESIZED;

	*first = (struct picture){.at_ms = 0};
	screen_open();
	do {
		if (event == SCREEN_TIME)
			live_step(c, &l);
		live_show(c, &l);
		event = screen_wait(ms);
	} while (event != SCREEN_QUIT);
	screen_close();
	picture_fini(&l.now);
	picture_fini(&l.before);
	json_decref(l.departures.most);
}

void
run_status(struct ctl *c)
{
	const char *often = ctl_flag(c, FLAG_WATCH);
	uint64_t ms = STANDARD_MS;
	struct picture p;

	if (often && *often && (!duration_parse(often, &ms) || ms < LEAST_MS)) {
		ctl_fail(c, CTL_USAGE,
		    "--watch: expected a duration of at least 100ms");
		return;
	}
	if (!take_picture(c, &p)) {
		picture_fini(&p);
		return;
	}
	if (often)
		watch(c, &p, ms);
	else if (!ctl_wants_json(c, p.status))
		picture_draw(&p, NULL, NULL, &c->out);
	picture_fini(&p);
}
