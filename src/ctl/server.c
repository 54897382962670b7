/* SPDX-License-Identifier: MIT
 *
 * server.c - where the admin API is, and the token for it; see client.h.
 *
 * Of the configuration only the two keys are read, and not the rest of it checked: it
 * is with a file full of mistakes that somebody asks what the daemon is doing.
 */
#include "ctl/client.h"

#include "base/addr.h"
#include "config/arena.h"
#include "config/yaml.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STANDARD_CONFIG SYSCONFDIR "/roost/roost.yaml"

/* What a file says of the API. */
struct found {
	struct strbuf bind, token_file; /* empty: nothing */
};

static void
found_fini(struct found *f)
{
	strbuf_fini(&f->bind);
	strbuf_fini(&f->token_file);
}

static void
on_complaint(void *arg, struct config_place place, const char *text)
{
	struct strbuf *first = arg;

	if (first->len == 0)
		strbuf_printf(first, "%u:%u: %s", place.line, place.column, text);
}

static bool
read_file(const char *path, struct strbuf *text)
{
	FILE *file = fopen(path, "re");
	char piece[4096];
	size_t n;

	if (!file)
		return false;
	while ((n = fread(piece, 1, sizeof(piece), file)))
		strbuf_append(text, piece, n);
	fclose(file);
	return true;
}

static void
take_key(const struct node *admin, const char *key, struct strbuf *out)
{
	const struct node *node =
	    admin && admin->kind == NODE_MAP ? node_get(admin, key) : NULL;

	if (node && node->kind == NODE_SCALAR && !node_is_null(node))
		strbuf_str(out, node->text);
}

static bool
find_in_text(const char *path, struct str text, struct found *f, struct strbuf *error)
{
	struct strbuf complaint = STRBUF_INIT;
	struct arena *arena = arena_new();
	struct node *tree =
	    arena ? tree_parse(arena, text, on_complaint, &complaint) : NULL;

	if (tree && tree->kind == NODE_MAP) {
		take_key(node_get(tree, "admin"), "bind", &f->bind);
		take_key(node_get(tree, "admin"), "token_file", &f->token_file);
	}
	if (f->bind.len == 0 && complaint.len)
		strbuf_printf(error, "%s:%s; name the admin API with --server", path,
		    strbuf_cstr(&complaint));
	else if (f->bind.len == 0)
		strbuf_printf(error,
		    "%s has no admin.bind; name the admin API with --server", path);
	strbuf_fini(&complaint);
	arena_free(arena);
	return f->bind.len > 0;
}

static bool
find_in_file(const char *path, struct found *f, struct strbuf *error)
{
	struct strbuf text = STRBUF_INIT;
	bool ok = read_file(path, &text);

	if (ok)
		ok = find_in_text(path, (struct str){text.data, text.len}, f, error);
	else
		strbuf_printf(error,
		    "%s: %s; name the admin API with --server or $ROOST_ADMIN", path,
		    strerror(errno));
	strbuf_fini(&text);
	return ok;
}

/* ---- address and token ---- */

/* One that listens everywhere is asked here. */
static void
set_address(struct client *c, const char *text)
{
	struct str host;
	uint16_t port;

	if (addr_split(str_of(text), &host, &port) &&
	    (host.n == 0 || str_eq(host, STR("*")) || str_eq(host, STR("0.0.0.0"))))
		strbuf_printf(&c->address, "127.0.0.1:%u", port);
	else if (addr_split(str_of(text), &host, &port) && str_eq(host, STR("::")))
		strbuf_printf(&c->address, "[::1]:%u", port);
	else
		strbuf_puts(&c->address, text);
	strbuf_cstr(&c->address);
}

static bool
address_is_good(const char *text, struct strbuf *error)
{
	struct str rest;
	uint16_t port;

	if (addr_unix_path(str_of(text), &rest) ||
	    (addr_split(str_of(text), &rest, &port) && port))
		return true;
	strbuf_printf(error, "\"%s\" is no address: expected HOST:PORT or unix:/path",
	    text);
	return false;
}

static bool
read_token(struct client *c, const char *path, struct strbuf *error)
{
	struct strbuf text = STRBUF_INIT;
	bool ok = read_file(path, &text);

	while (text.len && strchr(" \r\n", text.data[text.len - 1]))
		text.len--;
	if (!ok)
		strbuf_printf(error, "%s: %s", path, strerror(errno));
	else if (text.len == 0 || text.len >= CLIENT_TOKEN ||
		 strcspn(strbuf_cstr(&text), " \r\n\t") < text.len)
		strbuf_printf(error, "%s: a token is one word", path);
	else
		memcpy(c->token, text.data, text.len + 1);
	strbuf_fini(&text);
	return error->len == 0;
}

static const char *
or_environment(const char *value, const char *name)
{
	const char *other = getenv(name);

	return value ? value : other && *other ? other : NULL;
}

bool
client_init(struct client *c, const char *server, const char *token_file,
    const char *config, struct strbuf *error_r)
{
	struct found found = {.bind = STRBUF_INIT};
	const char *address =
	    server || !config ? or_environment(server, "ROOST_ADMIN") : NULL;
	const char *token = or_environment(token_file, "ROOST_TOKEN_FILE");
	bool ok = true;

	*c = (struct client){.address = STRBUF_INIT};
	if (!address) {
		ok = find_in_file(config ? config : STANDARD_CONFIG, &found, error_r);
		address = strbuf_cstr(&found.bind);
		if (!token && found.token_file.len)
			token = strbuf_cstr(&found.token_file);
	}
	ok = ok && address_is_good(address, error_r) &&
	     (!token || read_token(c, token, error_r));
	if (ok)
		set_address(c, address);
	found_fini(&found);
	return ok && !c->address.failed;
}

void
client_fini(struct client *c)
{
	strbuf_fini(&c->address);
}
