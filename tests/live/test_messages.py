"""Messages on the wire: every octet right, every size true, in plaintext, STLS and implicit TLS."""

from __future__ import annotations

import os
import random
import socket
import ssl
import time

import pytest
import server as srv
import wiremodel as wm
from wire import Closed

NAMES = sorted(wm.MESSAGES)
EVERY = [wm.MESSAGES[n] for n in NAMES]
MODES = ("plain", "stls", "tls")


@pytest.mark.proves(
    "R1939-RETR-02", "R1939-RETR-03", "R1939-RETR-04", "R1939-RETR-05", "R1939-RETR-06",
    "R1939-LIST-06", "R1939-STAT-04", "R1939-SIZE-01", "R1939-SIZE-02", "R1939-SIZE-03",
    "R1939-SIZE-04", "R1939-SIZE-05", "R1939-SIZE-06", "R1939-GEN-10", "R1939-GEN-11",
    "R5322-01", "R5322-02", "R5322-04", "R5322-06", "MD-09", "R6856-04",
)
@pytest.mark.parametrize("mode", MODES)
def test_fixtures(account, mode):
    box = account(EVERY)
    with box.login(mode) as w:
        assert w.stat() == (23, 105602)
        sizes = w.list()
        assert sum(sizes.values()) == 105602 and len(sizes) == 23
        for i, (name, stored) in enumerate(zip(NAMES, EVERY), 1):
            assert sizes[i] == wm.FIGURES[name][1], name
            assert w.ok(f"LIST {i}") == b"+OK %d %d" % (i, sizes[i])
            w.ok(f"RETR {i}")
            raw = w.body()
            assert raw == wm.wire(stored), name
            assert len(wm.unstuff(raw)) == sizes[i]
        w.in_step()
        w.quit()
    assert box.drop.contents() == EVERY


@pytest.mark.proves(
    "R1939-TOP-01", "R1939-TOP-02", "R1939-TOP-03", "R1939-TOP-05", "R1939-TOP-07",
    "R1939-TOP-08", "R1939-TOP-09", "R5322-03",
)
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_top(account, mode):
    spaced = b"Subject: x\n \t\nX-More: header\n\nbody 1\nbody 2\n"
    messages = EVERY + [spaced]
    box = account(messages)
    with box.login(mode) as w:
        for i, stored in enumerate(messages, 1):
            for lines in (0, 1, 2, 3, 1000000):
                w.ok(f"TOP {i} {lines}")
                assert w.body() == wm.top(stored, lines), (i, lines)
            w.ok(f"TOP {i} 18446744073709551617")
            assert w.body() == wm.wire(stored)
        w.in_step()


@pytest.mark.proves("R1939-GEN-11", "R1939-SIZE-06")
def test_dot_at_every_offset(account):
    """A line with a dot behind k octets, for each k around the borders where buffers may end."""
    ks = list(range(0, 40)) + [b + d for b in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
                               for d in range(-6, 4)]
    messages = [b"a" * k + b"\n.\n..\nx\n." for k in ks]
    box = account(messages)
    with box.login() as w:
        w.send(b"".join(b"RETR %d\r\n" % (i + 1) for i in range(len(ks))))
        for k, stored in zip(ks, messages):
            w.ok()
            assert w.body() == wm.wire(stored), k
        w.in_step()


@pytest.mark.proves("R1939-SIZE-06", "R1939-STAT-04", "R1939-LIST-06", "R1939-TOP-03")
@pytest.mark.limit(120)
def test_random_content(account):
    """Random octets against the model: sizes, RETR, TOP."""
    rng = random.Random(20260101)
    alphabet = [b"\r", b"\n", b".", b"\r\n", b"a", b"\0", b"\xff", b" ", b"Subject: x\n", b"\n\n", b"\n."]
    messages = []
    for _ in range(400):
        count = rng.choice((0, 1, 2, 5, 20, 200, 3000))
        messages.append(b"".join(rng.choices(alphabet, k=rng.randint(0, count))))
    box = account(messages)
    with box.login() as w:
        sizes = w.list()
        assert w.stat() == (len(messages), sum(wm.size(m) for m in messages))
        tops = [(i, rng.randint(0, 4)) for i in range(1, len(messages) + 1)]
        batch = b"".join(b"RETR %d\r\nTOP %d %d\r\n" % (i, i, n) for i, n in tops)
        w.later(batch)
        for i, n in tops:
            stored = messages[i - 1]
            w.ok()
            assert w.body() == wm.wire(stored), stored
            w.ok()
            assert w.body() == wm.top(stored, n), (stored, n)
            assert sizes[i] == wm.size(stored)
        w.in_step()


@pytest.mark.proves("R1939-RETR-08")
def test_retr_repeats(drop_a):
    with drop_a.login() as w:
        first = w.retr(1)
        assert w.retr(1) == first == wm.plain(wm.MAILDROP_A[0])
    with drop_a.login_soon() as w:
        assert w.stat() == (3, 118)


@pytest.mark.proves("R1939-STAT-05", "R1939-SIZE-01")
def test_five_gibibytes(account):
    """A sparse message of more than 2^32 octets: exact in STAT and LIST. One LF ends it, so that it counts
    one octet more than the file has."""
    box = account([b"Subject: a\n\nx\n"])
    big = box.drop.path / "tmp" / "big"
    size = 5 * (1 << 30) + 7
    with open(big, "wb") as f:
        f.write(b"Subject: big\r\n\r\n")
        f.seek(size - 1)
        f.write(b"\n")
    srv.own(big)
    big.rename(box.drop.path / "new" / box.drop.name())
    # Counting its lines may take longer than a login waits, in a build with sanitizers: then the next one has
    # the count.
    with box.login_soon(40, timeout=40) as w:
        assert w.stat() == (2, 17 + size + 1)
        assert w.ok("LIST 2") == b"+OK 2 %d" % (size + 1)
        w.ok("TOP 2 0")
        assert w.body() == b"Subject: big\r\n\r\n"


@pytest.mark.proves("R1939-RETR-04", "R2449-PIPE-04")
@pytest.mark.limit(120)
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_one_gibibyte(own_server, mode):
    """One line of 1 GiB goes out; the front that sends it stays small."""
    s = own_server(conf={"workers.fronts": 1}, env=srv.LEAN)
    box = s.add_user("big")
    s.start()
    size = (1 << 30) if not srv.sanitized() else (256 << 20)
    path = box.drop.path / "tmp" / "big"
    with open(path, "wb") as f:
        f.write(b"Subject: big\n\n")
        f.seek(size - 1)
        f.write(b"\n")
    srv.own(path)
    path.rename(box.drop.path / "new" / box.drop.name())
    (front,) = s.workers("front")
    with box.login(mode, timeout=50) as w:
        before = s.rss(front)
        w.ok("RETR 1")
        want = size + 3 + len(b".\r\n")
        got = len(w.buf)
        most = 0
        tail = w.buf[-64:]
        rounds = 0
        view = bytearray(1 << 20)
        while got < want:
            n = w.sock.recv_into(view)
            assert n, f"closed after {got} of {want} octets"
            got += n
            tail = (tail + bytes(view[max(0, n - 64) : n]))[-64:]
            rounds += 1
            if rounds % 64 == 0:
                most = max(most, s.rss(front))
        assert got == want and tail.endswith(b"\0\r\n.\r\n")
        w.buf = b""
        w.in_step()
        grown = max(most, s.rss(front)) - before
        assert grown < (6 << 20), f"front grew by {grown} octets"


@pytest.mark.proves("R8446-05")
def test_listing_in_few_records(own_server):
    """A LIST of 10,000 lines comes in large TLS records, not in one for each line."""
    s = own_server()
    box = s.add_user("many")
    s.start()
    for i in range(10000):
        name = f"{1700000000 + i}.M{i}P1.test,S=2,W=4:2,"
        path = box.drop.path / "cur" / name
        path.write_bytes(b"\nx")
        srv.own(path)
    raw = socket.create_connection(s.address("tls"), timeout=20)
    inc, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    tls = ctx.wrap_bio(inc, out, server_hostname="localhost")
    stream = bytearray()

    def pump(call, *args):
        while True:
            try:
                result = call(*args)
                raw.sendall(out.read())
                return result
            except ssl.SSLWantReadError:
                raw.sendall(out.read())
                chunk = raw.recv(65536)
                assert chunk
                stream.extend(chunk)
                inc.write(chunk)

    def line(cmd: bytes) -> None:
        pump(tls.write, cmd + b"\r\n")
        got = pump(tls.read, 600)
        assert got.startswith(b"+OK"), got

    pump(tls.do_handshake)
    assert pump(tls.read, 600).startswith(b"+OK")
    line(b"USER many")
    line(b"PASS " + box.password.encode())
    stream.clear()
    pump(tls.write, b"LIST\r\n")
    plain = b""
    while not plain.endswith(b"\r\n.\r\n"):
        plain += pump(tls.read, 1 << 20)
    assert plain.count(b"\r\n") == 10002
    records, at = 0, 0
    while at < len(stream):
        at += 5 + int.from_bytes(stream[at + 3 : at + 5], "big")
        records += 1
    assert records < 60, records
    raw.close()


# --- files that others touch during the session ------------------------------------------------------


@pytest.mark.proves("R1939-AUTHZ-10", "C08", "MD-13")
def test_vanished_message(drop_a):
    with drop_a.login() as w:
        drop_a.drop.files()[1].unlink()
        assert w.stat() == (3, 118)
        assert w.list() == {1: 60, 2: 35, 3: 23}
        w.err("RETR 2")
        w.err("TOP 2 0")
        w.in_step()
        assert w.retr(3) == wm.plain(wm.MAILDROP_A[2])
        w.ok("DELE 2")
        w.quit()
    assert drop_a.drop.contents() == [wm.MAILDROP_A[0], wm.MAILDROP_A[2]]


@pytest.mark.proves("MD-11", "MD-13", "N7")
def test_renamed_message(drop_a):
    """Another program moves messages and changes flags: they are found again, fetched and deleted."""
    with drop_a.login() as w:
        for p in drop_a.drop.files():
            p.rename(drop_a.drop.path / "cur" / (p.name.split(":2,")[0] + ":2,FS"))
        assert w.retr(2) == wm.plain(wm.MAILDROP_A[1])
        w.ok("DELE 2")
        for p in drop_a.drop.files():
            p.rename(drop_a.drop.path / "cur" / (p.name.split(":2,")[0] + ":2,S"))
        w.quit()
    assert drop_a.drop.contents() == [wm.MAILDROP_A[0], wm.MAILDROP_A[2]]


@pytest.mark.proves("R1939-RETR-07", "N9")
def test_truncated_message(account):
    """A message that got shorter than the snapshot says: -ERR, or the end without a terminator; never a short
    message that looks whole."""
    body = b"Subject: long\n\n" + b"0123456789abcdef\n" * 200000
    box = account([b"Subject: first\n\nx\n", body])
    with box.login() as w:
        w.list()
        os.truncate(box.drop.files()[1], 100000)
        reply = w.cmd("RETR 2")
        if reply.startswith(b"+OK"):
            with pytest.raises(Closed):
                w.body()
        else:
            w.in_step()
    assert len(box.drop) == 2


@pytest.mark.proves("R1939-RETR-07", "N9")
def test_truncated_while_sent(account):
    """The same in the middle of a transfer: the client reads slowly, the file shrinks."""
    body = b"Subject: long\n\n" + b"0123456789abcdef\n" * 1500000
    box = account([body])
    with box.login(rcvbuf=65536) as w:
        w.ok("RETR 1")
        time.sleep(0.3)
        os.truncate(box.drop.files()[0], 1 << 20)
        try:
            got = w.body()
        except Closed:
            got = None
        # Either it never looks whole, or all of it had been read before.
        assert got is None or got == wm.wire(body)
    assert len(box.drop) == 1


@pytest.mark.proves("R1939-RETR-07", "R1939-SIZE-07", "N14")
def test_grown_message(account):
    """Content that grew in the session is never sent as something else than announced; the next session
    counts anew."""
    box = account([b"Subject: a\n\nx\n", b"Subject: b\n\ny\n"])
    with box.login() as w:
        sizes = w.list()
        with open(box.drop.files()[0], "ab") as f:
            f.write(b"more\n")
        reply = w.cmd("RETR 1")
        if reply.startswith(b"+OK"):
            try:
                assert len(wm.unstuff(w.body())) == sizes[1]
            except Closed:
                return
        w.ok("QUIT")
    with box.login_soon() as w:
        assert w.list() == {1: 23, 2: 17}
        assert w.retr(1) == b"Subject: a\r\n\r\nx\r\nmore\r\n"


@pytest.mark.proves("R1939-SIZE-07")
def test_same_size_other_content(account):
    """Other content of the same file size and another count of lines: the next session is right."""
    box = account([b"Subject: a\n\nabcd\n"])
    with box.login() as w:
        assert w.list() == {1: 20}
        w.quit()
    path = box.drop.files()[0]
    time.sleep(0.02)
    path.write_bytes(b"Subject: a\n\n\n\n\n\n\n")
    with box.login_soon() as w:
        assert w.list() == {1: 24}
        assert w.retr(1) == b"Subject: a\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
