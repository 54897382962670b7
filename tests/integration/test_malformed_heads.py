# SPDX-License-Identifier: MIT
"""What RFC 9112 forbids is answered here, the connection is closed, and no backend
ever hears of it."""

import pytest
from peers.client import RawClient
from peers.waiting import wait_until

H = b"Host: h\r\n"
TE = b"Transfer-Encoding: chunked\r\n"
CL = b"Content-Length: 5\r\n"


def get(*lines, target=b"/", version=b"HTTP/1.1"):
    return b"GET " + target + b" " + version + b"\r\n" + b"".join(lines) + b"\r\n"


def post(*lines):
    return b"POST / HTTP/1.1\r\n" + H + b"".join(lines) + b"\r\nhello"


CASES = {
    # the request line
    "no version": (b"GET /\r\n" + H + b"\r\n", 400),
    "two blanks": (b"GET  / HTTP/1.1\r\n" + H + b"\r\n", 400),
    "tab for a blank": (b"GET\t/\tHTTP/1.1\r\n" + H + b"\r\n", 400),
    "blank at its end": (b"GET / HTTP/1.1 \r\n" + H + b"\r\n", 400),
    "blank at its start": (b" GET / HTTP/1.1\r\n" + H + b"\r\n", 400),
    "method is no token": (b"G@T / HTTP/1.1\r\n" + H + b"\r\n", 400),
    "colon in the method": (b"GET: / HTTP/1.1\r\n" + H + b"\r\n", 400),
    "HTTP/2.0": (get(H, version=b"HTTP/2.0"), 505),
    "HTTP/1.2x": (get(H, version=b"HTTP/1.2x"), (400, 505)),
    "http in lower case": (get(H, version=b"http/1.1"), 400),
    "HTTP/01.1": (get(H, version=b"HTTP/01.1"), (400, 505)),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    # the target
    "target without slash": (get(H, target=b"x"), 400),
    "control byte in target": (get(H, target=b"/a\x01b"), 400),
    "DEL in target": (get(H, target=b"/a\x7fb"), 400),
    "fragment in target": (get(H, target=b"/a#b"), 400),
    "asterisk with GET": (get(H, target=b"*"), 400),
    "target too long": (get(H, target=b"/" + b"a" * 9000), 414),
    # header lines
    "blank before the colon": (get(H, b"X-A : 1\r\n"), 400),
    "tab before the colon": (get(H, b"X-A\t: 1\r\n"), 400),
    "no colon": (get(H, b"X-A\r\n"), 400),
    "empty name": (get(H, b": 1\r\n"), 400),
    "blank in the name": (get(H, b"X A: 1\r\n"), 400),
    "name not a token": (get(H, b"X(A): 1\r\n"), 400),
    "folded line": (get(H, b"X-A: 1\r\n 2\r\n"), 400),
    "first line folded": (get(b" X-A: 1\r\n", H), 400),
    "NUL in a value": (get(H, b"X-A: 1\x002\r\n"), 400),
    "control byte in a value": (get(H, b"X-A: 1\x012\r\n"), 400),
    "bare CR in a value": (get(H, b"X-A: 1\r2\r\n"), 400),
    "bare LF ends a line": (get(H, b"X-A: 1\nX-B: 2\r\n"), 400),
    "bare LF everywhere": (b"GET / HTTP/1.1\nHost: h\n\n", 400),
    "CR CR LF": (get(H, b"X-A: 1\r\r\n"), 400),
    "too many headers": (get(H, b"X-A: 1\r\n" * 300), 431),
    "headers too large": (get(H, b"X-A: " + b"a" * 40000 + b"\r\n"), 431),
    # Host
    "no Host": (get(b"X-A: 1\r\n"), 400),
    "two Hosts": (get(H, H), 400),
    "two Hosts that differ": (get(H, b"Host: other\r\n"), 400),
    "bad Host": (get(b"Host: a b\r\n"), 400),
    "Host with a slash": (get(b"Host: a/b\r\n"), 400),
    "Host with a user": (get(b"Host: user@h\r\n"), 400),
    # framing
    "two lengths": (post(CL, b"Content-Length: 6\r\n"), 400),
    "two equal lengths": (post(CL, CL), 400),
    "list of lengths": (post(b"Content-Length: 5, 5\r\n"), 400),
    "signed length": (post(b"Content-Length: +5\r\n"), 400),
    "negative length": (post(b"Content-Length: -5\r\n"), 400),
    "hex length": (post(b"Content-Length: 0x5\r\n"), 400),
    "length with a blank": (post(b"Content-Length: 5 5\r\n"), 400),
    "empty length": (post(b"Content-Length:\r\n"), 400),
    "huge length": (post(b"Content-Length: 99999999999999999999\r\n"), 400),
    "length and chunked": (post(CL, TE), 400),
    "chunked and length": (post(TE, CL), 400),
    "chunked twice": (post(b"Transfer-Encoding: chunked, chunked\r\n"), 400),
    "two codings": (post(TE, TE), 400),
    "chunked not last": (post(b"Transfer-Encoding: chunked, gzip\r\n"), (400, 501)),
    "gzip": (post(b"Transfer-Encoding: gzip\r\n"), 501),
    "gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked\r\n"), 501),
    "identity": (post(b"Transfer-Encoding: identity\r\n"), 501),
    "xchunked": (post(b"Transfer-Encoding: xchunked\r\n"), 501),
    "quoted chunked": (post(b'Transfer-Encoding: "chunked"\r\n'), (400, 501)),
    "vertical tab chunked": (post(b"Transfer-Encoding: \x0bchunked\r\n"), 400),
    "empty coding": (post(b"Transfer-Encoding:\r\n"), (400, 501)),
    "chunked on 1.0": (
        b"POST / HTTP/1.0\r\n" + H + TE + b"\r\n0\r\n\r\n", 400),
    "disguised coding": (post(b"Transfer-Encoding : chunked\r\n"), 400),
    # Expect
    "unknown expectation": (post(CL, b"Expect: the-unexpected\r\n"), 417),
    # methods a proxy like this must not pass
    "CONNECT": (b"CONNECT h:80 HTTP/1.1\r\n" + H + b"\r\n", (400, 405, 501)),
    # HTTP/2 with prior knowledge
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
}


@pytest.fixture(scope="module")
def proxy(shared_stage):
    return shared_stage.proxy("a")


@pytest.mark.parametrize("name", CASES)
def test_refused(proxy, name):
    roost, a = proxy
    data, wanted = CASES[name]
    seen = len(a.events("request"))
    with RawClient(roost.address) as c:
        c.send(data)
        r = c.response()
        assert r.status in (wanted if isinstance(wanted, tuple) else (wanted,))
        assert r.header("Connection") == "close"
        assert c.at_end(), "something came after the refusal"
    assert len(a.events("request")) == seen


@pytest.mark.parametrize("name", ["two lengths", "blank before the colon", "no Host",
                                  "length and chunked", "NUL in a value"])
def test_refused_one_byte_at_a_time(proxy, name):
    roost, a = proxy
    data, wanted = CASES[name]
    seen = len(a.events("request"))
    with RawClient(roost.address) as c:
        try:
            for i in range(len(data)):
                c.send(data[i : i + 1])
        except OSError:
            pass  # it has seen enough
        assert c.response().status == wanted
    assert len(a.events("request")) == seen


def test_refused_behind_a_good_one(proxy):
    roost, a = proxy
    with RawClient(roost.address) as c:
        c.send(get(H) + CASES["two lengths"][0] + get(H, target=b"/smuggled"))
        assert c.response().status == 200
        assert c.response().status == 400
        assert c.at_end()
    assert not [e for e in a.events("request") if e.target == "/smuggled"]


def test_refused_while_the_one_before_is_answered(proxy):
    roost, a = proxy
    with RawClient(roost.address) as c:
        c.send(get(H, target=b"/slow/200") + CASES["no colon"][0])
        assert c.response().status == 200
        assert c.response().status == 400
        assert c.at_end()


BAD_CHUNKS = {
    "no digits": b"x\r\nhello\r\n0\r\n\r\n",
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "blank first": b" 5\r\nhello\r\n0\r\n\r\n",
    "bare LF": b"5\nhello\n0\n\n",
    "too long a size": b"00000000000000000005\r\nhello\r\n0\r\n\r\n",
    "data too long": b"5\r\nhello!\r\n0\r\n\r\n",
    "empty size": b"\r\nhello\r\n0\r\n\r\n",
    "bad trailer": b"5\r\nhello\r\n0\r\nX-A : 1\r\n\r\n",
    "NUL in an extension": b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunked_body_never_becomes_a_request(proxy, name):
    """Whatever the client is told, the backend must not see a complete request."""
    roost, a = proxy
    target = f"/chunks/{name.replace(' ', '-')}"
    with RawClient(roost.address) as c:
        c.send(b"POST " + target.encode() + b" HTTP/1.1\r\n" + H + TE + b"\r\n"
               + BAD_CHUNKS[name] + get(H, target=b"/smuggled"))
        assert c.response().status == 400
        assert c.at_end()
    wait_until(lambda: a.open().conns == 0 or not a.events("request")
               or all(e.target != target for e in a.events("request"))
               or [e for e in a.events("aborted") if e.target == target],
               "the backend's connection ended")
    assert not [e for e in a.events("done") if e.target == target]
    assert not [e for e in a.events("request") if e.target == "/smuggled"]


GOOD = {
    "empty lines first": b"\r\n\r\n" + get(H),
    "no blank after the colon": get(b"Host:h\r\n"),
    "blanks around the value": get(b"Host: \t h \t \r\n"),
    "empty value": get(H, b"X-A:\r\n"),
    "bytes above 127": get(H, b"X-A: \xe4\xff\r\n"),
    "absolute target": get(H, target=b"http://h/x"),
    "IPv6 Host": get(b"Host: [::1]:80\r\n"),
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n",
    "1.0 without Host": b"GET / HTTP/1.0\r\n\r\n",
    "odd but legal target": get(H, target=b"/a%20b//c/../d;e=f,g!$&'()*+?x=[]|{}\"<>^`"),
    "chunk extension": b"POST / HTTP/1.1\r\n" + H + TE
                       + b'\r\n5;a="b;c"\r\nhello\r\n0\r\n\r\n',
    "chunked in capitals": b"POST / HTTP/1.1\r\n" + H
                           + b"Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n",
    "leading zeroes": b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 005\r\n\r\nhello",
}


@pytest.mark.parametrize("name", GOOD)
def test_odd_but_allowed(proxy, name):
    roost, a = proxy
    with RawClient(roost.address) as c:
        c.send(GOOD[name])
        assert c.response().status == 200
