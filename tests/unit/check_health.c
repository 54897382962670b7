/* SPDX-License-Identifier: MIT
 *
 * check_health.c - active and passive health: what is configured, said, concluded.
 */
#include "base/strbuf.h"
#include "config/form.h"
#include "config/load.h"
#include "upstream/backend.h"
#include "upstream/check.h"
#include "upstream/outlier.h"
#include "upstream/upstream.h"
#include <check.h>
#include <stdlib.h>

Suite *suite_health(void);

#define FRONT                                       \
	"listeners: [{bind: \"127.0.0.1:8080\"}]\n" \
	"upstreams:\n"                              \
	"  app:\n"
#define BACK                                            \
	"    backends:\n"                               \
	"      - {name: a, address: \"10.0.0.1:80\"}\n" \
	"      - {name: b, address: \"10.0.0.2:80\"}\n" \
	"      - {name: c, address: \"10.0.0.3:80\"}\n"

static struct config *
parse(const char *section, const char *expected_error)
{
	struct strbuf text = STRBUF_INIT, errors = STRBUF_INIT;
	struct config *c;

	strbuf_printf(&text, FRONT "%s" BACK, section);
	c = config_parse("r.yaml", text.data, text.len, NULL, &errors);
	ck_assert_str_eq(strbuf_cstr(&errors), expected_error);
	strbuf_fini(&text);
	strbuf_fini(&errors);
	return c;
}

/* ---- configuration ---- */

START_TEST(test_without_sections_nothing_is_checked_and_connections_count)
{
	struct config *c = parse("", "");
	const struct config_health *h = &c->upstreams[0].health;
	const struct config_outliers *o = &c->upstreams[0].outliers;

	ck_assert(!check_is_wanted(h));
	ck_assert_uint_eq(h->interval_ms, 5000);
	ck_assert_uint_eq(h->timeout_ms, 2000);
	ck_assert_uint_eq(h->rise, 2);
	ck_assert_uint_eq(h->fall, 3);
	ck_assert_str_eq(h->status, "200-399");
	ck_assert_uint_eq(o->connect_errors, 1);
	ck_assert_uint_eq(o->errors, 0);
	ck_assert_uint_eq(o->closes, 0);
	ck_assert_uint_eq(o->latency_ms, 0);
	ck_assert_uint_eq(o->slow, 5);
	ck_assert_uint_eq(o->eject_ms, 1000);
	ck_assert_uint_eq(o->max_eject_ms, 30000);
	ck_assert_uint_eq(o->max_ejected_percent, 50);
	ck_assert_uint_eq(c->resolver.n_servers, 0);
	config_free(c);
}
END_TEST

START_TEST(test_every_key_is_read)
{
	struct config *c = parse(
	    "    health: {http: \"/up?deep=1\", interval: 1s, timeout: 300ms, rise: "
	    "4,\n"
	    "      fall: 5, status: \"200,204-206\", body: all fine, host: \"x.y:8\",\n"
	    "      headers: {X-Probe: \"yes\"}}\n"
	    "    outliers: {connect_errors: 2, errors: 3, closes: 4, latency: 1s,\n"
	    "      slow: 6, eject: 2s, max_eject: 9s, max_ejected: 10%}\n",
	    "");
	const struct config_health *h = &c->upstreams[0].health;
	const struct config_outliers *o = &c->upstreams[0].outliers;

	ck_assert(check_is_wanted(h));
	ck_assert_str_eq(h->http, "/up?deep=1");
	ck_assert_uint_eq(h->interval_ms, 1000);
	ck_assert_uint_eq(h->timeout_ms, 300);
	ck_assert_uint_eq(h->rise, 4);
	ck_assert_uint_eq(h->fall, 5);
	ck_assert_str_eq(h->status, "200,204-206");
	ck_assert_str_eq(h->body, "all fine");
	ck_assert_str_eq(h->host, "x.y:8");
	ck_assert_uint_eq(h->n_headers, 1);
	ck_assert_str_eq(h->headers[0].name, "X-Probe");
	ck_assert_uint_eq(o->connect_errors, 2);
	ck_assert_uint_eq(o->errors, 3);
	ck_assert_uint_eq(o->closes, 4);
	ck_assert_uint_eq(o->latency_ms, 1000);
	ck_assert_uint_eq(o->slow, 6);
	ck_assert_uint_eq(o->eject_ms, 2000);
	ck_assert_uint_eq(o->max_eject_ms, 9000);
	ck_assert_uint_eq(o->max_ejected_percent, 10);
	config_free(c);
}
END_TEST

static const struct {
	const char *section, *expected;
} bad_sections[] = {
    {"    health: {http: /, tcp: true}\n",
	"r.yaml:3:3: upstreams.app.health: more than one kind of check, expected only "
	"one of http, tcp and websocket\n"},
    {"    health: {interval: 1s}\n",
	"r.yaml:4:24: upstreams.app.health.interval: means nothing here, expected it "
	"beside http, tcp or websocket\n"},
    {"    health: {tcp: true, host: a}\n", "r.yaml:4:31: upstreams.app.health.host: "
					   "means nothing here, expected it beside "
					   "http or websocket\n"},
    {"    health: {websocket: /, status: \"200\"}\n",
	"r.yaml:4:36: upstreams.app.health.status: means nothing here, expected it "
	"beside http\n"},
    {"    health: {http: /, status: \"200-\"}\n",
	"r.yaml:4:31: upstreams.app.health.status: bad value \"200-\", expected "
	"statuses and ranges such as 200-299,404\n"},
    {"    health: {http: up}\n", "r.yaml:4:20: upstreams.app.health.http: bad value "
				 "\"up\", expected a path that "
				 "begins with /\n"},
    {"    outliers: {eject: 60s}\n", "r.yaml:4:23: upstreams.app.outliers.max_eject: "
				     "shorter than eject, expected at "
				     "least as long\n"},
};

START_TEST(test_bad_section_is_refused)
{
	ck_assert_ptr_null(parse(bad_sections[_i].section, bad_sections[_i].expected));
}
END_TEST

START_TEST(test_status_sets)
{
	static const char *const bad[] = {"", "20", "2000", "200-", "-200", "200-199",
	    "200,", ",200", "200 204", "600", "099", "2xx", "200--204"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!form_is_status_set(str_of(bad[i])), "%s", bad[i]);
	ck_assert(form_is_status_set(STR("100-599")));
	ck_assert(form_status_set_has(STR("200"), 200));
	ck_assert(!form_status_set_has(STR("200"), 201));
	ck_assert(form_status_set_has(STR("404,200-204"), 204));
	ck_assert(form_status_set_has(STR("404,200-204"), 404));
	ck_assert(!form_status_set_has(STR("404,200-204"), 205));
}
END_TEST

/* ---- one check ---- */

static char path[] = "/up", statuses[] = "200-399", all_fine[] = "all fine";

static const struct config_health plain = {.http = path, .status = statuses};
static const struct config_health texted = {.http = path,
    .status = statuses,
    .body = all_fine};
static const struct config_health socket_check = {.websocket = path};

START_TEST(test_request_says_what_is_configured)
{
	char name[] = "X-Probe", value[] = "yes", host[] = "x.y";
	struct config_header header = {name, value};
	struct config_health conf = plain;
	struct strbuf out = STRBUF_INIT;

	conf.headers = &header;
	conf.n_headers = 1;
	check_write_request(&conf, "app.internal:3000", &out);
	ck_assert_str_eq(strbuf_cstr(&out),
	    "GET /up HTTP/1.1\r\nHost: app.internal:3000\r\n"
	    "User-Agent: roost-health\r\nX-Probe: yes\r\nConnection: close\r\n\r\n");
	strbuf_reset(&out);
	conf.host = host;
	check_write_request(&conf, "app.internal:3000", &out);
	ck_assert_ptr_nonnull(strstr(strbuf_cstr(&out), "\r\nHost: x.y\r\n"));
	strbuf_reset(&out);
	check_write_request(&plain, "unix:/run/app.sock", &out);
	ck_assert_ptr_nonnull(strstr(strbuf_cstr(&out), "\r\nHost: localhost\r\n"));
	strbuf_reset(&out);
	check_write_request(&socket_check, "srv:_a._tcp.b", &out);
	ck_assert_ptr_nonnull(strstr(strbuf_cstr(&out), "\r\nHost: _a._tcp.b\r\n"));
	ck_assert_ptr_nonnull(strstr(strbuf_cstr(&out), "\r\nUpgrade: websocket\r\n"));
	strbuf_fini(&out);
}
END_TEST

/* Feeds an answer in pieces of n bytes; at its end the connection ends. */
static enum check_verdict
judge(const struct config_health *conf, const char *answer, size_t n, char *why_r)
{
	size_t len = strlen(answer), at = 0;
	enum check_verdict verdict = CHECK_MORE;
	struct check c;

	check_init(&c, conf);
	for (; verdict == CHECK_MORE && at < len; at += n)
		verdict = check_take(&c, answer + at, len - at < n ? len - at : n);
	if (verdict == CHECK_MORE)
		verdict = check_end(&c);
	memcpy(why_r, c.why, sizeof c.why);
	check_fini(&c);
	return verdict;
}

static void
check_answer(const struct config_health *conf, const char *answer, const char *why)
{
	char said[CHECK_WHY];

	for (size_t n = 1; n <= strlen(answer) + 1; n++) {
		enum check_verdict verdict = judge(conf, answer, n, said);

		ck_assert_msg(verdict == (why ? CHECK_BAD : CHECK_GOOD), "%zu: %s", n,
		    answer);
		ck_assert_str_eq(said, why ? why : "");
	}
}

START_TEST(test_status_decides_without_a_body)
{
	check_answer(&plain, "HTTP/1.1 200 OK\r\n\r\n", NULL);
	check_answer(&plain, "HTTP/1.0 302 Found\r\nLocation: /\r\n\r\n", NULL);
	check_answer(&plain, "HTTP/1.1 503 No\r\n\r\n", "status 503");
	check_answer(&plain, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
	    NULL);
	check_answer(&plain, "HTTP/1.1 200 O", "closed without an answer");
	check_answer(&plain, "", "closed without an answer");
}
END_TEST

START_TEST(test_what_is_no_http_is_bad_at_once)
{
	char why[CHECK_WHY];

	ck_assert_int_eq(judge(&plain, "SSH-2.0-x\r\n", 100, why), CHECK_BAD);
	ck_assert_str_eq(why, "malformed response");
}
END_TEST

START_TEST(test_body_must_have_the_text)
{
	check_answer(&texted,
	    "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n<a>all fine<", NULL);
	check_answer(&texted,
	    "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n<a>all fine", NULL);
	check_answer(&texted, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nall fine",
	    "body lacks the text");
	check_answer(&texted, "HTTP/1.1 200 OK\r\n\r\nall is fine",
	    "body lacks the text");
	check_answer(&texted, "HTTP/1.1 200 OK\r\n\r\nall all fine", NULL);
	check_answer(&texted, "HTTP/1.1 204 No\r\n\r\n", "body lacks the text");
	check_answer(&texted, "HTTP/1.1 500 No\r\n\r\nall fine", "status 500");
}
END_TEST

START_TEST(test_text_is_found_across_chunks)
{
	check_answer(&texted,
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "5;x=y\r\n..all\r\n5\r\n fine\r\n0\r\n\r\n",
	    NULL);
	check_answer(&texted,
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "4\r\n.all\r\n0\r\n\r\n fine",
	    "body lacks the text");
	check_answer(&texted,
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
	    "malformed body");
}
END_TEST

START_TEST(test_only_64_kib_of_the_body_are_looked_at)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
	size_t filler = CHECK_BODY_MAX - strlen("all fine");
	struct strbuf text = STRBUF_INIT;
	char why[CHECK_WHY];

	for (unsigned more = 0; more <= 1; more++) {
		strbuf_reset(&text);
		strbuf_puts(&text, head);
		for (size_t i = 0; i < filler + more; i++)
			strbuf_puts(&text, ".");
		strbuf_puts(&text, "all fine");
		ck_assert_int_eq(judge(&texted, strbuf_cstr(&text), 1000, why),
		    more ? CHECK_BAD : CHECK_GOOD);
	}
	strbuf_fini(&text);
}
END_TEST

START_TEST(test_endless_head_is_bad)
{
	struct strbuf text = STRBUF_INIT;
	char why[CHECK_WHY];

	strbuf_puts(&text, "HTTP/1.1 200 OK\r\nX: ");
	for (size_t i = 0; i < 2 * HEAD_MAX_BYTES; i++)
		strbuf_puts(&text, "x");
	ck_assert_int_eq(judge(&plain, strbuf_cstr(&text), 100, why), CHECK_BAD);
	ck_assert_str_eq(why, "malformed response");
	strbuf_fini(&text);
}
END_TEST

/* As many as come with one read. */
START_TEST(test_thousands_of_interim_heads_are_passed_over)
{
	static const char interim[] = "HTTP/1.1 100 \r\n\r\n";
	struct strbuf text = STRBUF_INIT;
	char why[CHECK_WHY];

	while (text.len < 65536 - sizeof interim)
		strbuf_puts(&text, interim);
	ck_assert_int_eq(judge(&plain, strbuf_cstr(&text), text.len, why), CHECK_BAD);
	ck_assert_str_eq(why, "closed without an answer");
	strbuf_puts(&text, "HTTP/1.1 200 OK\r\n\r\n");
	ck_assert_int_eq(judge(&plain, strbuf_cstr(&text), text.len, why), CHECK_GOOD);
	strbuf_fini(&text);
}
END_TEST

START_TEST(test_websocket_needs_the_right_answer)
{
	check_answer(&socket_check,
	    "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
	    NULL);
	check_answer(&socket_check,
	    "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: c3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
	    "wrong answer to the WebSocket handshake");
	check_answer(&socket_check, "HTTP/1.1 200 OK\r\n\r\n",
	    "status 200 instead of 101");
}
END_TEST

/* ---- several checks ---- */

/* Results in order, + and -; expected: what is believed after each, u(p) or d(own). */
static void
check_health(unsigned rise, unsigned fall, const char *results, const char *expected)
{
	struct health h = {0};
	bool was = false;

	for (size_t i = 0; results[i]; i++) {
		bool changed = health_note(&h, results[i] == '+', rise, fall);

		ck_assert_msg(h.bad == (expected[i] == 'd'), "%s at %zu", results, i);
		ck_assert_int_eq(changed, h.bad != was);
		was = h.bad;
	}
}

START_TEST(test_rise_and_fall_count_in_a_row)
{
	check_health(2, 3, "+--+---", "uuuuuud");
	check_health(2, 3, "---+-++--+---", "uudddduuuuuud");
	check_health(1, 1, "-+-+", "dudu");
	check_health(3, 1, "-++-+++", "ddddddu");
	check_health(2, 2, "", "");
}
END_TEST

/* ---- outliers ---- */

START_TEST(test_time_doubles_up_to_its_end)
{
	static const uint64_t expected[] = {1000, 2000, 4000, 8000, 16000, 30000,
	    30000};

	for (uint32_t n = 1; n <= 7; n++)
		ck_assert_uint_eq(outlier_eject_ms(1000, 30000, n, 30),
		    expected[n - 1]);
	ck_assert_uint_eq(outlier_eject_ms(1000, 30000, UINT32_MAX, 30), 30000);
	ck_assert_uint_eq(outlier_eject_ms(1000, 30000, 1, 0), 700);
	ck_assert_uint_eq(outlier_eject_ms(1000, 30000, 1, 60), 1300);
}
END_TEST

START_TEST(test_share_that_may_be_out)
{
	ck_assert(!outlier_may_eject(1, 0, 1, 100)); /* the last one stays */
	ck_assert(outlier_may_eject(2, 0, 2, 50));
	ck_assert(!outlier_may_eject(2, 0, 1, 50));
	ck_assert(outlier_may_eject(10, 4, 6, 50));
	ck_assert(!outlier_may_eject(10, 5, 5, 50));
	ck_assert(outlier_may_eject(3, 0, 3, 10)); /* one always */
	ck_assert(!outlier_may_eject(3, 1, 2, 10));
	ck_assert(!outlier_may_eject(3, 0, 3, 0));
	ck_assert(outlier_may_eject(3, 1, 2, 100));
}
END_TEST

static struct snapshot *snapshot;
static const struct upstream *up;
static struct backend *a, *b, *c;

static void
configure(const char *outliers)
{
	struct strbuf text = STRBUF_INIT;
	struct snapshot *newer;

	strbuf_printf(&text, "    outliers: {%s}\n", outliers);
	newer = snapshot_new(parse(strbuf_cstr(&text), ""), snapshot);
	strbuf_fini(&text);
	if (snapshot)
		snapshot_put(snapshot);
	snapshot = newer;
	up = &snapshot->upstreams[0];
	a = up->backends[0];
	b = up->backends[1];
	c = up->backends[2];
}

static void
fresh_snapshot(void)
{
	log_set_level(LEVEL_ERROR + 1);
	snapshot = NULL;
}

static void
drop_snapshot(void)
{
	snapshot_put(snapshot);
}

static void
answers(struct backend *of, unsigned n, bool bad, uint64_t now_ms)
{
	while (n--)
		outlier_note_answer(up, of, bad, 0, now_ms, 30);
}

START_TEST(test_bad_answers_in_a_row_eject)
{
	configure("errors: 3");
	answers(a, 2, true, 1000);
	answers(a, 1, false, 1000);
	answers(a, 2, true, 1000);
	ck_assert_int_eq(backend_use(a, 1000), BACKEND_USABLE);
	answers(a, 1, true, 1000);
	ck_assert_int_eq(backend_use(a, 1000), BACKEND_EJECTED);
	ck_assert(!backend_is_leaving(a, 1000));
	ck_assert_int_eq(backend_use(a, 1999), BACKEND_EJECTED);
	ck_assert_int_eq(backend_use(a, 2000), BACKEND_USABLE);
	ck_assert_int_eq(backend_use(b, 1000), BACKEND_USABLE);
}
END_TEST

START_TEST(test_ejected_again_stays_out_longer_and_time_forgives)
{
	configure("errors: 1");
	answers(a, 1, true, 1000);
	answers(a, 5, true, 1500); /* what is still under way */
	ck_assert_int_eq(backend_use(a, 2000), BACKEND_USABLE);
	answers(a, 1, true, 2000);
	ck_assert_int_eq(backend_use(a, 3999), BACKEND_EJECTED);
	ck_assert_int_eq(backend_use(a, 4000), BACKEND_USABLE);
	answers(a, 1, true, 34000);
	ck_assert_int_eq(backend_use(a, 34999), BACKEND_EJECTED);
	ck_assert_int_eq(backend_use(a, 35000), BACKEND_USABLE);
}
END_TEST

START_TEST(test_only_so_many_are_ejected)
{
	configure("errors: 1, max_ejected: 70%");
	answers(a, 1, true, 1000);
	answers(b, 1, true, 1000);
	answers(c, 1, true, 1000);
	ck_assert_int_eq(backend_use(a, 1000), BACKEND_EJECTED);
	ck_assert_int_eq(backend_use(b, 1000), BACKEND_EJECTED);
	ck_assert_int_eq(backend_use(c, 1000), BACKEND_USABLE);
}
END_TEST

START_TEST(test_last_one_in_service_stays)
{
	configure("errors: 1, max_ejected: 100%");
	atomic_store(&b->unhealthy_since_ms, 1);
	backend_mark_failed(c, 1000, 30);
	answers(a, 1, true, 1000);
	ck_assert_int_eq(backend_use(a, 1000), BACKEND_USABLE);
	ck_assert_int_eq(backend_use(b, 1000), BACKEND_UNHEALTHY);
	ck_assert(backend_is_leaving(b, 1000));
}
END_TEST

START_TEST(test_slow_answers_eject)
{
	configure("latency: 100ms, slow: 2");
	outlier_note_answer(up, a, false, 101, 1000, 30);
	outlier_note_answer(up, a, false, 100, 1000, 30);
	outlier_note_answer(up, a, true, 101, 1000, 30);
	ck_assert_int_eq(backend_use(a, 1000), BACKEND_USABLE);
	outlier_note_answer(up, a, false, 500, 1000, 30);
	ck_assert_int_eq(backend_use(a, 1000), BACKEND_EJECTED);
}
END_TEST

START_TEST(test_abnormal_ends_eject)
{
	struct random random;

	random_seed(&random, 1);
	configure("closes: 2");
	outlier_session_ended(up, a, true, 1006, &random);
	outlier_session_ended(up, a, false, 1006, &random); /* the client's */
	outlier_session_ended(up, a, true, 1011, &random);
	ck_assert_uint_eq(atomic_load(&a->outlier.ejected_until_ms), 0);
	outlier_session_ended(up, a, true, 1006, &random);
	ck_assert_uint_ne(atomic_load(&a->outlier.ejected_until_ms), 0);
}
END_TEST

START_TEST(test_off_means_nothing_is_counted)
{
	struct random random;

	random_seed(&random, 1);
	configure("");
	outlier_answered(up, a, 503, 0, &random);
	outlier_failed(up, a, REASON_BACKEND_LOST, &random);
	outlier_session_ended(up, a, true, 1006, &random);
	ck_assert_uint_eq(atomic_load(&a->outlier.errors), 0);
	ck_assert_uint_eq(atomic_load(&a->outlier.closes), 0);
}
END_TEST

START_TEST(test_which_answers_and_failures_are_bad)
{
	static const unsigned bad[] = {500, 502, 503, 504};
	static const unsigned fine[] = {101, 200, 404, 429, 501, 505, 599};
	struct random random;

	random_seed(&random, 1);
	configure("errors: 1000");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		outlier_answered(up, a, bad[i], 0, &random);
	ck_assert_uint_eq(atomic_load(&a->outlier.errors), 4);
	outlier_failed(up, a, REASON_BACKEND_LOST, &random);
	outlier_failed(up, a, REASON_FIRST_BYTE_TIMEOUT, &random);
	outlier_failed(up, a, REASON_BAD_RESPONSE, &random);
	outlier_failed(up, a, REASON_RESPONSE_TIMEOUT, &random);
	ck_assert_uint_eq(atomic_load(&a->outlier.errors), 8);
	outlier_failed(up, a, REASON_CONNECT_FAILED, &random);
	outlier_failed(up, a, REASON_CLIENT_GONE, &random);
	ck_assert_uint_eq(atomic_load(&a->outlier.errors), 8);
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		atomic_store(&a->outlier.errors, 1);
		outlier_answered(up, a, fine[i], 0, &random);
		ck_assert_uint_eq(atomic_load(&a->outlier.errors), 0);
	}
}
END_TEST

START_TEST(test_refused_connections_count_as_configured)
{
	configure("connect_errors: 3, eject: 2s");
	backend_mark_failed(a, 1000, 30);
	backend_mark_failed(a, 1000, 30);
	ck_assert_int_eq(backend_use(a, 1000), BACKEND_USABLE);
	backend_mark_ok(a);
	backend_mark_failed(a, 1000, 30);
	backend_mark_failed(a, 1000, 30);
	ck_assert_int_eq(backend_use(a, 1000), BACKEND_USABLE);
	backend_mark_failed(a, 1000, 30);
	ck_assert_int_eq(backend_use(a, 2999), BACKEND_FAILING);
	ck_assert_int_eq(backend_use(a, 3000), BACKEND_USABLE);
	backend_mark_failed(a, 3000, 30); /* still in the same row */
	ck_assert_int_eq(backend_use(a, 6999), BACKEND_FAILING);
	configure("connect_errors: 0");
	backend_mark_failed(b, 1000, 30);
	ck_assert_int_eq(backend_use(b, 1000), BACKEND_USABLE);
}
END_TEST

START_TEST(test_panic_lasts_until_one_is_well)
{
	struct panics p = {0};

	configure("");
	panics_look(&p, snapshot, 1000);
	ck_assert_uint_eq(p.n, 0);
	atomic_store(&a->unhealthy_since_ms, 1);
	backend_mark_failed(b, 1000, 30);
	panics_look(&p, snapshot, 1000);
	ck_assert_uint_eq(p.n, 0); /* c is there */
	atomic_store(&c->admin_state, BACKEND_DOWN);
	panics_look(&p, snapshot, 1000);
	ck_assert_uint_eq(p.n, 1);
	panics_look(&p, snapshot, 5000); /* nobody has asked b since */
	ck_assert_uint_eq(p.n, 1);
	atomic_store(&a->unhealthy_since_ms, 0);
	panics_look(&p, snapshot, 5000);
	ck_assert_uint_eq(p.n, 0);
	atomic_store(&a->admin_state, BACKEND_DOWN);
	atomic_store(&b->admin_state, BACKEND_DOWN);
	panics_look(&p, snapshot, 5000); /* out by order */
	ck_assert_uint_eq(p.n, 1);
	ck_assert(p.all[0].by_order);
	atomic_store(&c->admin_state, BACKEND_UP);
	atomic_store(&c->unhealthy_since_ms, 1);
	panics_look(&p, snapshot, 5000);
	ck_assert_uint_eq(p.n, 1);
	ck_assert(!p.all[0].by_order); /* c is asked now */
	atomic_store(&c->unhealthy_since_ms, 0);
	panics_look(&p, snapshot, 5000);
	ck_assert_uint_eq(p.n, 0);
	panics_fini(&p);
}
END_TEST

Suite *
suite_health(void)
{
	Suite *s = suite_create("health");
	TCase *t = tcase_create("configuration");

	tcase_add_test(t,
	    test_without_sections_nothing_is_checked_and_connections_count);
	tcase_add_test(t, test_every_key_is_read);
	tcase_add_loop_test(t, test_bad_section_is_refused, 0,
	    (int)(sizeof(bad_sections) / sizeof(bad_sections[0])));
	tcase_add_test(t, test_status_sets);
	suite_add_tcase(s, t);

	t = tcase_create("check");
	tcase_add_test(t, test_request_says_what_is_configured);
	tcase_add_test(t, test_status_decides_without_a_body);
	tcase_add_test(t, test_what_is_no_http_is_bad_at_once);
	tcase_add_test(t, test_body_must_have_the_text);
	tcase_add_test(t, test_text_is_found_across_chunks);
	tcase_add_test(t, test_only_64_kib_of_the_body_are_looked_at);
	tcase_add_test(t, test_endless_head_is_bad);
	tcase_add_test(t, test_thousands_of_interim_heads_are_passed_over);
	tcase_add_test(t, test_websocket_needs_the_right_answer);
	tcase_add_test(t, test_rise_and_fall_count_in_a_row);
	suite_add_tcase(s, t);

	t = tcase_create("outliers");
	tcase_add_checked_fixture(t, fresh_snapshot, drop_snapshot);
	tcase_add_test(t, test_bad_answers_in_a_row_eject);
	tcase_add_test(t, test_ejected_again_stays_out_longer_and_time_forgives);
	tcase_add_test(t, test_only_so_many_are_ejected);
	tcase_add_test(t, test_last_one_in_service_stays);
	tcase_add_test(t, test_slow_answers_eject);
	tcase_add_test(t, test_abnormal_ends_eject);
	tcase_add_test(t, test_off_means_nothing_is_counted);
	tcase_add_test(t, test_which_answers_and_failures_are_bad);
	tcase_add_test(t, test_refused_connections_count_as_configured);
	tcase_add_test(t, test_panic_lasts_until_one_is_well);
	suite_add_tcase(s, t);

	t = tcase_create("arithmetic");
	tcase_add_test(t, test_time_doubles_up_to_its_end);
	tcase_add_test(t, test_share_that_may_be_out);
	suite_add_tcase(s, t);
	return s;
}
