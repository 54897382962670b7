/* SPDX-License-Identifier: MIT
 *
 * ailing.c - backends that are out of service though nobody set them so, and why.
 */
#include "ctl/ctl.h"

static void
show_one(struct out *o, const char *upstream, const json_t *b)
{
	const char *use = json_words(b, "use");
	char text[NUMBER_TEXT];

	out_printf(o, "  %s/%s is ", upstream, json_words(b, "name"));
	out_paint(o, BAD, use);
	if (strcmp(use, "unhealthy") == 0 && json_number(b, "unhealthy_since_at"))
		out_printf(o, " for %s", moment_age(b, "unhealthy_since_at", text));
	out_printf(o, ": %s\n", json_words(b, "why"));
}

size_t
show_ailing(struct out *o, const char *upstream, const json_t *backends, size_t room)
{
	const json_t *b;
	size_t i, n = 0;

	json_array_foreach(backends, i, b)
	{
		if (paint_of_use(json_words(b, "use")) != BAD)
			continue;
		if (n++ < room)
			show_one(o, upstream, b);
	}
	return n;
}
