"""The maildrop as a session sees it, and the disk as it is afterwards: snapshot, lock, UPDATE, drops, kills."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
import server as srv
import wiremodel as wm

MODES = ("plain", "stls", "tls")


@pytest.mark.proves("X3.1", "R1939-QUIT-01", "R1939-QUIT-09", "R1939-DELE-01", "R1939-RSET-01", "R8314-S-03")
@pytest.mark.parametrize("mode", MODES)
def test_base_session(drop_a, mode):
    with drop_a.login(mode) as w:
        assert w.ok("STAT") == wm.A_STAT
        assert w.list() == {1: 60, 2: 35, 3: 23}
        assert len(w.uidl()) == 3
        assert w.retr(1) == wm.plain(wm.MAILDROP_A[0])
        w.ok("TOP 1 0")
        assert len(w.body()) == 39
        w.ok("DELE 1")
        assert w.list() == {2: 35, 3: 23}
        assert sorted(w.uidl()) == [2, 3]
        assert w.stat() == (2, 58)
        w.ok("NOOP")
        w.ok("RSET")
        assert w.stat() == (3, 118)
        w.ok("DELE 2")
        assert len(drop_a.drop) == 3, "nothing is removed before QUIT"
        w.quit()
        assert drop_a.drop.contents() == [wm.MAILDROP_A[0], wm.MAILDROP_A[2]]
    with drop_a.login(mode) as w:
        assert w.list() == {1: 60, 2: 23}


@pytest.mark.proves("R1939-QUIT-09", "R8314-S-03", "R1939-QUIT-04")
@pytest.mark.parametrize("mode", ("stls", "tls"))
def test_close_notify_after_quit(drop_a, mode):
    """The end is a proper end of TLS: ssl would raise SSLEOFError otherwise."""
    with drop_a.login(mode) as w:
        w.ok("DELE 1")
        w.ok("QUIT")
        assert len(drop_a.drop) == 2, "gone when +OK is there"
        assert w.sock.recv(100) == b""


@pytest.mark.proves("R1939-QUIT-08")
def test_after_quit(drop_a):
    with drop_a.login() as w:
        w.send(b"QUIT\r\nNOOP\r\nNOOP\r\n")
        w.ok()
        assert w.eof() == b""


# --- endings without QUIT -----------------------------------------------------------------------------


def _fin(w, s):
    w.close()


def _rst(w, s):
    w.rst()


def _half_close(w, s):
    w.fin()
    assert w.eof() == b""


def _unterminated_quit(w, s):
    w.send(b"QUIT")
    w.fin()
    assert b"+OK" not in w.eof()


def _quit_with_cr(w, s):
    w.send(b"QUIT\r")
    w.fin()
    assert b"+OK" not in w.eof()


def _bad_commands(w, s):
    """51 of them in one go: replies, then the end."""
    w.send(b"XYZZY\r\n" * 60)
    got = w.eof(10)
    assert got.count(b"-ERR") == got.count(b"\r\n") <= 51


ENDINGS = {
    "fin": _fin,
    "rst": _rst,
    "half-close": _half_close,
    "unterminated-quit": _unterminated_quit,
    "quit-cr": _quit_with_cr,
    "bad-commands": _bad_commands,
}


@pytest.mark.proves("R1939-QUIT-03", "R1939-GEN-22", "R1939-GEN-24", "R1939-AUTHZ-02", "X3.5", "B06", "R8446-01")
@pytest.mark.parametrize(
    "mode,ending",
    [("plain", e) for e in ENDINGS] + [("tls", e) for e in ("fin", "rst", "bad-commands")],
)
def test_drop_matrix(drop_a, mode, ending):
    """At each point after DELE: whatever ends the session but QUIT removes nothing and frees the lock."""
    points = [[], ["DELE 1"], ["DELE 1", "LIST"], ["DELE 1", "RSET", "DELE 2", "DELE 3"]]
    for point in points:
        w = drop_a.login_soon(how=mode)
        for command in point:
            w.multi(command) if command == "LIST" else w.ok(command)
        ENDINGS[ending](w, drop_a.server)
        w.close()
        with drop_a.login_soon(how=mode) as again:
            assert again.stat() == (3, 118)
            again.quit()
        assert drop_a.drop.contents() == wm.MAILDROP_A


@pytest.mark.proves("R8446-01", "R1939-QUIT-03")
def test_fin_without_close_notify(drop_a):
    with drop_a.login("tls") as w:
        w.ok("DELE 1")
        w.send(b"QUI")
        socket.socket.shutdown(w.sock, socket.SHUT_WR)
        w.close()
    with drop_a.login_soon() as w:
        assert w.stat() == (3, 118)


@pytest.mark.proves("R1939-QUIT-03", "R1939-RETR-08")
def test_drop_inside_retr(account):
    """The client goes away in the middle of a long message."""
    box = account([b"Subject: x\n\n" + b"y" * 20_000_000 + b"\n"])
    for end in (_fin, _rst):
        w = box.login_soon(rcvbuf=65536)
        w.ok("DELE 1")
        w.ok("RSET")
        w.ok("RETR 1")
        end(w, box.server)
        w.close()
    with box.login_soon() as w:
        assert w.stat()[0] == 1


@pytest.mark.proves("R1939-QUIT-05", "R2449-PIPE-01")
@pytest.mark.parametrize("mode", ("plain", "tls"))
@pytest.mark.parametrize("how", ("half-close", "close", "reset"))
def test_quit_sent_then_gone(drop_a, mode, how):
    """QUIT arrived whole, then the client is gone without reading: the deletions are carried out."""
    if how == "reset":
        # A reset may destroy what the server has not read yet: wait until it has.
        w = drop_a.login(mode)
        w.ok("DELE 1")
        w.send(b"QUIT\r\n")
        time.sleep(0.3)
        w.rst()
    else:
        w = drop_a.login(mode)
        w.send(b"DELE 1\r\nQUIT\r\n")
        if how == "half-close" and mode == "plain":
            w.fin()
        w.close()
    deadline = time.monotonic() + 5
    while len(drop_a.drop) != 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert drop_a.drop.contents() == wm.MAILDROP_A[1:]


# --- snapshot and lock ----------------------------------------------------------------------------------


@pytest.mark.proves("R1939-AUTHZ-06", "R1939-AUTHZ-07", "R1939-QUIT-07", "N10")
def test_snapshot(drop_a):
    with drop_a.login() as w:
        drop_a.drop.put(b"Subject: new\n\nnew\n")
        assert w.stat() == (3, 118)
        w.err("RETR 4")
        for n in (1, 2, 3):
            w.ok(f"DELE {n}")
        drop_a.drop.put(b"Subject: newer\n\nnewer\n")
        w.quit()
    assert drop_a.drop.contents() == [b"Subject: new\n\nnew\n", b"Subject: newer\n\nnewer\n"]
    with drop_a.login_soon() as w:
        assert w.stat()[0] == 2


@pytest.mark.proves("R1939-AUTHZ-03", "R2449-RC-06", "B14")
def test_in_use(drop_a):
    with drop_a.login() as first, drop_a.server.wire() as second:
        second.ok(f"USER {drop_a.name}")
        begin = time.monotonic()
        second.err(f"PASS {drop_a.password}", code="IN-USE")
        assert time.monotonic() - begin <= 10
        second.ok(f"USER {drop_a.name}")
        second.err("PASS wrong", code="AUTH")
        first.quit()
        second.login(drop_a.name, drop_a.password)
        assert second.stat() == (3, 118)


@pytest.mark.proves("R1939-AUTHZ-03")
def test_parallel_logins(drop_a):
    """Twenty at once: exactly one gets in, the others are told why."""
    results = []
    ready = threading.Barrier(20)

    def one():
        with drop_a.server.wire() as w:
            w.ok(f"USER {drop_a.name}")
            ready.wait(10)
            reply = w.cmd(f"PASS {drop_a.password}")
            results.append(reply)
            if reply.startswith(b"+OK"):
                time.sleep(3)

    threads = [threading.Thread(target=one) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    won = [r for r in results if r.startswith(b"+OK")]
    assert len(results) == 20 and len(won) == 1, results
    assert all(r.startswith(b"-ERR [IN-USE] ") for r in results if r not in won)


@pytest.mark.proves("R1939-AUTHZ-02", "R1939-AUTHZ-08")
def test_lock_is_free_at_once(drop_a):
    for end in (_fin, _rst, _half_close):
        w = drop_a.login_soon(2)
        end(w, drop_a.server)
        begin = time.monotonic()
        drop_a.login_soon(2).close()
        assert time.monotonic() - begin < 1
        w.close()


@pytest.mark.proves("R1939-AUTHZ-09", "C02")
def test_takeover(own_server):
    s = own_server(conf={"mail.sessions": "takeover"})
    box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    first = box.login()
    first.ok("DELE 1")
    second = box.login()
    assert first.eof() == b""
    assert second.stat() == (3, 118)
    second.ok("DELE 3")
    second.quit()
    first.close()
    assert box.drop.contents() == wm.MAILDROP_A[:2]


@pytest.mark.proves("R1939-AUTHZ-09")
@pytest.mark.skipif(not shutil.which("ss"), reason="ss is not installed")
def test_keepalive(drop_a):
    """A client that vanished is found out by the system: the sockets of sessions have keepalive, soon."""
    with drop_a.login() as w:
        port = w.sock.getsockname()[1]
        for _ in range(50):  # while data is on its way another timer shows
            seen = subprocess.run(
                ["ss", "-tnoH", f"sport = :{drop_a.server.ports['plain']} and dport = :{port}"],
                capture_output=True, text=True, timeout=20, check=True,
            ).stdout
            if "keepalive" in seen:
                break
            time.sleep(0.1)
        found = re.search(r"timer:\(keepalive,(?:(\d+)min)?(?:([\d.]+)sec)?", seen)
        assert found, seen
        assert 60 * int(found[1] or 0) + float(found[2] or 0) <= 120


@pytest.mark.proves("C02")
def test_shared_sessions(own_server):
    s = own_server(conf={"mail.sessions": "shared"})
    box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    with box.login() as one, box.login("tls") as two:
        assert one.stat() == two.stat() == (3, 118)
        one.ok("DELE 1")
        two.ok("DELE 1")
        two.ok("DELE 2")
        one.quit()
        two.err("RETR 1")
        assert two.retr(3) == wm.plain(wm.MAILDROP_A[2])
        two.quit()
    assert box.drop.contents() == wm.MAILDROP_A[2:]


# --- UPDATE ------------------------------------------------------------------------------------------


@pytest.mark.proves("R1939-QUIT-02", "N8", "C22")
def test_removal_fails(drop_a):
    """cur and new cannot be written: QUIT says so, nothing else is harmed, the lock is free."""
    with drop_a.login() as w:
        w.ok("DELE 1")
        w.ok("DELE 2")
        for sub in ("new", "cur"):
            (drop_a.drop.path / sub).chmod(0o500)
        try:
            w.err("QUIT")
            assert w.eof() == b""
        finally:
            for sub in ("new", "cur"):
                (drop_a.drop.path / sub).chmod(0o700)
    assert drop_a.drop.contents() == wm.MAILDROP_A
    with drop_a.login_soon() as w:
        assert w.stat() == (3, 118)
        w.ok("DELE 1")
        w.quit()
    assert len(drop_a.drop) == 2


@pytest.mark.proves("R1939-QUIT-02", "N8")
@pytest.mark.skipif(not srv.ROOT, reason="an immutable file needs root")
def test_one_removal_fails(drop_a):
    with drop_a.login() as w:
        w.ok("DELE 1")
        w.ok("DELE 2")
        stuck = drop_a.drop.files()[0]
        if subprocess.run(["chattr", "+i", str(stuck)], capture_output=True).returncode:
            pytest.skip("this file system knows no immutable files")
        try:
            reply = w.err("QUIT")
            assert reply.startswith(b"-ERR [SYS/")
            assert w.eof() == b""
        finally:
            subprocess.run(["chattr", "-i", str(stuck)], check=True)
    left = drop_a.drop.contents()
    assert left == [wm.MAILDROP_A[0], wm.MAILDROP_A[2]]
    with drop_a.login_soon() as w:
        assert w.stat()[0] == 2


@pytest.mark.proves("R1939-QUIT-04")
@pytest.mark.skipif(not os.access("/usr/bin/strace", os.X_OK), reason="strace is not installed")
def test_unlink_before_reply(own_server, tmp_path):
    """Seen from the kernel: journal, unlink, sync of the folders; all before the front writes its +OK."""
    s = own_server(conf={"workers.fronts": 1})
    box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    with box.login() as w:
        w.ok("DELE 1")
        trace = tmp_path / "trace"
        (store,) = s.workers("store")
        spy = subprocess.Popen(
            ["strace", "-f", "-ttt", "-y", "-e", "trace=unlink,unlinkat,fsync,fdatasync,sendmsg,sendmmsg,sendto,write",
             "-o", str(trace), "-p", str(store)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        try:
            line = spy.stderr.readline()
            if b"attached" not in line:
                pytest.skip(f"strace cannot attach here: {line!r}")
            w.quit()
        finally:
            spy.send_signal(signal.SIGINT)
            spy.wait(10)
    calls = trace.read_text(errors="replace").splitlines()
    unlink = [i for i, c in enumerate(calls) if "unlinkat(" in c and ".test" in c]
    sync = [i for i, c in enumerate(calls) if "fsync(" in c or "fdatasync(" in c]
    answer = [i for i, c in enumerate(calls) if "sendmsg(" in c or "sendmmsg(" in c]
    assert unlink and sync and answer, "\n".join(calls)
    assert any(i > unlink[-1] for i in sync), "the folder is synced after the unlink"
    assert any(i > max(x for x in sync) for i in answer), "the answer comes after the sync"


@pytest.mark.proves("R1939-QUIT-06")
@pytest.mark.limit(120)
def test_kill_during_update(own_server):
    """The store is killed at random moments of the UPDATE of 300 messages: each is whole or gone, none that
    was not marked is touched, and the next session works."""
    s = own_server()
    s.allow_deaths = True
    box = s.add_user("bob")
    s.start()
    rng = random.Random(7)
    for round_ in range(12):
        box.drop.clear()
        keep = [b"Subject: keep %d\n\nx\n" % i for i in range(50)]
        gone = [b"Subject: gone %d\n\nx\n" % i for i in range(300)]
        for i in range(300):
            box.drop.put(gone[i])
            if i < 50:
                box.drop.put(keep[i])
        w = box.login_soon(15)
        for n, stored in enumerate(box.drop.contents(), 1):
            if stored in gone:
                w.send(b"DELE %d\r\n" % n)
        for _ in gone:
            w.ok()
        store = s.workers("store")
        w.send(b"QUIT\r\n")
        time.sleep(rng.random() * 0.03)
        for pid in store:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            w.status()
        except (AssertionError, OSError):
            pass
        w.close()
        left = box.drop.contents()
        assert [m for m in left if m in keep] == keep
        assert all(m in keep or m in gone for m in left)
        with box.login_soon(15) as again:
            count, octets = again.stat()
            now = box.drop.contents()
            assert count == len(now) and octets == sum(wm.size(m) for m in now)
            assert [m for m in now if m in keep] == keep
            again.quit()


@pytest.mark.proves("R1939-QUIT-12")
@pytest.mark.limit(120)
def test_many_deletions(own_server):
    """10,000 deletions at QUIT take no more than a tenth of the minute that 100,000 may take."""
    s = own_server()
    box = s.add_user("bob")
    other = s.add_user("eve", [b"\nx\n"])
    s.start()
    for i in range(10000):
        path = box.drop.path / "cur" / f"{1700000000 + i}.M{i}P1.test,S=3,W=5:2,"
        path.write_bytes(b"\nx\n")
        srv.own(path)
    with box.login(timeout=30) as w:
        w.later(b"".join(b"DELE %d\r\n" % (i + 1) for i in range(10000)))
        for _ in range(10000):
            w.ok()
        begin = time.monotonic()
        w.send(b"QUIT\r\n")
        with other.login() as o:  # others are served meanwhile
            o.ok("STAT")
        assert time.monotonic() - begin < 3
        w.ok()
        took = time.monotonic() - begin
        assert took < (6 if not srv.sanitized() else 20), took
    assert len(box.drop) == 0


# --- model --------------------------------------------------------------------------------------------


@pytest.mark.proves(
    "R1939-DELE-02", "R1939-DELE-03", "R1939-RSET-02", "R1939-RETR-01", "R1939-TOP-06", "R1939-STAT-02", "R1939-LIST-05", "R1939-UIDL-02"
)
def test_against_model(account):
    """3,000 random commands against a model of what is marked."""
    rng = random.Random(4711)
    messages = [b"Subject: %d\n\n" % i + b"z" * i + b"\n" for i in range(12)]
    box = account(messages)
    sizes = [wm.size(m) for m in messages]
    deleted: set[int] = set()
    with box.login() as w:
        uids = w.uidl()
        for _ in range(3000):
            n = rng.randint(0, 14)
            there = 1 <= n <= 12 and n not in deleted
            what = rng.choice(("STAT", "LIST", "LIST n", "UIDL", "UIDL n", "RETR", "TOP", "DELE", "DELE", "RSET"))
            live = [i for i in range(1, 13) if i not in deleted]
            if what == "STAT":
                assert w.stat() == (len(live), sum(sizes[i - 1] for i in live))
            elif what == "LIST":
                assert w.list() == {i: sizes[i - 1] for i in live}
            elif what == "UIDL":
                assert w.uidl() == {i: uids[i] for i in live}
            elif what == "RSET":
                if rng.random() < 0.2:
                    w.ok("RSET")
                    deleted.clear()
            elif not there:
                verb = what.split()[0]
                w.err(f"{verb} {n} 1" if verb == "TOP" else f"{verb} {n}")
            elif what == "LIST n":
                assert w.ok(f"LIST {n}") == b"+OK %d %d" % (n, sizes[n - 1])
            elif what == "UIDL n":
                assert w.ok(f"UIDL {n}") == b"+OK %d %s" % (n, uids[n])
            elif what == "RETR":
                assert w.retr(n) == wm.plain(messages[n - 1])
            elif what == "TOP":
                w.ok(f"TOP {n} 0")
                assert w.body() == wm.top(messages[n - 1], 0)
            elif what == "DELE":
                w.ok(f"DELE {n}")
                deleted.add(n)
        w.quit()
    assert box.drop.contents() == [m for i, m in enumerate(messages, 1) if i not in deleted]
