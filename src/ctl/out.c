/* SPDX-License-Identifier: MIT
 *
 * out.c - what people read; see out.h.
 */
#include "ctl/out.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <wchar.h>

static const char *const codes[] = {
    [PLAIN] = "",
    [GOOD] = "\033[32m",
    [WARN] = "\033[33m",
    [BAD] = "\033[31m",
    [DIM] = "\033[2m",
    [BOLD] = "\033[1m",
};

static bool
wants_colours(const struct out *o)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return o->is_terminal && !(no_color && *no_color) && term &&
	       strcmp(term, "dumb") != 0;
}

bool
out_init(struct out *o, const char *when)
{
	*o = (struct out){.is_terminal = isatty(STDOUT_FILENO) == 1,
	    .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
	o->colours = wants_colours(o);
	if (!when || strcmp(when, "auto") == 0)
		return true;
	o->colours = strcmp(when, "always") == 0;
	return o->colours || strcmp(when, "never") == 0;
}

bool
out_flush(struct out *o)
{
	size_t n = o->text.len;
	bool ok = !o->text.failed &&
		  (n == 0 || fwrite(o->text.data, 1, n, stdout) == n) &&
		  fflush(stdout) == 0;

	strbuf_reset(&o->text);
	return ok;
}

void
out_fini(struct out *o)
{
	strbuf_fini(&o->text);
}

void
out_printf(struct out *o, const char *format, ...)
{
	char *text = NULL, *clean;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	clean = n >= 0 ? text_clean(text) : NULL;
	if (clean)
		strbuf_puts(&o->text, clean);
	else
		o->text.failed = true;
	free(clean);
	if (n >= 0)
		free(text);
}

void
out_paint(struct out *o, enum paint paint, const char *text)
{
	bool painted = o->colours && paint != PLAIN;

	if (painted)
		strbuf_puts(&o->text, codes[paint]);
	out_printf(o, "%s", text);
	if (painted)
		strbuf_lit(&o->text, "\033[0m");
}

/* ---- characters ---- */

/* The next one: its width, and how many bytes it has. What is none, or drives a
 * terminal, is taken for one column that has to be replaced (*bad_r). */
static int
next_width(const char *text, size_t *n_r, bool *bad_r)
{
	mbstate_t state = {0};
	wchar_t c;
	size_t n = mbrtowc(&c, text, strlen(text), &state);
	int width = n == 0 || n > 8 ? -1 : wcwidth(c);

	*bad_r = width < 0 && *text != '\n';
	*n_r = n == 0 || n > 8 ? 1 : n;
	return width < 0 ? *bad_r : width;
}

size_t
text_width(const char *text)
{
	size_t width = 0, n;
	bool bad;

	for (; *text; text += n)
		width += (size_t)next_width(text, &n, &bad);
	return width;
}

char *
text_clean(const char *text)
{
	char *clean = malloc(strlen(text) + 1), *at = clean;
	size_t n;
	bool bad;

	for (; clean && *text; text += n) {
		next_width(text, &n, &bad);
		if (bad)
			*at++ = '?';
		else
			at = mempcpy(at, text, n);
	}
	if (clean)
		*at = '\0';
	return clean;
}

const char *
text_duration(uint64_t ms, char buf[NUMBER_TEXT])
{
	unsigned long long s = ms / 1000;

	if (ms < 1000)
		snprintf(buf, NUMBER_TEXT, "%llums", (unsigned long long)ms);
	else if (s < 60)
		snprintf(buf, NUMBER_TEXT, "%llu.%llus", s, ms / 100 % 10ULL);
	else if (s < 3600)
		snprintf(buf, NUMBER_TEXT, "%llum %llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, NUMBER_TEXT, "%lluh %llum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, NUMBER_TEXT, "%llud %lluh", s / 86400, s / 3600 % 24);
	return buf;
}

const char *
text_size(uint64_t bytes, char buf[NUMBER_TEXT])
{
	static const char units[] = "kMGTPE";
	double value = (double)bytes;
	int unit = -1;

	while (value >= 999.95 && units[unit + 1]) {
		value /= 1000;
		unit++;
	}
	if (unit < 0)
		snprintf(buf, NUMBER_TEXT, "%llu", (unsigned long long)bytes);
	else
		snprintf(buf, NUMBER_TEXT, "%.1f%c", value, units[unit]);
	return buf;
}

void
out_bar(struct out *o, enum paint paint, uint64_t part, uint64_t whole, unsigned width)
{
	const char *full = o->utf8 ? "\u2588" : "#", *empty = o->utf8 ? "\u2591" : "-";
	unsigned n =
	    whole ? (unsigned)((part > whole ? whole : part) * width / whole) : 0;
	bool painted = o->colours && paint != PLAIN;

	if (painted)
		strbuf_puts(&o->text, codes[paint]);
	for (unsigned i = 0; i < width; i++) {
		if (i == n && painted)
			strbuf_lit(&o->text, "\033[0m");
		strbuf_puts(&o->text, i < n ? full : empty);
	}
	if (painted && n >= width)
		strbuf_lit(&o->text, "\033[0m");
}
