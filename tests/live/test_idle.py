"""Sessions that wait: how many there are, that each of them still works, and how little each of them holds."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest
import server as srv
from wire import client_context

# KiB that one more session may cost over all processes of the server. Measured: about two thirds of it.
BOUNDS = {
    ("plain", "greeted"): 3,
    ("tls", "greeted"): 20,
    ("tls", "silent"): 2,
    ("plain", "logged-in"): 6,
    ("tls", "logged-in"): 24,
}
SESSIONS = 400
WARM = 100
TRIMMED = 10  # seconds after which a front's heap has been trimmed


def kib(server) -> int:
    """Proportional set size of all workers."""
    total = 0
    for pid in [p for role in ("front", "auth", "store") for p in server.workers(role)]:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


class Waiting:
    """One client that does nothing more than it is told."""

    def __init__(self, server, door: str, number: int, ctx: ssl.SSLContext):
        self.ctx, self.door = ctx, door
        self.sock = socket.create_connection(
            server.address(door), timeout=15, source_address=(f"127.7.{1 + number // 250}.{1 + number % 250}", 0)
        )

    def greet(self) -> None:
        if self.door == "tls":
            self.sock = self.ctx.wrap_socket(self.sock)
        self.take()

    def take(self) -> bytes:
        got = self.sock.recv(4096)
        assert got.startswith(b"+OK") and got.endswith(b"\n"), got
        return got

    def say(self, line: bytes) -> bytes:
        self.sock.sendall(line + b"\r\n")
        return self.take()

    def login(self, account) -> None:
        self.say(b"USER " + account.name.encode())
        self.say(b"PASS " + account.password.encode())
        self.say(b"STAT")


@pytest.fixture(scope="module")
def wide(pki):
    """A server with two fronts and a user for each session."""
    try:
        s = srv.Server(pki, start=False, conf={"workers.fronts": 2, "limits.connections_per_address": 0})
        s.accounts = [s.add_user(f"u{i}", write=False) for i in range(SESSIONS)]
        s.write_users()
        s.start()
    except srv.Unavailable as e:
        pytest.skip(str(e))
    with s:
        yield s


def settle(seconds: float = 2.5) -> None:
    """Longer than a front needs to put away what a session that rests does not need."""
    time.sleep(seconds if not srv.sanitized() else 2.5)


@pytest.mark.limit(240)
@pytest.mark.parametrize("door, state", BOUNDS)
def test_sessions_at_rest(wide, door, state):
    """Hundreds of sessions at once: all are served afterwards, and one more costs no more than its bound."""
    n = SESSIONS if not srv.sanitized() else 120
    ctx = client_context()
    warm, held = [], []
    try:
        for i in range(WARM):
            warm.append(Waiting(wide, door, i, ctx))
            if state != "silent":
                warm[-1].greet()
        settle()
        before = kib(wide)
        for i in range(n):
            held.append(c := Waiting(wide, door, WARM + i, ctx))
            if state != "silent":
                c.greet()
            if state == "logged-in":
                c.login(wide.accounts[i])
        settle()
        each = (kib(wide) - before) / n
        for c in held:
            if state == "silent":
                c.greet()
            assert c.say(b"NOOP" if state == "logged-in" else b"CAPA")
    finally:
        for c in warm + held:
            c.sock.close()
    if not srv.sanitized():  # a sanitizer's shadow and quarantine are no session's
        assert each <= BOUNDS[door, state], f"{each:.1f} KiB a session"


@pytest.mark.limit(120)
def test_listing_is_put_away(own_server):
    """The windows that LIST and UIDL read (45 KiB) go when the session rests, and come back when it asks again."""
    s = own_server(conf={"workers.fronts": 1})
    accounts = [s.add_user(f"w{i}", [b"Subject: x\r\n\r\n%d\r\n" % k for k in range(600)]) for i in range(12)]
    s.start()
    for a in accounts:  # what the first of all logins leaves behind is no session's
        with a.login() as w:
            w.multi("UIDL")
    open_ = [a.login() for a in accounts]
    try:
        settle(TRIMMED)
        before = kib(s)
        lists = [(w.multi("LIST"), w.multi("UIDL")) for w in open_]
        bound = before + 20 * len(open_)
        deadline = time.monotonic() + 20
        while (now := kib(s)) > bound and time.monotonic() < deadline and not srv.sanitized():
            time.sleep(0.5)
        settle()
        assert [(w.multi("LIST"), w.multi("UIDL")) for w in open_] == lists
    finally:
        for w in open_:
            w.close()
    if not srv.sanitized():
        assert now <= bound, f"{(now - before) / len(open_):.1f} KiB a session after its listings"


@pytest.mark.limit(120)
@pytest.mark.proves("R8446-03")
@pytest.mark.parametrize("version", (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3))
def test_resumption_over_two_fronts(wide, version):
    """A client that offers what the connection before brought resumes every time, at either front; with TLS 1.3, where
    a ticket is for one use, each connection brings a new one."""
    ctx = client_context(lowest=version, highest=version)
    session, resumed, ids, seen = None, [], set(), len(wide.events("session"))
    for count in range(2, 65):
        raw = socket.create_connection(wide.address("tls"), timeout=15)
        with ctx.wrap_socket(raw, server_hostname="localhost", session=session) as sock:
            resumed.append(sock.session_reused)
            assert sock.recv(200).startswith(b"+OK")
            session = sock.session
            assert session.has_ticket
            ids.add(session.id)
            sock.sendall(b"QUIT\r\n")
            assert sock.recv(200).startswith(b"+OK")
        if count > 12 and len({e["pid"] for e in wide.events("session")[seen:]}) == 2:
            break
    else:
        pytest.fail("one front took all connections")
    assert resumed == [False] + [True] * (len(resumed) - 1)
    assert version != ssl.TLSVersion.TLSv1_3 or len(ids) == len(resumed)
