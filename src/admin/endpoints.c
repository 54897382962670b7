/* SPDX-License-Identifier: MIT
 *
 * endpoints.c - which endpoint does a request mean? See endpoints.h.
 */
#include "admin/endpoints.h"

#include "admin/api_private.h"

const struct endpoint endpoints[] = {
#define ENDPOINT(method, path, handler, parameters, access, help) \
	{#method, path, parameters, help, ACCESS_##access, handle_##handler},
#include "admin/endpoints.def"
#undef ENDPOINT
};

const size_t n_endpoints = sizeof(endpoints) / sizeof(*endpoints);

/* Cuts the next segment off "/a/b"; false: no more. */
static bool
next_segment(struct str *path, struct str *segment_r)
{
	const char *end;

	if (path->n == 0 || path->p[0] != '/')
		return false;
	path->p++;
	path->n--;
	end = memchr(path->p, '/', path->n);
	*segment_r = (struct str){path->p, end ? (size_t)(end - path->p) : path->n};
	path->p += segment_r->n;
	path->n -= segment_r->n;
	return true;
}

static bool
path_fits(const char *pattern, struct str path, struct endpoint_match *match)
{
	struct str rest = str_of(pattern), want, have;

	match->n_args = 0;
	while (next_segment(&rest, &want)) {
		if (!next_segment(&path, &have))
			return false;
		if (want.n && want.p[0] == '{') {
			if (have.n == 0)
				return false;
			match->args[match->n_args++] = have;
		} else if (!str_eq(want, have)) {
			return false;
		}
	}
	return path.n == 0;
}

static void
allow_add(char allow[ENDPOINT_ALLOW], const char *method)
{
	size_t n = strlen(allow);

	snprintf(allow + n, ENDPOINT_ALLOW - n, "%s%s%s", n ? ", " : "", method,
	    strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

enum endpoint_found
endpoint_find(struct str method, struct str path, struct endpoint_match *match_r)
{
	struct endpoint_match fit;

	*match_r = (struct endpoint_match){.endpoint = NULL};
	if (str_eq(method, STR("HEAD")))
		method = STR("GET");
	for (size_t i = 0; i < n_endpoints; i++) {
		if (!path_fits(endpoints[i].path, path, &fit))
			continue;
		allow_add(match_r->allow, endpoints[i].method);
		if (match_r->endpoint || !str_eq(method, str_of(endpoints[i].method)))
			continue;
		match_r->endpoint = &endpoints[i];
		match_r->n_args = fit.n_args;
		memcpy(match_r->args, fit.args, sizeof(fit.args));
	}
	if (match_r->endpoint)
		return ENDPOINT_FOUND;
	return match_r->allow[0] ? ENDPOINT_NO_METHOD : ENDPOINT_NO_PATH;
}

bool
endpoint_has_parameter(const struct endpoint *e, struct str name)
{
	const char *p = e->parameters;

	while (*p) {
		size_t n = strcspn(p, " ");

		if (str_eq((struct str){p, n}, name))
			return true;
		p += n + (p[n] == ' ');
	}
	return false;
}

bool
endpoint_decode(struct str text, char *buf, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '%') {
			int high = i + 2 < text.n ? hex_value(text.p[i + 1]) : -1;
			int low = high >= 0 ? hex_value(text.p[i + 2]) : -1;

			if (low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0' || n + 1 >= size)
			return false;
		buf[n++] = c;
	}
	buf[n] = '\0';
	return true;
}
