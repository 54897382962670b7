/* SPDX-License-Identifier: MIT
 *
 * edits.c - headers that a route sets, adds or removes; see edits.h.
 *
 * Every header of a request asks whether it is dropped, so the lengths of the dropped
 * names are kept as a set of bits: most headers are let through by one look at it.
 *
 * Threads: immutable after edits_new, any.
 */
#include "route/edits.h"

#include "base/strbuf.h"
#include <stdlib.h>

struct line {
	struct str name;
	struct template *value;
};

struct edits {
	uint64_t lengths; /* of the dropped names */
	struct str *dropped;
	size_t n_dropped;
	struct line *lines; /* without Host */
	size_t n_lines;
	struct template *host; /* NULL: it is not set */
};

static bool
is_host(struct str name)
{
	return str_ieq(name, STR("Host"));
}

static uint64_t
length_bit(size_t n)
{
	return (uint64_t)1 << n % 64;
}

static void
drop(struct edits *e, struct str name)
{
	e->lengths |= length_bit(name.n);
	e->dropped[e->n_dropped++] = name;
}

static bool
write_line(struct edits *e, const struct config_header *header)
{
	struct str name = str_of(header->name);
	struct template *value = template_new(header->value ? header->value : "");

	if (!value)
		return false;
	e->lines[e->n_lines++] = (struct line){name, value};
	return true;
}

static bool
host_set(struct edits *e, const struct config_header *header)
{
	template_free(e->host);
	e->host = template_new(header->value ? header->value : "");
	return e->host != NULL;
}

static bool
edits_fill(struct edits *e, const struct config_header_edits *conf)
{
	for (size_t i = 0; i < conf->n_remove; i++)
		drop(e, str_of(conf->remove[i]));
	for (size_t i = 0; i < conf->n_set; i++) {
		const struct config_header *header = &conf->set[i];

		drop(e, str_of(header->name));
		if (!(is_host(str_of(header->name)) ? host_set(e, header)
						    : write_line(e, header)))
			return false;
	}
	/* a second Host is nothing that one may add */
	for (size_t i = 0; i < conf->n_add; i++)
		if (!is_host(str_of(conf->add[i].name)) &&
		    !write_line(e, &conf->add[i]))
			return false;
	return true;
}

struct edits *
edits_new(const struct config_header_edits *conf, bool *ok_r)
{
	size_t n_dropped = conf->n_set + conf->n_remove;
	size_t n_lines = conf->n_set + conf->n_add;
	struct edits *e;

	*ok_r = true;
	if (n_dropped + n_lines == 0)
		return NULL;
	e = calloc(1, sizeof(*e));
	if (e) {
		e->dropped = calloc(n_dropped + 1, sizeof(*e->dropped));
		e->lines = calloc(n_lines + 1, sizeof(*e->lines));
	}
	if (e && e->dropped && e->lines && edits_fill(e, conf))
		return e;
	edits_free(e);
	*ok_r = false;
	return NULL;
}

void
edits_free(struct edits *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->n_lines; i++)
		template_free(e->lines[i].value);
	template_free(e->host);
	free(e->dropped);
	free(e->lines);
	free(e);
}

bool
edits_drop(const struct edits *e, struct str name)
{
	if (!e || !(e->lengths & length_bit(name.n)))
		return false;
	for (size_t i = 0; i < e->n_dropped; i++)
		if (str_ieq(e->dropped[i], name))
			return true;
	return false;
}

void
edits_write(const struct edits *e, const struct template_values *values,
    struct strbuf *out)
{
	for (size_t i = 0; e && i < e->n_lines; i++) {
		strbuf_str(out, e->lines[i].name);
		strbuf_lit(out, ": ");
		template_expand(e->lines[i].value, values, out);
		strbuf_lit(out, "\r\n");
	}
}

bool
edits_host(const struct edits *e, const struct template_values *values,
    struct strbuf *out)
{
	if (!e || !e->host)
		return false;
	template_expand(e->host, values, out);
	return true;
}
