"""PROXY protocol, versions 1 and 2."""

from __future__ import annotations

import socket
import struct
import time

import pytest
import server as srv
import wiremodel as wm
from wire import Wire, client_context

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
SRC, DST = "192.0.2.1", "192.0.2.2"


def v1(text: str = f"TCP4 {SRC} {DST} 50000 110") -> bytes:
    return b"PROXY " + text.encode() + b"\r\n"


def v2(body: bytes | None = None, *, command: int = 0x21, family: int = 0x11, tlvs: bytes = b"",
       length: int | None = None) -> bytes:
    if body is None:
        body = socket.inet_aton(SRC) + socket.inet_aton(DST) + struct.pack("!HH", 50000, 110)
    data = body + tlvs
    size = len(data) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, family, size) + data


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def with_crc(wrong: bool = False, tlvs: bytes = b"") -> bytes:
    header = bytearray(v2(tlvs=tlvs + tlv(3, b"\0\0\0\0")))
    header[-4:] = struct.pack("!I", crc32c(bytes(header)) ^ (1 if wrong else 0))
    return bytes(header)


INET6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
INET6 += struct.pack("!HH", 50000, 110)
UNIX = b"/a".ljust(108, b"\0") + b"/b".ljust(108, b"\0")
SSL_TLV = tlv(0x20, struct.pack("!BI", 1, 0) + tlv(0x21, b"TLSv1.3"))


@pytest.fixture(scope="module")
def proxied(pki):
    """Listeners: proxy (plain and STLS, header required), proxys (implicit TLS), far (headers from an address
    that is not ours), plain (no header)."""
    common = {"proxy": True, "proxy_from": ["127.0.0.0/8", "::1"]}
    s = srv.Server(
        pki,
        start=False,
        listen={
            "proxy": {"tls": "stls", "trusted": ["192.0.2.0/24"], **common},
            "proxys": {"tls": "implicit", **common},
            "far": {"tls": "stls", "trusted": [], "proxy": True, "proxy_from": ["198.51.100.0/24"]},
            "plain": {"tls": "stls", "trusted": ["127.0.0.0/8"]},
        },
    )
    s.box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    with s:
        yield s


def opens(s, header: bytes, listener: str = "proxy") -> Wire:
    return s.wire(listener, first=header) if listener != "proxys" else s.wire(
        listener, first=header, tls=client_context(), sni="localhost"
    )


def closes(s, header: bytes, listener: str = "proxy", wait: float = 8) -> None:
    """The connection ends without one octet from the server."""
    with s.wire(listener, tls=None, greet=False) as w:
        try:
            w.send(header)
        except OSError:
            pass
        assert w.eof(wait) == b"", header


@pytest.mark.proves("PP-05", "PP-08", "PP-10", "PP-17", "PP-07", "PP-09")
@pytest.mark.parametrize(
    "header",
    [
        v1(),
        v1("TCP6 2001:db8::1 2001:db8::2 1 65535"),
        v1("TCP4 0.0.0.0 255.255.255.255 0 0"),
        v1("UNKNOWN"),
        v1("UNKNOWN some junk behind it"),
        v1("UNKNOWN " + "f" * (107 - 16)),
        v2(),
        v2(INET6, family=0x21),
        v2(UNIX, family=0x31),
        v2(b"", command=0x20, family=0),
        v2(b"x" * 20, command=0x20, family=0),
        v2(b"", family=0),
        v2(tlvs=tlv(0x04, b"pad" * 5)),
        v2(tlvs=tlv(0xEE, b"unknown") + tlv(0x05, b"id")),
        v2(tlvs=tlv(0x04, b"\0" * 1500)),
        with_crc(),
        with_crc(tlvs=tlv(0x04, b"pad")),
    ],
    ids=lambda h: h[:40].hex() if h.startswith(b"\r") else h[:40].decode().strip(),
)
def test_accepted(proxied, header):
    with opens(proxied, header) as w:
        w.in_step(False)
        w.quit()


@pytest.mark.proves("PP-05", "PP-06", "PP-08", "PP-10", "PP-11", "PP-12", "PP-01", "PP-17", "N20")
@pytest.mark.parametrize(
    "header",
    [
        b"USER bob\r\n",
        b"CAPA\r\n",
        b"HELO there\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 110\n",
        b"PROXY  TCP4 192.0.2.1 192.0.2.2 50000 110\r\n",
        b"PROXY TCP4  192.0.2.1 192.0.2.2 50000 110\r\n",
        b"PROXY\tTCP4 192.0.2.1 192.0.2.2 50000 110\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 110 \r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 50000\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2\r\n",
        b"proxy TCP4 192.0.2.1 192.0.2.2 50000 110\r\n",
        b"PROXY TCP5 192.0.2.1 192.0.2.2 50000 110\r\n",
        b"PROXY tcp4 192.0.2.1 192.0.2.2 50000 110\r\n",
        b"PROXY TCP4 010.0.0.1 192.0.2.2 50000 110\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.02 50000 110\r\n",
        b"PROXY TCP4 192.0.2 192.0.2.2 50000 110\r\n",
        b"PROXY TCP4 192.0.2.256 192.0.2.2 50000 110\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 110\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 0080 110\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 110\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 5x 110\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP6 2001:db8::g 2001:db8::2 1 2\r\n",
        b"PROXY UNKNOWN " + b"x" * 93 + b"\r\n",
        b"PROXY UNKNOWN " + b"x" * 200,
        b"PROXY\r\n",
        v2(command=0x11),
        v2(command=0x22),
        v2(command=0x2F),
        v2(family=0x13),
        v2(family=0x41),
        v2(family=0x51),
        v2(b"x" * 11),
        v2(INET6[:-1], family=0x21),
        v2(UNIX[:-1], family=0x31),
        v2(tlvs=b"\x04"),
        v2(tlvs=b"\x04\x00"),
        v2(tlvs=b"\x04\x00\x09abc"),
        with_crc(wrong=True),
        SIGNATURE[:-1] + b"X" + b"\x21\x11\x00\x0c" + b"\0" * 12,
    ],
    ids=lambda h: h[:50].hex() if h[:1] < b" " else h[:50].decode().strip(),
)
def test_refused(proxied, header):
    closes(proxied, header)


@pytest.mark.proves("PP-05")
@pytest.mark.parametrize("octets,end,good", [
    (107, b"\r\n", True), (108, b"\r\n", False), (107, b"", False), (108, b"", False)])
def test_length_of_v1(proxied, octets, end, good):
    """107 octets with the line end are taken, 108 are not; without a line end neither."""
    base = b"PROXY UNKNOWN "
    header = base + b"x" * (octets - len(base) - len(end)) + end
    assert len(header) == octets
    if good:
        opens(proxied, header).quit()
    else:
        closes(proxied, header)


@pytest.mark.proves("PP-02", "PP-03")
def test_silence_without_header(proxied):
    """Nothing is said before the header is whole; after the limit (at least 3 s) the connection ends."""
    begin = time.monotonic()
    with proxied.wire("proxy", greet=False) as w, proxied.wire("proxy", greet=False) as half:
        half.send(v1()[:-1])
        w.silent(1.0)
        half.silent(1.0)
        assert w.eof(25) == b""
        assert time.monotonic() - begin >= 2.9
        assert half.eof(25) == b""


@pytest.mark.proves("PP-04")
@pytest.mark.parametrize("header", [v1(), v2(), b"USER bob\r\n"], ids=["v1", "v2", "none"])
def test_stranger(proxied, header):
    closes(proxied, header, "far")


@pytest.mark.proves("PP-01")
@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_header_where_none_belongs(proxied, header):
    """On an ordinary listener a header is just bad commands."""
    with proxied.wire("plain") as w:
        w.send(header)
        assert w.raw_line().startswith(b"-ERR")


@pytest.mark.proves("PP-15", "N20", "R2449-PIPE-02")
@pytest.mark.parametrize("header", [v1(), v2(), v2(INET6, family=0x21, tlvs=tlv(4, b"xx"))], ids=["v1", "v2", "v2-6"])
def test_in_pieces(proxied, header):
    """Octet by octet, with commands right behind it."""
    stream = header + b"CAPA\r\nQUIT\r\n"
    with proxied.wire("proxy", greet=False) as w:
        w.send(*[stream[i : i + 1] for i in range(len(stream))], gap=0.001)
        w.ok()
        w.ok()
        assert b"TOP" in w.lines()
        w.ok()
        assert w.eof() == b""


@pytest.mark.proves("PP-15")
@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_header_before_tls(proxied, header):
    """Header and ClientHello in one stream."""
    s = proxied
    with socket.create_connection(s.address("proxys"), timeout=10) as raw:
        ctx = client_context(cafile=str(s.pki.ca.pem))
        import ssl

        inc, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = ctx.wrap_bio(inc, out, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        stream = header + out.read()
        for i in range(0, len(stream), 7):
            raw.sendall(stream[i : i + 7])
        while True:
            inc.write(raw.recv(65536))
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
        raw.sendall(out.read())
        while True:
            try:
                assert tls.read(100).startswith(b"+OK ")
                break
            except ssl.SSLWantReadError:
                inc.write(raw.recv(65536))
    opens(s, header, "proxys").quit()


@pytest.mark.proves("PP-16")
@pytest.mark.parametrize("header", [v1(), v2(tlvs=tlv(5, b"unique-4711"))], ids=["v1", "v2"])
def test_announced_address_counts(proxied, header):
    """Trust and log go by the announced address, not by the proxy's."""
    s = proxied
    before = s.log().count(SRC)
    with opens(s, header) as w:
        assert "USER" in w.capa()
        w.login("bob", s.box.password)
        assert w.stat() == (3, 118)
        w.quit()
    deadline = time.monotonic() + 5
    while s.log().count(SRC) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert s.log().count(SRC) > before
    with opens(s, v1("TCP4 203.0.113.9 192.0.2.2 50000 110")) as w:
        assert "USER" not in w.capa()
        w.err("USER bob")


def test_unique_id_is_logged(proxied):
    with opens(proxied, v2(tlvs=tlv(5, b"unique-0815"))) as w:
        w.login("bob", proxied.box.password)
        w.quit()
    deadline = time.monotonic() + 5
    while "unique-0815" not in proxied.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "unique-0815" in proxied.log()


@pytest.mark.proves("PP-13", "R9266-04")
def test_tls_at_the_edge(proxied):
    """A trusted proxy says that the client came by TLS: passwords allowed, no STLS, no channel binding."""
    body = socket.inet_aton("203.0.113.9") + socket.inet_aton(DST) + struct.pack("!HH", 50000, 110)
    with opens(proxied, v2(body, tlvs=SSL_TLV)) as w:
        capa = w.capa()
        assert "STLS" not in capa and "USER" in capa
        assert not any(m.endswith("-PLUS") for m in capa["SASL"])
        w.err("STLS")
        w.login("bob", proxied.box.password)
        assert w.stat() == (3, 118)
        w.quit()
    closes(proxied, v2(body, tlvs=SSL_TLV), "far")


@pytest.mark.proves("PP-16")
def test_throttle_goes_by_announced_address(pki, own_server):
    s = own_server(
        conf={"auth.throttle": True, "auth.throttle_free": 1, "auth.throttle_max": 3},
        listen={"proxy": {"tls": "stls", "trusted": ["192.0.2.0/24"], "proxy": True,
                          "proxy_from": ["127.0.0.0/8"]}},
    )
    s.add_user("bob", wm.MAILDROP_A)
    alice = s.add_user("alice", wm.MAILDROP_A)
    s.start()

    def try_login(source: str, user: str, password: str) -> float:
        with s.wire("proxy", first=v1(f"TCP4 {source} 192.0.2.250 5000 110"), timeout=30) as w:
            w.ok(f"USER {user}")
            begin = time.monotonic()
            w.cmd(f"PASS {password}")
            return time.monotonic() - begin

    slow = [try_login("192.0.2.1", f"nobody{i}", "wrong-password") for i in range(4)]
    assert max(slow) > 0.5, slow
    assert try_login("192.0.2.77", "alice", alice.password) < 0.5
