# SPDX-License-Identifier: MIT
"""Bodies compressed on the way: when, by which coding, and what the head says about it.
What comes out is undone by Python's zlib, and brotli by node's."""

import shutil
import subprocess
import threading
import zlib

import pytest
from peers.client import Cut, RawClient
from peers.roost import run, settings
from peers.waiting import let_pass, wait_until
from peers.yaml_text import to_yaml

PAGE = b"".join(b"<p>paragraph %d of the page, much like the others</p>\n" % i
                for i in range(400))
BOTH = [("Accept-Encoding", "gzip, deflate, br")]
GZIP = [("Accept-Encoding", "gzip")]


def gunzip(data):
    d = zlib.decompressobj(15 + 16)
    out = d.decompress(data)
    assert d.eof and not d.unused_data
    return out


def unbrotli(data):
    done = subprocess.run(
        ["node", "-e",
         "const fs=require('fs');process.stdout.write("
         "require('zlib').brotliDecompressSync(fs.readFileSync(0)))"],
        input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def page(*headers, status=200, body=PAGE, type="text/html"):
    """A script that answers with that head and body; HEAD gets the head."""
    lines = [f"HTTP/1.1 {status} Text", *headers]
    if type:
        lines.append(f"Content-Type: {type}")
    if not any(h.lower().startswith("transfer-encoding") for h in headers):
        lines.append(f"Content-Length: {len(body)}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()

    def script(sock, request):
        sock.sendall(head if request.startswith(b"HEAD ") else head + body)

    return script


def compressing(stage, script, **compress):
    """A roost that compresses what the script answers."""
    config = settings([{"name": "s", "address": stage.scripted(script).address}])
    config["routes"][0]["compress"] = {"codings": ["gzip"], **compress}
    return stage.roost(config)


def get(roost, headers=GZIP, method="GET"):
    with RawClient(roost.address) as c:
        return c.request(method, "/", headers)


def varies(r):
    names = [n.strip().lower() for v in r.all("Vary") for n in v.split(",")]
    return names.count("accept-encoding")


def check_compressed(r, body=PAGE):
    assert r.all("Content-Encoding") == ["gzip"]
    assert r.header("Content-Length") is None
    assert varies(r) == 1
    assert gunzip(r.body) == body


def check_untouched(r, body=PAGE):
    assert r.header("Content-Length") == str(len(body))
    assert r.body == body


# --- how


@pytest.mark.quick
def test_gzip(stage):
    r = get(compressing(stage, page()))
    check_compressed(r)
    assert len(r.body) < len(PAGE) / 5
    assert r.header("Transfer-Encoding") == "chunked"


def test_brotli(stage):
    config = settings([{"name": "s", "address": stage.scripted(page()).address}])
    config["routes"][0]["compress"] = {"codings": ["gzip", "br"]}
    file = stage.directory / "try.yaml"
    file.write_text(to_yaml(config))
    if "without brotli" in run("-t", "-c", str(file)).stderr:
        pytest.skip("built without brotli")
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    roost = stage.roost(config)
    r = get(roost, BOTH)
    assert r.all("Content-Encoding") == ["br"]
    assert unbrotli(r.body) == PAGE
    check_compressed(get(roost, [("Accept-Encoding", "br;q=0.5, gzip;q=0.6")]))


@pytest.mark.parametrize("headers", [
    [], [("Accept-Encoding", "identity")], [("Accept-Encoding", "gzip;q=0")],
    [("Accept-Encoding", "br")], [("Accept-Encoding", "")],
])
def test_clients_that_do_not_want_it(stage, headers):
    r = get(compressing(stage, page()), headers)
    check_untouched(r)
    assert r.header("Content-Encoding") is None
    assert varies(r) == 1  # a cache must know that others do


def test_wish_on_several_lines(stage):
    r = get(compressing(stage, page()),
            [("Accept-Encoding", "br"), ("Accept-Encoding", "gzip")])
    check_compressed(r)


def test_backend_still_hears_what_the_client_accepts(stage):
    backend = stage.scripted(page())
    config = settings([{"name": "s", "address": backend.address}])
    config["routes"][0]["compress"] = {"codings": ["gzip"]}
    get(stage.roost(config))
    assert b"accept-encoding: gzip\r\n" in backend.heads[0].lower()


def test_off_unless_asked_for(stage):
    config = settings([{"name": "s", "address": stage.scripted(page()).address}])
    r = get(stage.roost(config), BOTH)
    check_untouched(r)
    assert not r.all("Vary") and not r.all("Content-Encoding")


def test_only_where_the_route_says_so(stage):
    config = settings([{"name": "s", "address": stage.scripted(page()).address}])
    config["routes"].insert(
        0, {"path": "/packed", "upstream": "app", "compress": {"codings": ["gzip"]}})
    roost = stage.roost(config)
    with RawClient(roost.address) as c:
        check_compressed(c.get("/packed/x", GZIP))
        check_untouched(c.get("/plain", GZIP))


# --- what


@pytest.mark.parametrize("script", [
    page("Content-Encoding: gzip"),
    page("Cache-Control: max-age=60, no-transform"),
    page("Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="),
    page("Repr-Digest: sha-256=:x:"),
    page("Content-Range: bytes 0-99/1000", status=206),
    page(type="image/png"),
    page(type="text/event-stream"),
    page(type=None),
])
def test_what_is_left_alone(stage, script):
    r = get(compressing(stage, script))
    check_untouched(r)
    assert not varies(r)


def test_small_bodies_are_left_alone(stage):
    check_untouched(get(compressing(stage, page(body=b"x" * 1023))), b"x" * 1023)
    check_compressed(get(compressing(stage, page(body=b"x" * 1024))), b"x" * 1024)
    check_compressed(
        get(compressing(stage, page(body=b"x"), min_length=0)), b"x")


def test_list_of_types(stage):
    script = page(type="application/x-own; a=b")
    check_untouched(get(compressing(stage, script)))
    check_compressed(get(compressing(stage, script, types=["application/x-own"])))


@pytest.mark.parametrize("status", [404, 500])
def test_errors_of_the_backend_are_pages_as_well(stage, status):
    r = get(compressing(stage, page(status=status)))
    assert r.status == status
    check_compressed(r)


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_body(stage, status):
    def script(sock, head):
        sock.sendall(b"HTTP/1.1 %d X\r\nETag: \"a\"\r\n"
                     b"Content-Type: text/html\r\n\r\n" % status)

    roost = compressing(stage, script)
    with RawClient(roost.address) as c:
        for _ in range(2):
            r = c.get("/", GZIP)
            assert (r.status, r.body) == (status, b"")
            assert not r.all("Content-Encoding")


# --- the head


@pytest.mark.parametrize("given, wanted", [
    ("Vary: Origin", {"origin", "accept-encoding"}),
    ("Vary: accept-encoding", {"accept-encoding"}),
    ("Vary: Origin, Accept-Encoding", {"origin", "accept-encoding"}),
])
def test_vary_is_added_to(stage, given, wanted):
    r = get(compressing(stage, page(given)))
    names = [n.strip().lower() for v in r.all("Vary") for n in v.split(",")]
    assert sorted(names) == sorted(wanted)


def test_vary_on_everything_stays(stage):
    r = get(compressing(stage, page("Vary: *")))
    assert "*" in [n.strip() for v in r.all("Vary") for n in v.split(",")]


@pytest.mark.parametrize("given, wanted", [('"abc"', 'W/"abc"'), ('W/"abc"', 'W/"abc"')])
def test_strong_etag_becomes_weak(stage, given, wanted):
    roost = compressing(stage, page(f"ETag: {given}"))
    r = get(roost)
    check_compressed(r)
    assert r.all("ETag") == [wanted]
    assert get(roost, []).all("ETag") == [given]


def test_ranges_are_not_offered_of_what_was_changed(stage):
    roost = compressing(stage, page("Accept-Ranges: bytes"))
    assert get(roost).header("Accept-Ranges") is None
    assert get(roost, []).header("Accept-Ranges") == "bytes"


def test_head_says_what_get_would(stage):
    roost = compressing(stage, page('ETag: "abc"'))
    with RawClient(roost.address) as c:
        r = c.request("HEAD", "/", GZIP)
        assert r.all("Content-Encoding") == ["gzip"]
        assert r.header("Content-Length") is None
        assert (varies(r), r.all("ETag")) == (1, ['W/"abc"'])
        # and nothing of a body is behind it
        check_compressed(c.get("/", GZIP))


# --- bodies in all their forms

BIG = b"".join(b"%d, %d, %d\n" % (i, i * i, i * 7919 % 10007) for i in range(150000))


def big(form):
    def script(sock, head):
        lines = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        if form == "length":
            sock.sendall(lines + b"Content-Length: %d\r\n\r\n" % len(BIG) + BIG)
        elif form == "close":
            sock.sendall(lines + b"Connection: close\r\n\r\n" + BIG)
            return False
        else:
            sock.sendall(lines + b"Transfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(BIG), 5000):
                piece = BIG[at : at + 5000]
                sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            sock.sendall(b"0\r\nX-Check: done\r\n\r\n")
        return True

    return script


@pytest.mark.parametrize("form", ["length", "close", "chunked"])
def test_big_bodies(stage, form):
    roost = compressing(stage, big(form))
    with RawClient(roost.address) as c:
        for _ in range(2):  # and the connection goes on
            r = c.get("/", GZIP)
            check_compressed(r, BIG)
            assert len(r.body) < len(BIG) / 2
    if form == "chunked":
        assert ("X-Check", "done") in r.trailers


@pytest.mark.parametrize("form", ["length", "close", "chunked"])
def test_old_clients_read_until_the_end(stage, form):
    with RawClient(compressing(stage, big(form)).address) as c:
        r = c.request("GET", "/", GZIP, version="1.0")
    assert r.header("Transfer-Encoding") is r.header("Content-Length") is None
    assert gunzip(r.body) == BIG


@pytest.mark.parametrize("level", [1, 9])
def test_levels(stage, level):
    check_compressed(get(compressing(stage, big("length"), level=level)), BIG)


def test_bodies_that_do_not_shrink(stage):
    noise = zlib.compress(BIG, 9)
    check_compressed(get(compressing(stage, page(body=noise))), noise)


@pytest.mark.quick
def test_nothing_is_held_back(stage):
    """Each piece is there before the backend says the next one."""
    go = threading.Event()

    def script(sock, head):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            sock.sendall(b"6\r\npiece%d\r\n" % i)
            assert go.wait(30)
            go.clear()
        sock.sendall(b"0\r\n\r\n")

    undo = zlib.decompressobj(15 + 16)
    with RawClient(compressing(stage, script).address) as c:
        c.send(c.request_bytes("GET", "/", GZIP))
        assert c.head().header("Content-Encoding") == "gzip"
        seen = b""
        for i in range(5):
            while len(seen) < 6 * (i + 1):
                n = int(c.take_until(b"\r\n"), 16)
                seen += undo.decompress(c.take(n))
                c.take(2)
            assert seen.endswith(b"piece%d" % i)
            go.set()
        while n := int(c.take_until(b"\r\n"), 16):
            seen += undo.decompress(c.take(n))
            c.take(2)
    assert undo.eof and len(seen) == 30


def test_body_that_ends_too_soon_is_seen_to(stage):
    def script(sock, head):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                     b"Content-Length: 100000\r\n\r\n" + PAGE)
        return False

    with RawClient(compressing(stage, script).address) as c:
        with pytest.raises((Cut, ConnectionResetError)):
            c.get("/", GZIP)


@pytest.mark.slow_under_sanitizers  # whose own memory would be measured
def test_slow_client_costs_a_bounded_amount(stage):
    """The backend is not read on while its client does not read."""
    sent = [0]
    noise = zlib.compress(BIG, 9)[:65536]
    total = 64 << 20

    def script(sock, head):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                     b"Content-Length: %d\r\n\r\n" % total)
        while sent[0] < total:
            piece = noise[: total - sent[0]]
            sock.sendall(piece)
            sent[0] += len(piece)

    roost = compressing(stage, script, level=1)
    before = roost.rss_kib()
    with RawClient(roost.address, receive_buffer=65536) as c:
        c.send(c.request_bytes("GET", "/", GZIP))
        c.head()
        wait_until(lambda: sent[0] > 0, "it has begun")
        mark = [-1]

        def stands():
            old, mark[0] = mark[0], sent[0]
            let_pass(0.3)
            return old == sent[0]

        wait_until(stands, "the backend is held up")
        assert sent[0] < total
        assert roost.rss_kib() - before < 8192


def test_two_types(stage):
    """An answer that nobody can be sure of is passed on as it is."""
    r = get(compressing(stage, page("Content-Type: text/plain")))
    check_untouched(r)
