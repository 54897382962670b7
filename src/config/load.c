/* SPDX-License-Identifier: MIT
 *
 * load.c - from a YAML file and flags to a frozen struct config.
 *
 * Four steps: the tree (yaml.c), the rows of the schema fill the structs (fill.c),
 * flags have the last word (flags.c), checks look across (check.c). Problems are
 * collected through all of them, sorted by place and given out together, since an
 * administrator wants to repair a file once.
 */
#include "config/load.h"
#include "config/arena.h"
#include "config/load_private.h"
#include "config/yaml.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

const char *
text_show(struct str text, char buf[SHOWN])
{
	size_t n = text.n < SHOWN - 4 ? text.n : SHOWN - 4;

	while (n < text.n && n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		buf[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	memcpy(buf + n, n < text.n ? "..." : "", n < text.n ? 4 : 1);
	return buf;
}

/* Room for one more element; a full array is copied to twice the room in the arena. */
static void *
array_grow(struct loader *l, void *array, size_t n, size_t *max, size_t size)
{
	size_t more = *max ? 2 * *max : 16;
	void *grown;

	if (n < *max)
		return array;
	grown = arena_alloc(l->temp, more, size);
	if (!grown)
		return NULL;
	if (n)
		memcpy(grown, array, n * size);
	*max = more;
	return grown;
}

void
loader_complain(struct loader *l, struct origin at, const char *format, ...)
{
	struct problem *problems = array_grow(l, l->problems, l->n_problems,
	    &l->max_problems, sizeof(*problems));
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!problems)
		return;
	l->problems = problems;
	problems += l->n_problems;
	problems->at = at;
	problems->number = l->n_problems;
	problems->text = arena_copy(l->temp, str_of(text));
	if (problems->text)
		l->n_problems++;
}

static void
on_tree_problem(void *arg, struct config_place place, const char *text)
{
	loader_complain(arg, (struct origin){.place = place}, "%s", text);
}

void
loader_remember(struct loader *l, const void *field, struct origin at)
{
	struct origin *origins =
	    array_grow(l, l->origins, l->n_origins, &l->max_origins, sizeof(*origins));

	if (!origins)
		return;
	l->origins = origins;
	at.field = field;
	origins[l->n_origins++] = at;
}

static int
compare_origins(const void *a, const void *b)
{
	const struct origin *x = a, *y = b;

	return ((uintptr_t)x->field > (uintptr_t)y->field) -
	       ((uintptr_t)x->field < (uintptr_t)y->field);
}

struct origin
loader_origin(const struct loader *l, const void *field)
{
	struct origin wanted = {.field = field}, *found = NULL;

	if (l->n_origins)
		found = bsearch(&wanted, l->origins, l->n_origins, sizeof(wanted),
		    compare_origins);
	return found ? *found : (struct origin){0};
}

static int
compare_problems(const void *a, const void *b)
{
	const struct problem *x = a, *y = b;
	const struct config_place *p = &x->at.place, *q = &y->at.place;

	if (p->line != q->line)
		return p->line < q->line ? -1 : 1;
	if (p->column != q->column)
		return p->column < q->column ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void
print_problems(struct loader *l, struct strbuf *out)
{
	if (l->n_problems)
		qsort(l->problems, l->n_problems, sizeof(*l->problems),
		    compare_problems);
	for (size_t i = 0; i < l->n_problems; i++) {
		const struct problem *p = &l->problems[i];

		if (p->at.flag)
			strbuf_printf(out, "%s: %s\n", p->at.flag, p->text);
		else
			strbuf_printf(out, "%s:%u:%u: %s\n", l->name, p->at.place.line,
			    p->at.place.column, p->text);
	}
}

static bool
loader_init(struct loader *l, const char *name, bool has_file)
{
	*l = (struct loader){.name = name, .has_file = has_file};
	l->keep = arena_new();
	l->temp = arena_new();
	if (!l->keep || !l->temp)
		return false;
	l->config = arena_alloc(l->keep, 1, sizeof(*l->config));
	if (!l->config)
		return false;
	l->config->memory = l->keep;
	l->config->file = has_file ? arena_copy(l->keep, str_of(name)) : NULL;
	return true;
}

/* False: there is no tree to go on with. Nothing in the file is an empty map. */
static bool
read_tree(struct loader *l, struct str text, struct node **root_r)
{
	*root_r = l->has_file ? tree_parse(l->temp, text, on_tree_problem, l) : NULL;
	if (*root_r && node_is_null(*root_r))
		*root_r = NULL;
	if (*root_r && (*root_r)->kind != NODE_MAP) {
		if (!(*root_r)->bad)
			loader_complain(l, (struct origin){.place = (*root_r)->place},
			    "not a map of keys, expected workers, log, listeners ...");
		return false;
	}
	return *root_r || l->n_problems == 0;
}

static bool
has_memory(const struct loader *l)
{
	return !arena_has_failed(l->keep) && !arena_has_failed(l->temp) &&
	       !l->path.failed;
}

static void
run(struct loader *l, struct str text, const struct config_flags *flags)
{
	struct node *root;

	if (!read_tree(l, text, &root))
		return;
	loader_fill(l, SECTION_TOP, root, l->config);
	if (has_memory(l))
		loader_apply_flags(l, flags);
	if (!has_memory(l))
		return;
	if (l->n_origins)
		qsort(l->origins, l->n_origins, sizeof(*l->origins), compare_origins);
	loader_check(l);
}

static struct config *
load(const char *name, bool has_file, struct str text, const struct config_flags *flags,
    struct strbuf *errors_r)
{
	static const struct config_flags no_flags;
	struct config *config = NULL;
	struct loader l;
	bool fine = loader_init(&l, name, has_file);

	if (fine)
		run(&l, text, flags ? flags : &no_flags);
	fine = fine && has_memory(&l);
	if (!fine)
		strbuf_printf(errors_r, "%s: out of memory\n", name);
	print_problems(&l, errors_r);
	if (fine && l.n_problems == 0) {
		config = l.config;
		l.keep = NULL;
	}
	strbuf_fini(&l.path);
	arena_free(l.temp);
	arena_free(l.keep);
	return config;
}

struct config *
config_parse(const char *name, const char *yaml, size_t n,
    const struct config_flags *flags, struct strbuf *errors_r)
{
	return load(name, true, (struct str){yaml, n}, flags, errors_r);
}

/* Reads one byte more than is allowed, so that yaml.c sees that it is too much. */
static bool
read_file(const char *file, struct strbuf *text)
{
	FILE *f = fopen(file, "re");
	bool fine;

	if (!f)
		return false;
	while (text->len <= TREE_MAX_BYTES && strbuf_reserve(text, 65536)) {
		size_t n = fread(text->data + text->len, 1, 65536, f);

		if (n == 0)
			break;
		text->len += n;
	}
	if (text->failed)
		errno = ENOMEM;
	fine = !ferror(f) && !text->failed;
	fclose(f);
	return fine;
}

struct config *
config_load(const char *file, const struct config_flags *flags, struct strbuf *errors_r)
{
	struct strbuf text = STRBUF_INIT;
	struct config *config = NULL;

	if (!file)
		return load("roost", false, (struct str){0}, flags, errors_r);
	if (read_file(file, &text))
		config = config_parse(file, text.data, text.len, flags, errors_r);
	else
		strbuf_printf(errors_r,
		    "%s: cannot be read (%s), expected a YAML file\n", file,
		    strerror(errno));
	strbuf_fini(&text);
	return config;
}

void
config_free(struct config *config)
{
	if (config)
		arena_free(config->memory);
}
