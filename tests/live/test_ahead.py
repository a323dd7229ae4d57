"""Messages that the server gets from its store before they are asked for: what a client sees is the same as if it
had got each when it asked, and no session keeps descriptors that it does not use."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import sys
import termios
import time

import pytest
import wiremodel as wm
from wire import Closed

AHEAD = 32  # IPC_MAX_FDS: so many of a session's messages may be held early


def mixed(count: int, seed: int = 1) -> list[bytes]:
    """Messages of every kind: line ends as mail transports and as the wire has them, dots, no last line end, large
    ones that need more than one read; each tells its number."""
    rng = random.Random(seed)
    out = []
    for i in range(count):
        eol = rng.choice((b"\n", b"\r\n"))
        lines = [b"Subject: %d" % i, b""]
        for _ in range(rng.choice((0, 1, 3, 40))):
            lines.append(rng.choice((b"", b".", b"..", b"plain", b".x" * 20)) + b"y" * rng.randrange(90))
        if rng.random() < 0.01:
            lines += [b"z" * 75] * 2000
        text = eol.join(lines)
        out.append(text + rng.choice((eol, eol, eol, b"")))
    return out


def held(server, drop) -> int | None:
    """Descriptors of messages of this maildrop in the fronts; None when they may not be looked at."""
    n = 0
    try:
        for pid in server.workers("front"):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                try:
                    target = os.readlink(f"/proc/{pid}/fd/{fd}")
                except FileNotFoundError:
                    continue
                n += target.startswith((f"{drop.path}/new/", f"{drop.path}/cur/"))
    except PermissionError:
        return None
    return n


def none_held(server, drop, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while held(server, drop):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def read(w, message: bytes) -> None:
    w.ok()
    assert w.body() == wm.wire(message)


@pytest.mark.proves("R2449-PIPE-01", "R2449-PIPE-02", "R1939-RETR-05", "R1939-SIZE-06", "R1939-RETR-03")
@pytest.mark.limit(240)
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_a_thousand_pipelined(account, mode):
    """However the commands are cut into segments, each reply is that of its command."""
    messages = mixed(1000)
    box = account(messages)
    commands = b"".join(b"RETR %d\r\n" % (i + 1) for i in range(len(messages)))
    rng = random.Random(2)
    with box.login(mode) as w:
        for piece in (len(commands), 1024, 97, 11, 10, 0):
            sent = 0
            for i, m in enumerate(messages):
                while sent < len(commands) and sent < 12 * (i + 1):
                    n = piece or rng.randrange(1, 400)
                    w.later(commands[sent : sent + n])
                    sent += n
                read(w, m)
        w.in_step()
        w.quit()
    assert box.drop.contents() == messages


@pytest.mark.proves("R1939-RETR-05", "R1939-DELE-01", "R1939-QUIT-05")
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_in_order_and_deleted(account, mode):
    """One at a time with DELE behind each; some are deleted before their turn."""
    messages = mixed(60, 3)
    box = account(messages)
    early = {13, 14, 15, 33, 60}
    with box.login(mode) as w:
        for n, m in enumerate(messages, 1):
            if n in early:
                w.err(f"RETR {n}")
                continue
            assert w.retr(n) == wm.plain(m)
            w.ok(f"DELE {n}")
            w.err(f"RETR {n}")
            if n == 5:
                for x in early:
                    w.ok(f"DELE {x}")
        w.ok("RSET")
        assert w.retr(60) == wm.plain(messages[59])
        assert w.retr(1) == wm.plain(messages[0])
        w.ok("DELE 2")
        w.quit()
    assert box.drop.contents() == messages[:1] + messages[2:]


@pytest.mark.proves("R1939-TOP-03", "R1939-RETR-05", "R2449-PIPE-01")
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_top_between(account, mode):
    """TOP and RETR of the same and of other messages, in order, against it, all at once and one at a time."""
    messages = mixed(50, 4)
    box = account(messages)
    rng = random.Random(5)
    plan = [(verb, n) for n in range(1, 51) for verb in ("TOP", "RETR")]
    plan += [("RETR", n) for n in range(50, 0, -1)] + [("TOP", n) for n in range(1, 51)]
    plan += [(rng.choice(("TOP", "RETR")), rng.randrange(1, 51)) for _ in range(200)]

    def line(verb: str, n: int) -> bytes:
        return b"TOP %d 3\r\n" % n if verb == "TOP" else b"RETR %d\r\n" % n

    def check(w, verb: str, n: int) -> None:
        w.ok()
        assert w.body() == (wm.top(messages[n - 1], 3) if verb == "TOP" else wm.wire(messages[n - 1])), (verb, n)

    with box.login(mode) as w:
        for verb, n in plan:
            w.send(line(verb, n))
            check(w, verb, n)
        w.later(b"".join(line(*step) for step in plan))
        for step in plan:
            check(w, *step)
        w.in_step()


@pytest.mark.proves("R1939-DELE-01", "R1939-RETR-05", "R2449-PIPE-01")
def test_commands_between(account):
    """Everything a client may send between, in one segment."""
    messages = mixed(40, 6)
    box = account(messages)
    with box.login() as w:
        for n in range(1, 41):
            w.later(b"NOOP\r\nRETR %d\r\nDELE %d\r\nLIST %d\r\nSTAT\r\nXYZ\r\nRETR 99\r\n" % (n, n, n))
        w.later(b"RSET\r\nRETR 1\r\nQUIT\r\nRETR 2\r\n")
        for m in messages:
            w.ok()
            read(w, m)
            w.ok()
            w.err()
            w.ok()
            w.err()
            w.err()
        w.ok()
        read(w, messages[0])
        w.ok()
        assert w.recv() == b""
    assert box.drop.contents() == messages


@pytest.mark.proves("R1939-RETR-07", "N9", "R1939-AUTHZ-06")
def test_changed_and_removed_by_others(account, server):
    """A message that waits in the front is looked at again: what changed meanwhile is refused, as it would have been
    without waiting. One that was removed comes whole or not at all."""
    messages = mixed(12, 7)
    box = account(messages)
    with box.login() as w:
        files = box.drop.files()
        for n in (1, 2, 3):
            assert w.retr(n) == wm.plain(messages[n - 1])
        count = held(server, box.drop)
        assert count is None or count >= 1  # it does hold some early
        os.truncate(files[3], 3)
        w.err("RETR 4", "SYS/TEMP")
        assert w.retr(5) == wm.plain(messages[4])
        with open(files[5], "ab") as f:
            f.write(b"more\n")
        w.err("RETR 6", "SYS/TEMP")
        for n in (7, 8):
            assert w.retr(n) == wm.plain(messages[n - 1])
        for path in files[8:10]:
            path.unlink()
        for n in (9, 10):
            reply = w.cmd(f"RETR {n}")
            if reply.startswith(b"+OK"):
                assert w.body() == wm.wire(messages[n - 1])
        for n in (11, 12):
            assert w.retr(n) == wm.plain(messages[n - 1])
        w.in_step()
        w.quit()
    assert len(box.drop) == 10


@pytest.mark.proves("R2449-PIPE-01", "R1939-RETR-05")
def test_sessions_side_by_side(account):
    """Each session gets its own mail, whatever others ask for at the same time."""
    sides = [(account(m), m) for m in (mixed(120, 10), mixed(120, 11), mixed(120, 12))]
    wires = [box.login(how) for (box, _), how in zip(sides, ("plain", "tls", "plain"))]
    try:
        for w in wires[:2]:
            w.later(b"".join(b"RETR %d\r\n" % (n + 1) for n in range(120)))
        for n in range(120):
            wires[2].send(b"RETR %d\r\n" % (n + 1))
            for w, (_, messages) in zip(wires, sides):
                read(w, messages[n])
        for w in wires:
            w.in_step()
            w.quit()
    finally:
        for w in wires:
            w.close()


@pytest.mark.proves("R1939-QUIT-05", "R1939-RETR-07")
def test_store_dies_between(own_server):
    """With messages waiting, some asked for: the session ends, nothing is lost and the next one is whole."""
    s = own_server(listen=("plain",))
    messages = mixed(40, 8)
    box = s.add_user("anna", messages)
    s.start()
    for pipelined in (False, True):
        with box.login_soon(10) as w:
            for n in range(1, 8):
                assert w.retr(n) == wm.plain(messages[n - 1])
            w.ok("DELE 1")
            if pipelined:
                w.send(b"".join(b"RETR %d\r\n" % n for n in range(8, 41)))
            s.kill_worker("store")
            try:
                for n in range(8, 41):
                    if not pipelined:
                        w.send(b"RETR %d\r\n" % n)
                    if w.status().startswith(b"+OK"):
                        assert w.body() == wm.wire(messages[n - 1])
            except (Closed, OSError):
                pass
    with box.login_soon(10) as w:
        for n, m in enumerate(messages, 1):
            assert w.retr(n) == wm.plain(m)
        w.quit()
    assert box.drop.contents() == messages
    assert none_held(s, box.drop)


@pytest.mark.proves("R1939-RETR-05")
def test_no_descriptor_is_kept(account, server):
    """Bounded while it reads; none after it has been silent, deleted what waited, or left."""
    messages = mixed(200, 9)
    box = account(messages)
    if held(server, box.drop) is None:
        pytest.skip("the fronts may not be looked at")
    most = 0
    with box.login() as w:
        for n in range(1, 101):
            assert w.retr(n) == wm.plain(messages[n - 1])
            most = max(most, held(server, box.drop))
        assert 1 <= most <= AHEAD
        assert none_held(server, box.drop)
        assert w.retr(101) == wm.plain(messages[100])
        assert w.retr(102) == wm.plain(messages[101])
        w.ok("NOOP")
        for n in range(103, 120):
            w.ok(f"DELE {n}")
        assert held(server, box.drop) == 0
        for n in (120, 121, 122, 123):
            assert w.retr(n) == wm.plain(messages[n - 1])
        assert w.retr(199) == wm.plain(messages[198])  # out of order: what was expected goes
        assert held(server, box.drop) <= 1
        for n in (130, 131, 132, 133):
            w.retr(n)
        w.quit()
        assert none_held(server, box.drop, 5)
    with box.login_soon() as w:
        for n in (1, 2, 3, 4):
            w.retr(n)
        w.rst()
    assert none_held(server, box.drop)


def queued(sock) -> int:
    """Octets that have arrived and were not read."""
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.proves("R2449-PIPE-04")
def test_a_large_message_lets_others_through(own_server):
    """One front, and a client whose socket takes all of a large message at once: another's STAT is answered while it
    is on its way. When we were too slow to ask in time, we try again."""
    size = 48 << 20
    s = own_server(listen=("plain",), conf={"workers.fronts": 1})
    big = s.add_user("big", [b"Subject: big\r\n\r\n" + (b"x" * 76 + b"\r\n") * (size // 78)])
    small = s.add_user("small", mixed(3))
    s.start()
    between = False
    with small.login() as b:
        for _ in range(20):
            with big.login_soon() as a:
                try:
                    a.sock.setsockopt(socket.SOL_SOCKET, 33, 3 * size)  # SO_RCVBUFFORCE
                except PermissionError:
                    pytest.skip("large buffers are root's")
                a.send(b"RETR 1\r\n")
                while not queued(a.sock):
                    pass
                b.send(b"STAT\r\n")
                b.ok()
                between = queued(a.sock) < size // 2
                a.ok()
                assert len(a.body()) > size - 100
                a.quit()
            if between:
                break
    assert between


@pytest.mark.proves("R2449-PIPE-01", "R1939-RETR-05")
def test_without_descriptors(own_server):
    """A front that can open no more: each reply is right or [SYS/TEMP], none is missing; later all are right."""
    s = own_server(listen=("plain",), conf={"workers.fronts": 1}, prefix=["prlimit", "--nofile=64:64"])
    messages = mixed(60, 14)
    box = s.add_user("anna", messages)
    s.start()
    lines = b"".join(b"RETR %d\r\n" % (n + 1) for n in range(len(messages)))
    refused = 0
    others: list[socket.socket] = []
    with box.login() as w:
        for spare in (0, 1, 2, 3):
            while len(others) < 70:  # more than it can take
                others.append(socket.create_connection(w.sock.getpeername()))
                others[-1].setblocking(False)
            time.sleep(0.2)
            for sock in others[:spare]:  # these are let in: the first
                sock.close()
            del others[:spare]
            time.sleep(0.2)
            for one_by_one in (False, True):
                if not one_by_one:
                    w.later(lines)
                for n, m in enumerate(messages, 1):
                    reply = w.cmd(f"RETR {n}") if one_by_one else w.status()
                    if reply.startswith(b"+OK"):
                        assert w.body() == wm.wire(m)
                    else:
                        assert reply.startswith(b"-ERR [SYS/TEMP] "), reply
                        refused += 1
        assert refused
        for sock in others:
            sock.close()
        deadline = time.monotonic() + 10
        while not w.cmd("RETR 1").startswith(b"+OK"):
            assert time.monotonic() < deadline
        assert w.body() == wm.wire(messages[0])
        for n, m in enumerate(messages, 1):
            assert w.retr(n) == wm.plain(m)
        w.in_step()
