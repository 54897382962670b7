/* SPDX-License-Identifier: MIT
 *
 * fuzz_line.c - any bytes as what peers said, in lines of the log and the access log.
 *
 * Fields are cut at NULs, but for the last. A line of JSON is one object, one of text
 * is one line of what a terminal shows, a message to the journal ends where it says.
 */
#include "base/log_line.h"
#include "base/strbuf.h"
#include "fuzz.h"
#include "http/access_log.h"
#include <jansson.h>

static void
json_check(const struct strbuf *line)
{
	json_t *json = json_loadb(line->data, line->len,
	    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

	must(json_is_object(json));
	must(memchr(line->data, '\n', line->len) == line->data + line->len - 1);
	json_decref(json);
}

static void
text_check(const struct strbuf *line)
{
	must(line->len && line->data[line->len - 1] == '\n');
	for (size_t i = 0; i + 1 < line->len; i++)
		must((unsigned char)line->data[i] >= 0x20 && line->data[i] != 0x7f);
}

/* ---- the log ---- */

static const char *
cut_text(struct str *input, struct strbuf *room)
{
	strbuf_reset(room);
	strbuf_str(room, cut_at(input, '\0'));
	return strbuf_cstr(room);
}

static void
log_lines_check(struct str input)
{
	struct strbuf texts[4] = {{0}};
	char memory[LOG_JOURNAL_MIN];
	struct strbuf line = strbuf_over(memory, LOG_LINE_MIN);
	struct log_about about = {.request = cut_text(&input, &texts[0]),
	    .client = cut_text(&input, &texts[1]),
	    .upstream = cut_text(&input, &texts[2]),
	    .backend = cut_text(&input, &texts[3])};
	struct log_event e = {.level = LEVEL_WARN, .about = &about, .message = input};

	log_line_text(&line, &e, true);
	text_check(&line);
	line = strbuf_over(memory, LOG_LINE_MIN);
	log_line_json(&line, &e);
	json_check(&line);
	line = strbuf_over(memory, LOG_LINE_MIN);
	log_line_syslog(&line, &e, 3, "tag", 1, FORMAT_TEXT);
	must(line.len && is_one_line((struct str){line.data, line.len}));
	line = strbuf_over(memory, LOG_JOURNAL_MIN);
	log_line_journal(&line, &e, "tag");
	must(line.len && line.data[line.len - 1] == '\n');
	for (size_t i = 0; i < 4; i++)
		strbuf_fini(&texts[i]);
}

/* ---- the access log ---- */

static void
access_lines_check(struct str input)
{
	struct access_record r = access_record_empty();
	struct strbuf line = STRBUF_INIT;

	r.session = cut_byte(&input) & 1;
	r.wall_ms = cut_byte(&input) * 1000000007LL;
	r.id = cut_at(&input, '\0');
	r.method = cut_at(&input, '\0');
	r.host = cut_at(&input, '\0');
	r.target = cut_at(&input, '\0');
	r.client = cut_at(&input, '\0');
	r.user_agent = cut_at(&input, '\0');
	r.referer = input;
	access_log_write(&line, FORMAT_TEXT, &r);
	text_check(&line);
	strbuf_reset(&line);
	access_log_write(&line, FORMAT_JSON, &r);
	json_check(&line);
	strbuf_fini(&line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = {(const char *)data, size};

	log_lines_check(input);
	access_lines_check(input);
	return 0;
}
