/* SPDX-License-Identifier: MIT
 *
 * pages.c - error pages: read once, with the configuration, so that serving one never
 * waits for a disk.
 */
#include "config/arena.h"
#include "config/load_private.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_MAX = 256 << 10 };

/* All of a regular file into text. NULL, or what is wrong. */
static const char *
read_page(int fd, struct strbuf *text)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	do {
		if (!strbuf_reserve(text, 16384))
			return "out of memory";
		n = read(fd, text->data + text->len, 16384);
		if (n < 0)
			return strerror(errno);
		text->len += (size_t)n;
	} while (n > 0 && text->len <= PAGE_MAX);
	return text->len > PAGE_MAX ? "too large" : NULL;
}

/* Not to wait for somebody at the other end of a fifo. */
static void
load_page(struct loader *l, struct config_error_page *page, size_t i)
{
	struct strbuf text = STRBUF_INIT;
	int fd = open(page->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *wrong = fd < 0 ? strerror(errno) : read_page(fd, &text);
	char shown[SHOWN];

	if (wrong)
		loader_complain(l, loader_origin(l, &page->file),
		    "error_pages[%zu].file: \"%s\" cannot be read (%s), expected a "
		    "file of at most 256k",
		    i, text_show(str_of(page->file), shown), wrong);
	else
		page->text =
		    (struct str){arena_copy(l->keep, (struct str){text.data, text.len}),
			text.len};
	strbuf_fini(&text);
	if (fd >= 0)
		close(fd);
}

void
loader_check_error_pages(struct loader *l)
{
	struct config *c = l->config;
	struct item *items = arena_alloc(l->temp, c->n_error_pages, sizeof(*items));
	size_t n = 0;

	for (size_t i = 0; items && i < c->n_error_pages; i++) {
		struct config_error_page *page = &c->error_pages[i];
		char status[16];

		if (page->file)
			load_page(l, page, i);
		if (!page->status)
			continue;
		snprintf(status, sizeof(status), "%u", page->status);
		items[n] = (struct item){arena_copy(l->temp, str_of(status)),
		    loader_origin(l, &page->status), i};
		n += items[n].key != NULL;
	}
	loader_check_doubles(l, "error page", items, n);
}
