"""Lines, segments, pipelining, bounds: how octets become commands, and how much a client can make us hold."""

from __future__ import annotations

import random
import re
import socket
import struct
import time

import pytest
import server as srv
import wiremodel as wm
from wire import Wire, check_status

SESSION = (
    "CAPA", "USER {user}", "PASS {password}", "STAT", "LIST", "UIDL", "RETR 1", "TOP 1 0", "DELE 1",
    "LIST", "UIDL", "NOOP", "RSET", "DELE 2", "RSET", "STAT", "LIST 9", "XYZZY", "RETR 3", "TOP 2 99", "QUIT",
)


def session(account) -> list[bytes]:
    return [c.format(user=account.name, password=account.password).encode() + b"\r\n" for c in SESSION]


def run(account, pieces, mode="plain", gap=0.0) -> bytes:
    """All replies of a session that is sent in these pieces."""
    with account.server.open(mode) as w:
        w.send(*pieces, gap=gap)
        return w.greeting + b"\r\n" + w.eof(30)


@pytest.mark.proves("R2449-PIPE-01", "R2449-PIPE-02", "X3.4", "R1939-GEN-21", "N4")
@pytest.mark.limit(180)
@pytest.mark.parametrize("mode", ("plain", "stls", "tls"))
def test_any_fragmentation(drop_a, mode):
    """One command at a time, all at once, octet by octet, in random cuts: identical replies."""
    commands = session(drop_a)
    whole = b"".join(commands)
    with drop_a.server.open(mode) as w:
        stepwise = w.greeting + b"\r\n"
        for c in commands:
            w.send(c)
            multi = (c.split()[0] in (b"CAPA", b"RETR", b"TOP", b"UIDL")) or c == b"LIST\r\n"
            line = w.raw_line()
            stepwise += line
            if multi and line.startswith(b"+OK"):
                stepwise += w.body() + b".\r\n"
        assert w.eof() == b""
    assert run(drop_a, [whole], mode) == stepwise
    assert run(drop_a, [whole[i : i + 1] for i in range(len(whole))], mode) == stepwise
    rng = random.Random(1)
    for seed in range(60 if mode == "plain" else 20):
        cuts = sorted(rng.sample(range(1, len(whole)), rng.randint(1, 12)))
        pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)])]
        gap = 0.002 if seed % 4 == 0 else 0.0
        assert run(drop_a, pieces, mode, gap) == stepwise, cuts
    assert len(drop_a.drop) == 3


@pytest.mark.proves("R1939-GEN-21", "R1939-GEN-03", "R1957-01")
def test_replies_in_order(drop_a):
    """50 mixed commands in one segment: the replies match one to one."""
    rng = random.Random(3)
    with drop_a.login() as w:
        kinds = [rng.choice(("NOOP", "STAT", "LIST 1", "LIST 7", "UIDL 2", "RETR 3", "FOO")) for _ in range(50)]
        w.send(b"".join(k.encode() + b"\r\n" for k in kinds))
        for k in kinds:
            line = w.status()
            if k in ("LIST 7", "FOO"):
                assert line.startswith(b"-ERR")
            else:
                assert line.startswith(b"+OK")
            if k == "STAT":
                assert line == wm.A_STAT
            if k == "LIST 1":
                assert line == b"+OK 1 60"
            if k == "RETR 3":
                assert w.body() == wm.wire(wm.MAILDROP_A[2])
        w.in_step()


@pytest.mark.proves("R1939-GEN-01", "R2449-GRAM-01", "R2449-GRAM-03")
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_greeting(server, mode):
    begin = time.monotonic()
    with server.open(mode) as w:
        assert time.monotonic() - begin < 1
        assert re.fullmatch(rb"\+OK [\x20-\x3b=?-\x7e]+", w.greeting), w.greeting
        w.silent(0.2)


@pytest.mark.proves("R1939-GEN-15", "R2449-LEN-05", "R1939-GEN-16", "N16", "R2449-RC-03")
def test_unknown_commands_are_not_echoed_raw(server):
    lines = [
        b"A" * 253, b"[AUTH] x", b"[SYS/TEMP] x", b"A\x01\xff", b"%n%s%x", b"X" * 2000, b"\x1b[2J", b"$(id)",
    ]
    for line in lines:
        with server.wire() as w:
            reply = w.err(line)
            check_status(reply + b"\r\n")
            assert not reply.startswith(b"-ERR ["), (line, reply)
            w.in_step(False)


@pytest.mark.proves("R2449-LEN-03", "C05", "B12", "N23")
def test_too_long_line(drop_a):
    with drop_a.server.wire() as w:
        w.send(b"USER " + b"a" * 3000 + b" QUIT\r\nCAPA\r\n")
        w.err()
        w.ok()
        w.lines()
        w.in_step(False)
        w.login(drop_a.name, drop_a.password)
        w.send(b"A" * 3000 + b"\r\nNOOP\r\n")
        w.err()
        w.ok()
        w.in_step()


@pytest.mark.proves("R2449-LEN-03")
def test_endless_line(server, drop_a):
    """Past the hard cap the session ends; nothing of the tail is a command."""
    for prefix in ("", "login"):
        with server.wire() as w:
            if prefix:
                w.login(drop_a.name, drop_a.password)
                w.ok("DELE 1")
            try:
                w.send(b"A" * 200000 + b"\r\nQUIT\r\n")
            except OSError:
                pass
            got = w.eof()
            assert got.count(b"\n") <= 1 and not got.startswith(b"+OK")
    assert len(drop_a.drop) == 3


@pytest.mark.proves("R2449-LEN-01", "R1939-USER-09")
def test_255_octets(server):
    with server.wire() as w:
        w.ok(b"USER " + b"a" * 248)
        w.in_step(False)


@pytest.mark.proves("R1939-GEN-04", "R1939-LIST-07", "R1939-UIDL-01")
def test_single_spaces(drop_a):
    """Replies put exactly one space between their parts, none at the end, and end with CRLF."""
    with drop_a.login() as w:
        for command in (b"STAT", b"LIST", b"LIST 1", b"UIDL", b"UIDL 3", b"RETR 2", b"TOP 1 0", b"NOOP", b"XYZZY"):
            w.send(command + b"\r\n")
            status = w.raw_line()
            assert re.fullmatch(rb"(\+OK|-ERR) \S+( \S+)*\r\n", status), status
            if command in (b"LIST", b"UIDL"):
                for line in w.lines():
                    assert re.fullmatch(rb"\d+ \S+", line), line
            elif command[:4] in (b"RETR", b"TOP "):
                w.body()
        w.in_step()


@pytest.mark.proves("R1939-GEN-23", "B08")
def test_controls_in_commands(drop_a):
    with drop_a.login() as w:
        for bad in (b"ST\0AT\r\n", b"RETR 1\rNOOP\r\n", b"RETR\t1\r\n", b"NOOP\x00\r\n", b"\x80\r\n",
                    b"LIST \xb2\r\n", b"NO\x08OP\r\n"):
            w.send(bad)
            w.err()
            w.in_step()


@pytest.mark.proves("R1939-GEN-05", "C06")
def test_lenient_input(drop_a):
    with drop_a.login() as w:
        for line, reply in ((b"LIST  1\r\n", b"+OK 1 60"), (b"STAT \r\n", wm.A_STAT), (b"STAT\n", wm.A_STAT)):
            w.send(line)
            assert w.ok() == reply
        w.send(b"NOOP\nNOOP\r\nNOOP\n")
        for _ in range(3):
            w.ok()
        w.in_step()


@pytest.mark.proves("R1939-GEN-24")
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_bad_commands_before_login(server, mode):
    with server.open(mode) as w:
        w.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20)
        got = w.eof()
        assert 1 <= got.count(b"-ERR") <= 10


@pytest.mark.proves("R2449-PIPE-03")
@pytest.mark.limit(120)
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_megabyte_of_noops(own_server, mode):
    """Behind USER and PASS 1 MB of NOOP: back-pressure, not memory. All are answered."""
    count = 150_000
    s = own_server(conf={"workers.fronts": 1}, env=srv.LEAN)
    box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    box.login(mode).close()
    (front,) = s.workers("front")
    time.sleep(0.2)
    with s.open(mode) as w:
        before = s.rss(front)
        data = f"USER bob\r\nPASS {box.password}\r\n".encode() + b"NOOP\r\n" * count
        w.later(data)
        time.sleep(0.5)
        grown = s.rss(front) - before
        assert grown < (1 << 20) * (3 if srv.sanitized() else 1), grown
        w.ok()
        w.ok()
        left = count
        tail = w.buf
        left -= tail.count(b"\n")
        while left:
            chunk = w.recv(1 << 20)
            assert chunk, f"closed with {left} replies to come"
            assert chunk.count(b"-ERR") == 0
            left -= chunk.count(b"\n")
        w.buf = b""
        w.in_step()


@pytest.mark.proves("R2449-PIPE-04", "R2449-PIPE-03")
@pytest.mark.limit(120)
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_retr_pipelined_without_reading(own_server, mode):
    """100,000 RETR of a message without reading a reply: the server waits, bounded; then all is right."""
    s = own_server(conf={"workers.fronts": 1}, env=srv.LEAN)
    box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    box.login(mode).close()
    (front,) = s.workers("front")
    count = 100_000
    with box.login_soon(how=mode) as w:
        before = s.rss(front)
        w.later(b"RETR 3\r\n" * count)
        time.sleep(3)
        grown = s.rss(front) - before
        assert grown < (2 << 20) * (3 if srv.sanitized() else 1), grown
        with s.wire() as other:  # and the others are served
            other.ok("QUIT")
        first = w.ok()
        one = first + b"\r\n" + w.body() + b".\r\n"
        assert one.endswith(wm.wire(wm.MAILDROP_A[2]) + b".\r\n")
        want = len(one) * (count - 1)
        got = bytearray(w.buf)
        w.buf = b""
        position = 0
        while position < want:
            if not got:
                chunk = w.recv(1 << 20)
                assert chunk, f"closed after {position} of {want} octets"
                got += chunk
            # Compare piece by piece with the endless repetition of one reply.
            start = position % len(one)
            reference = one[start:] + one * (len(got) // len(one) + 1)
            assert bytes(got) == reference[: len(got)], position
            position += len(got)
            got.clear()
        assert position == want
        w.in_step()


@pytest.mark.proves("R1939-GEN-20")
def test_slow_reader_is_served(account):
    """A client that reads little by little gets everything."""
    stored = b"Subject: x\n\n" + b"0123456789\n" * 100000
    box = account([stored])
    with box.login(rcvbuf=4096) as w:
        w.send(b"RETR 1\r\n")
        got = b""
        want = wm.wire(stored) + b".\r\n"
        while not got.endswith(b"\r\n.\r\n"):
            got += w.sock.recv(40000)
            time.sleep(0.005)
        assert got.partition(b"\r\n")[2] == want
        w.in_step()


@pytest.mark.proves("R1939-GEN-22")
def test_out_of_band_data(drop_a):
    """Urgent data does no harm."""
    with drop_a.login() as w:
        w.sock.send(b"!", socket.MSG_OOB)
        w.send(b"NOOP\r\n")
        assert w.status()[:4] in (b"+OK ", b"-ERR")
    assert len(drop_a.drop) == 3


@pytest.mark.proves("R1939-APOP-02", "R1939-APOP-01")
def test_timestamps_never_repeat(own_server):
    s = own_server(conf={"auth.apop": True})
    s.add_user("bob", extra="apop")
    s.start()
    seen: set[bytes] = set()
    total = 0
    for restart in range(2):
        if restart:
            s.restart()
        for _ in range(700):
            with Wire(s.address()) as w:
                m = re.search(rb"<[^<>@ ]+@[^<>@ ]+>", w.greeting)
                assert m, w.greeting
                seen.add(m[0])
                total += 1
    assert len(seen) == total


def test_reset_while_output_waits(own_server):
    """A client that never reads and then resets: the front notices at once and does not spin on it."""
    s = own_server(conf={"workers.fronts": 1})
    s.start()
    sock = socket.create_connection(s.address("plain"))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(2)
    try:
        while True:
            sock.sendall(b"CAPA\r\n" * 2000)
    except (TimeoutError, OSError):
        pass  # both directions are full now
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    s.wait_event("session", seconds=10)
    with s.wire() as w:
        w.ok("QUIT")


@pytest.mark.proves("R1939-QUIT-05")
def test_quit_behind_an_unread_message(account):
    """RETR, DELE and QUIT in one piece, then a reset without reading: the lines that arrived are carried out."""
    big = b"Subject: big\n\n" + (b"x" * 70 + b"\n") * 600_000  # more than the sockets hold: it is cut off in the middle
    box = account([big, b"Subject: stays\n\ny\n"])
    w = box.login()
    w.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
    time.sleep(0.3)
    w.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    w.sock.close()
    deadline = time.monotonic() + 10
    while len(box.drop) != 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(box.drop) == 1
