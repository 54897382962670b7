# SPDX-License-Identifier: MIT
# make check: unit tests, corpora of the fuzz targets, docs against code.
# make check-integration: the built binary with real peers (needs pytest and node).

if HAVE_CHECK
check_PROGRAMS += tests/unit/check
TESTS += tests/unit/check
endif

tests_unit_check_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(BROTLI_DECODER_CFLAGS)
tests_unit_check_LDADD = $(LDADD) $(CHECK_LIBS) $(BROTLI_DECODER_LIBS)
tests_unit_check_SOURCES = \
	tests/unit/main.c \
	tests/unit/rig.c tests/unit/rig.h \
	tests/unit/stand.c tests/unit/stand.h \
	tests/unit/steering.c tests/unit/steering.h \
	tests/unit/simulator.h tests/unit/simulator_people.c \
	tests/unit/simulator_workers.c tests/unit/simulator_law.c \
	tests/unit/suites.def \
	tests/unit/yaml_rig.c tests/unit/yaml_rig.h \
	tests/unit/check_access_log.c \
	tests/unit/check_addr.c \
	tests/unit/check_amend.c \
	tests/unit/check_app_heartbeat.c \
	tests/unit/check_balance.c \
	tests/unit/check_base.c \
	tests/unit/check_books.c \
	tests/unit/check_bridge.c \
	tests/unit/check_chaos.c \
	tests/unit/check_choose.c \
	tests/unit/check_chunk.c \
	tests/unit/check_client_key.c \
	tests/unit/check_close_table.c \
	tests/unit/check_compress.c \
	tests/unit/check_config.c \
	tests/unit/check_config_diff.c \
	tests/unit/check_config_routes.c \
	tests/unit/check_cookie.c \
	tests/unit/check_ctl.c \
	tests/unit/check_edits.c \
	tests/unit/check_endpoints.c \
	tests/unit/check_errands.c \
	tests/unit/check_estate.c \
	tests/unit/check_files.c \
	tests/unit/check_forwarded.c \
	tests/unit/check_frame.c \
	tests/unit/check_handshake.c \
	tests/unit/check_head.c \
	tests/unit/check_health.c \
	tests/unit/check_heartbeat.c \
	tests/unit/check_heritage.c \
	tests/unit/check_io.c \
	tests/unit/check_log.c \
	tests/unit/check_moves.c \
	tests/unit/check_names.c \
	tests/unit/check_pins.c \
	tests/unit/check_pins_pass.c \
	tests/unit/check_planner.c \
	tests/unit/check_policies.c \
	tests/unit/check_proxy_protocol.c \
	tests/unit/check_quota.c \
	tests/unit/check_replay.c \
	tests/unit/check_reply.c \
	tests/unit/check_response.c \
	tests/unit/check_router.c \
	tests/unit/check_session.c \
	tests/unit/check_simulator.c \
	tests/unit/check_sink.c \
	tests/unit/check_sockets.c \
	tests/unit/check_stream.c \
	tests/unit/check_template.c \
	tests/unit/check_timer.c \
	tests/unit/check_utf8.c

# One program per pure parser. Without --enable-fuzzer they replay their corpus.
fuzz_programs = \
	tests/fuzz/fuzz_check \
	tests/fuzz/fuzz_chunk \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_dns \
	tests/fuzz/fuzz_estate \
	tests/fuzz/fuzz_forwarded \
	tests/fuzz/fuzz_frame \
	tests/fuzz/fuzz_handshake \
	tests/fuzz/fuzz_head \
	tests/fuzz/fuzz_headers \
	tests/fuzz/fuzz_line \
	tests/fuzz/fuzz_peek \
	tests/fuzz/fuzz_proxy \
	tests/fuzz/fuzz_replay \
	tests/fuzz/fuzz_response \
	tests/fuzz/fuzz_route \
	tests/fuzz/fuzz_text

if FUZZER
fuzz_driver = tests/fuzz/fuzz.h
else
fuzz_driver = tests/fuzz/fuzz.h tests/fuzz/replay.c
endif

check_PROGRAMS += $(fuzz_programs)
tests_fuzz_fuzz_check_SOURCES = tests/fuzz/fuzz_check.c $(fuzz_driver)
tests_fuzz_fuzz_check_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_chunk_SOURCES = tests/fuzz/fuzz_chunk.c $(fuzz_driver)
tests_fuzz_fuzz_chunk_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c $(fuzz_driver)
tests_fuzz_fuzz_config_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_dns_SOURCES = tests/fuzz/fuzz_dns.c $(fuzz_driver)
tests_fuzz_fuzz_dns_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_estate_SOURCES = tests/fuzz/fuzz_estate.c $(fuzz_driver)
tests_fuzz_fuzz_estate_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_forwarded_SOURCES = tests/fuzz/fuzz_forwarded.c $(fuzz_driver)
tests_fuzz_fuzz_forwarded_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c $(fuzz_driver)
tests_fuzz_fuzz_frame_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_handshake_SOURCES = tests/fuzz/fuzz_handshake.c $(fuzz_driver)
tests_fuzz_fuzz_handshake_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_head_SOURCES = tests/fuzz/fuzz_head.c $(fuzz_driver)
tests_fuzz_fuzz_head_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_headers_SOURCES = tests/fuzz/fuzz_headers.c $(fuzz_driver)
tests_fuzz_fuzz_headers_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_line_SOURCES = tests/fuzz/fuzz_line.c $(fuzz_driver)
tests_fuzz_fuzz_line_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_peek_SOURCES = tests/fuzz/fuzz_peek.c $(fuzz_driver)
tests_fuzz_fuzz_peek_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_proxy_SOURCES = tests/fuzz/fuzz_proxy.c $(fuzz_driver)
tests_fuzz_fuzz_proxy_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_replay_SOURCES = tests/fuzz/fuzz_replay.c $(fuzz_driver)
tests_fuzz_fuzz_replay_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_response_SOURCES = tests/fuzz/fuzz_response.c $(fuzz_driver)
tests_fuzz_fuzz_response_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_route_SOURCES = tests/fuzz/fuzz_route.c $(fuzz_driver)
tests_fuzz_fuzz_route_LDFLAGS = $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_text_SOURCES = tests/fuzz/fuzz_text.c $(fuzz_driver)
tests_fuzz_fuzz_text_LDFLAGS = $(FUZZER_LDFLAGS)

TESTS += tests/fuzz/replay_corpora.sh
EXTRA_DIST += tests/fuzz/replay_corpora.sh tests/fuzz/replay.c tests/fuzz/corpus \
	tests/fuzz/config.dict

TESTS += tests/docs/check_docs.sh
EXTRA_DIST += tests/docs/check_docs.sh

# what the test scripts need to know
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir;

EXTRA_DIST += tests/integration tests/bench

check-integration: roost
	cd $(srcdir)/tests/integration && ROOST='$(abs_top_builddir)/roost' \
	  /usr/bin/python3 -B -m pytest -p no:cacheprovider -q $(PYTEST_ARGS)
.PHONY: check-integration
