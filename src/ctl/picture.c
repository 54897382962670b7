/* SPDX-License-Identifier: MIT
 *
 * picture.c - what roost is doing at one moment; see picture.h.
 */
#include "ctl/picture.h"

#include "ctl/ctl.h"
#include "ctl/table.h"
#include <stdio.h>

enum { LOAD_BAR = 16, REHOME_BAR = 30, AILING_SHOWN = 8 };

void
picture_fini(struct picture *p)
{
	json_decref(p->status);
	json_decref(p->upstreams);
	json_decref(p->rehomes);
	*p = (struct picture){.at_ms = 0};
}

/* ---- the head ---- */

static long long
sum_of(const struct picture *p, const char *name)
{
	long long sum = 0;
	const json_t *up;
	size_t i;

	json_array_foreach(json_object_get(p->upstreams, "upstreams"), i, up) sum +=
	    json_number(up, name);
	return sum;
}

static double
per_second(const struct picture *now, const struct picture *before, const char *counter)
{
	const json_t *is = json_object_get(now->status, "counters"),
		     *was = json_object_get(before->status, "counters");
	double seconds = (double)(now->at_ms - before->at_ms) / 1000;

	return seconds > 0
		   ? (double)(json_number(is, counter) - json_number(was, counter)) /
			 seconds
		   : 0;
}

static double
moves_per_second(const struct picture *now, const struct picture *before)
{
	return per_second(now, before, "rehomes_done") +
	       per_second(now, before, "rehomes_closed");
}

static void
draw_rates(const struct picture *now, const struct picture *before, struct out *o)
{
	out_printf(o,
	    "per second: %.1f requests, %.1f failed\n"
	    "            %.1f sessions opened, %.1f ended, %.1f re-homed\n",
	    per_second(now, before, "exchanges"),
	    per_second(now, before, "exchanges_failed"),
	    per_second(now, before, "sessions"),
	    per_second(now, before, "sessions_ended"), moves_per_second(now, before));
}

static void
draw_head(const struct picture *p, struct out *o)
{
	const char *state = json_words(p->status, "state");
	char text[NUMBER_TEXT];

	out_paint(o, BOLD, "roost ");
	out_paint(o, BOLD, json_words(p->status, "version"));
	out_printf(o, " ");
	out_paint(o, strcmp(state, "running") ? WARN : GOOD, state);
	out_printf(o, ", pid %lld, up %s, %lld workers\n",
	    json_number(p->status, "pid"),
	    text_duration((uint64_t)json_number(p->status, "uptime_ms"), text),
	    json_number(p->status, "workers"));
	out_printf(o, "%lld sessions, %lld exchanges, %lld pins", sum_of(p, "sessions"),
	    sum_of(p, "exchanges"), json_number(p->status, "pins"));
	if (json_number(p->status, "log_lines_dropped")) {
		out_printf(o, ", %lld lines of the log ",
		    json_number(p->status, "log_lines_dropped"));
		out_paint(o, BAD, "were lost");
	}
	out_printf(o, "\n");
}

/* ---- backends ---- */

static long long
most_sessions(const json_t *up)
{
	long long most = 0;
	const json_t *b;
	size_t i;

	json_array_foreach(json_object_get(up, "backends"), i,
	    b) if (json_number(b, "sessions") > most) most = json_number(b, "sessions");
	return most;
}

static void
bar_cell(struct table *t, const struct out *o, enum paint paint, long long part,
    long long whole, unsigned width)
{
	struct out scratch = {.utf8 = o->utf8};

	out_bar(&scratch, PLAIN, (uint64_t)part, (uint64_t)whole, width);
	table_text(t, paint, strbuf_cstr(&scratch.text));
	out_fini(&scratch);
}

static void
draw_backends(const struct picture *p, struct out *o)
{
	static const char *const titles[] = {"UPSTREAM", "BACKEND", "USE", ">WEIGHT",
	    ">SESSIONS", "", ">EXCHANGES", NULL};
	const json_t *up, *b;
	struct table t;
	size_t i, j;

	table_init(&t, titles);
	json_array_foreach(json_object_get(p->upstreams, "upstreams"), i, up)
	{
		long long most = most_sessions(up);

		json_array_foreach(json_object_get(up, "backends"), j, b)
		{
			const char *use = json_words(b, "use");

			table_text(&t, PLAIN, json_words(up, "name"));
			table_text(&t, BOLD, json_words(b, "name"));
			table_text(&t, paint_of_use(use), use);
			table_printf(&t, PLAIN, "%lld", json_number(b, "weight"));
			table_printf(&t, PLAIN, "%lld", json_number(b, "sessions"));
			bar_cell(&t, o, paint_of_use(use), json_number(b, "sessions"),
			    most, LOAD_BAR);
			table_printf(&t, PLAIN, "%lld", json_number(b, "exchanges"));
		}
	}
	table_end(&t, o);
}

/* Many at once have one reason, as a rule. */
static void
draw_ailing(const struct picture *p, struct out *o)
{
	const json_t *up;
	struct out lines = {.utf8 = o->utf8, .colours = o->colours};
	size_t i, n = 0;

	json_array_foreach(json_object_get(p->upstreams, "upstreams"), i, up) n +=
	    show_ailing(&lines, json_words(up, "name"), json_object_get(up, "backends"),
		n < AILING_SHOWN ? AILING_SHOWN - n : 0);
	if (n) {
		out_printf(o, "\n");
		out_paint(o, BOLD, "out of service");
		out_printf(o, "\n%s", strbuf_cstr(&lines.text));
	}
	if (n > AILING_SHOWN)
		out_printf(o, "  and %zu more\n", n - AILING_SHOWN);
	out_fini(&lines);
}

/* ---- re-homing ---- */

/* What left at most; remembered in `most`, which holds only those that are there. */
static long long
most_left(const struct departures *d, json_t *most, const json_t *one)
{
	long long left = json_number(one, "left"), was;
	char key[512];

	snprintf(key, sizeof(key), "%s/%s", json_words(one, "upstream"),
	    json_words(one, "backend"));
	was = json_number(d->most, key);
	if (was < left + json_number(one, "moved"))
		was = left + json_number(one, "moved");
	json_object_set_new(most, key, json_integer(was));
	return was;
}

static void
draw_departure(const json_t *one, long long whole, double rate, struct out *o)
{
	long long left = json_number(one, "left"), gone = whole - left;
	char text[NUMBER_TEXT];

	out_printf(o, "  %s/%s %s ", json_words(one, "upstream"),
	    json_words(one, "backend"), json_words(one, "why"));
	out_bar(o, GOOD, (uint64_t)gone, (uint64_t)whole, REHOME_BAR);
	out_printf(o, " %3lld %%, %lld left", whole ? gone * 100 / whole : 0, left);
	if (rate > 0)
		out_printf(o, ", about %s",
		    text_duration((uint64_t)((double)left / rate * 1000), text));
	out_printf(o, "\n");
}

static void
draw_rehomes(const struct picture *now, const struct picture *before,
    struct departures *d, struct out *o)
{
	const json_t *all = json_object_get(now->rehomes, "rehomes"), *one;
	size_t n = json_array_size(all), i;
	json_t *most = json_object();
	/* all of them share the rate; with one that is its own */
	double rate = before && n == 1 ? moves_per_second(now, before) : 0;

	if (n) {
		out_printf(o, "\n");
		out_paint(o, BOLD, "re-homing");
		out_printf(o, "\n");
	}
	json_array_foreach(all, i, one)
	    draw_departure(one, most_left(d, most, one), rate, o);
	json_decref(d->most);
	d->most = most;
}

void
picture_draw(const struct picture *now, const struct picture *before,
    struct departures *departures, struct out *o)
{
	struct departures none = {NULL};

	draw_head(now, o);
	if (before)
		draw_rates(now, before, o);
	out_printf(o, "\n");
	draw_backends(now, o);
	draw_ailing(now, o);
	draw_rehomes(now, before, departures ? departures : &none, o);
	json_decref(none.most);
}
