# SPDX-License-Identifier: MIT
# Everything but main() is one internal library; daemon, tests and fuzzers link it.

noinst_LIBRARIES += libroost.a
libroost_a_SOURCES =

# tools that know nothing of proxying
libroost_a_SOURCES += \
	src/base/addr.c src/base/addr.h \
	src/base/append.c src/base/append.h \
	src/base/banned.h \
	src/base/causes.c src/base/causes.def src/base/causes.h \
	src/base/clock.c src/base/clock.h \
	src/base/hash.c src/base/hash.h \
	src/base/log.c src/base/log.h \
	src/base/log_kinds.def \
	src/base/log_line.c src/base/log_line.h \
	src/base/log_target.c src/base/log_target.h \
	src/base/object.h \
	src/base/random.c src/base/random.h \
	src/base/reasons.c src/base/reasons.def src/base/reasons.h \
	src/base/sink.c src/base/sink.h \
	src/base/str.h \
	src/base/strbuf.c src/base/strbuf.h \
	src/base/template.c src/base/template.h \
	src/base/thread.c src/base/thread.h

# one event base and what belongs to it
libroost_a_SOURCES += \
	src/loop/bridge.c src/loop/bridge.h \
	src/loop/counters.c src/loop/counters.def src/loop/counters.h \
	src/loop/graveyard.c src/loop/graveyard.h \
	src/loop/histogram.c src/loop/histogram.h \
	src/loop/io.c src/loop/io.h \
	src/loop/loop.c src/loop/loop.h \
	src/loop/mailbox.c src/loop/mailbox.h \
	src/loop/timer.c src/loop/timer.h

# YAML to an immutable struct
libroost_a_SOURCES += \
	src/config/arena.c \
	src/config/arena.h \
	src/config/check.c \
	src/config/config.h \
	src/config/diff.c \
	src/config/dump.c \
	src/config/fill.c \
	src/config/flags.c \
	src/config/form.c \
	src/config/form.h \
	src/config/identity.c \
	src/config/identity.h \
	src/config/lists.c \
	src/config/load.c \
	src/config/load.h \
	src/config/load_private.h \
	src/config/nearest.c \
	src/config/nearest.h \
	src/config/pages.c \
	src/config/routes.c \
	src/config/schema.c \
	src/config/schema.h \
	src/config/schema_walk.c \
	src/config/syntax.c \
	src/config/syntax.h \
	src/config/value.c \
	src/config/value.h \
	src/config/yaml.c \
	src/config/yaml.h

# sockets, before any HTTP
libroost_a_SOURCES += \
	src/net/dial.c src/net/dial.h \
	src/net/listener.c src/net/listener.h \
	src/net/proxy_protocol.c src/net/proxy_protocol.h \
	src/net/queue.c src/net/queue.h \
	src/net/socket.c src/net/socket.h \
	src/net/stream.c src/net/stream.h

# HTTP/1 messages: pure parsers
libroost_a_SOURCES += \
	src/message/chunk.c src/message/chunk.h \
	src/message/fields.c src/message/fields.h \
	src/message/forwarded.c src/message/forwarded.h \
	src/message/head.c src/message/head.h \
	src/message/response.c src/message/response.h \
	src/message/scan.h

# choosing one of many
libroost_a_SOURCES += \
	src/balance/balance.c src/balance/balance.h \
	src/balance/latency.c src/balance/latency.h \
	src/balance/least_sessions.c \
	src/balance/p2c.c \
	src/balance/policies.h \
	src/balance/rendezvous.c \
	src/balance/round_robin.c

# the backends behind us
libroost_a_SOURCES += \
	src/upstream/amend.c src/upstream/amend.h \
	src/upstream/backend.c src/upstream/backend.h \
	src/upstream/books.c src/upstream/books.h \
	src/upstream/check.c src/upstream/check.h \
	src/upstream/conn.c src/upstream/conn.h \
	src/upstream/dns.c src/upstream/dns.h \
	src/upstream/outlier.c src/upstream/outlier.h \
	src/upstream/pace.c src/upstream/pace.h \
	src/upstream/pool.c src/upstream/pool.h \
	src/upstream/probe.c src/upstream/probe.h \
	src/upstream/resolver.c src/upstream/resolver.h \
	src/upstream/upstream.c src/upstream/upstream.h \
	src/upstream/view.c src/upstream/view.h

# who is it and where does it go
libroost_a_SOURCES += \
	src/route/choose.c src/route/choose.h \
	src/route/claim.c \
	src/route/client_key.c src/route/client_key.h \
	src/route/cookie.c src/route/cookie.h \
	src/route/dry_run.c \
	src/route/edits.c src/route/edits.h \
	src/route/errands.c \
	src/route/leaving.c \
	src/route/path.c src/route/path.h \
	src/route/pins.c src/route/pins.h src/route/pins_private.h \
	src/route/pins_pass.c \
	src/route/pins_walk.c \
	src/route/planner.c src/route/planner.h src/route/planner_private.h \
	src/route/quota.c src/route/quota.h \
	src/route/router.c src/route/router.h \
	src/route/surplus.c \
	src/route/targets.c \
	src/route/watch.c

# from bytes to exchange and back
libroost_a_SOURCES += \
	src/http/access_log.c src/http/access_log.h \
	src/http/body.c \
	src/http/compress.c src/http/compress.h \
	src/http/door.c src/http/door.h \
	src/http/exchange.c src/http/exchange.h src/http/exchange_private.h \
	src/http/headers.c src/http/headers.h \
	src/http/pieces.c src/http/pieces.h \
	src/http/preface.c \
	src/http/prepare.c \
	src/http/record.c \
	src/http/relay.c \
	src/http/reply.c src/http/reply.h \
	src/http/waiting.c

# WebSocket sessions
libroost_a_SOURCES += \
	src/ws/answers.c src/ws/answers.h \
	src/ws/app_heartbeat.c src/ws/app_heartbeat.h \
	src/ws/close_table.c src/ws/close_table.h \
	src/ws/describe.c src/ws/describe.h \
	src/ws/ending.c \
	src/ws/frame.c src/ws/frame.h \
	src/ws/half.c src/ws/half.h \
	src/ws/handshake.c src/ws/handshake.h \
	src/ws/heartbeat.c src/ws/heartbeat.h \
	src/ws/history.c src/ws/history.h \
	src/ws/peek.c src/ws/peek.h \
	src/ws/reaper.c \
	src/ws/registry.c src/ws/registry.h \
	src/ws/rehome.c src/ws/rehome.h src/ws/rehome_private.h \
	src/ws/rehome_cut.c \
	src/ws/rehome_dial.c \
	src/ws/unsent.c src/ws/away.c \
	src/ws/rehome_replay.c \
	src/ws/replay.c src/ws/replay.h \
	src/ws/seat.c \
	src/ws/session.c src/ws/session.h \
	src/ws/session_private.h \
	src/ws/upgrade.c \
	src/ws/utf8.c src/ws/utf8.h \
	src/ws/watch.c

# looking in and steering
libroost_a_SOURCES += \
	src/admin/api.c src/admin/api.h src/admin/api_private.h \
	src/admin/backends.c \
	src/admin/call.c \
	src/admin/endpoints.c src/admin/endpoints.def src/admin/endpoints.h \
	src/admin/explain.c \
	src/admin/kick.c \
	src/admin/metrics.c src/admin/metrics.def src/admin/metrics.h \
	src/admin/metrics_process.c \
	src/admin/metrics_sources.c src/admin/metrics_sources.h \
	src/admin/moves.c \
	src/admin/operate.c \
	src/admin/sessions.c \
	src/admin/survey.c src/admin/survey.h \
	src/admin/token.c src/admin/token.h \
	src/admin/views.c \
	src/admin/waits.c

# puts it all together
libroost_a_SOURCES += \
	src/daemon/bequest.c \
	src/daemon/control.h \
	src/daemon/daemon.c src/daemon/daemon.h \
	src/daemon/ears.c src/daemon/ears.h \
	src/daemon/estate.c src/daemon/estate.h \
	src/daemon/files.c src/daemon/files.h \
	src/daemon/heir.c \
	src/daemon/heritage.c src/daemon/heritage.h \
	src/daemon/host.c \
	src/daemon/name_check.c src/daemon/name_check.h \
	src/daemon/names.c \
	src/daemon/preflight.c src/daemon/preflight.h \
	src/daemon/process.c src/daemon/process.h \
	src/daemon/pulse.c \
	src/daemon/reload.c \
	src/daemon/signals.c \
	src/daemon/slips.c src/daemon/slips.h \
	src/daemon/sockets.c src/daemon/sockets.h \
	src/daemon/systemd.h \
	src/daemon/upgrade.c \
	src/daemon/worker.c src/daemon/worker.h
if HAVE_SYSTEMD
libroost_a_SOURCES += src/daemon/systemd.c
else
libroost_a_SOURCES += src/daemon/systemd_none.c
endif

# roostctl, a small program on the admin API
libroost_a_SOURCES += \
	src/ctl/act.c src/ctl/ailing.c \
	src/ctl/arguments.c src/ctl/arguments.h src/ctl/flags.def \
	src/ctl/ask.c \
	src/ctl/client.c src/ctl/client.h \
	src/ctl/commands.c src/ctl/commands.def src/ctl/ctl.h \
	src/ctl/complete.c \
	src/ctl/help.c \
	src/ctl/manage.c \
	src/ctl/out.c src/ctl/out.h \
	src/ctl/picture.c src/ctl/picture.h \
	src/ctl/screen.c src/ctl/screen.h \
	src/ctl/server.c \
	src/ctl/show_backends.c \
	src/ctl/show_moves.c \
	src/ctl/show_pins.c \
	src/ctl/show_sessions.c \
	src/ctl/status.c \
	src/ctl/table.c src/ctl/table.h

sbin_PROGRAMS += roost
roost_SOURCES = src/main.c

sbin_PROGRAMS += roostctl
roostctl_SOURCES = src/ctl/main.c
