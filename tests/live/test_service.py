"""The server as a service: reload, stop, workers that die, disks that are full, clocks that run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import server as srv
import wiremodel as wm
from wire import Closed, Wire

A = wm.MAILDROP_A


def serves(s, box, seconds: float = 15.0) -> None:
    """A new login works, soon."""
    with box.login_soon(seconds) as w:
        w.stat()
        w.quit()


def ended(w: Wire, seconds: float = 5.0) -> bytes:
    try:
        return w.eof(seconds)
    except (OSError, Closed):
        return b""


# --- reload and stop -----------------------------------------------------------------------------------------


@pytest.mark.proves("R8446-04", "A-reload")
def test_reload(own_server):
    """New settings for new sessions; old sessions go on as they were; a broken file changes nothing."""
    s = own_server()
    box = s.add_user("bob", A)
    s.start()
    old = box.login()
    s.conf["greeting"] = "second configuration"
    s.conf["auth.login_delay"] = 1
    s.reload()
    with s.wire() as w:
        assert w.greeting == b"+OK second configuration"
        assert "LOGIN-DELAY" in w.capa()
    assert old.retr(2) == wm.plain(A[1])
    good = s.conf_path.read_text()
    s.conf_path.write_text(good + '\nmail { sessions = "sideways" }\nnonsense = 1\n')
    s.proc.send_signal(signal.SIGHUP)
    s.wait_event("config-refused")
    with s.wire() as w:
        assert w.greeting == b"+OK second configuration"
    old.ok("DELE 1")
    old.quit()
    old.close()
    assert box.drop.contents() == A[1:]


@pytest.mark.proves("R1939-QUIT-03", "X3.5", "A-stop")
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_sigterm(own_server, mode):
    """Sessions end, nothing is deleted, the exit code is 0, no worker is left."""
    s = own_server(conf={"limits.drain": 3})
    box = s.add_user("bob", A)
    idle = s.add_user("eve", A)
    s.start()
    w, other = box.login(mode), idle.login(mode)
    w.ok("DELE 1")
    assert s.stop() == 0
    for x in (w, other):
        assert b"+OK" not in ended(x)
        x.close()
    assert box.drop.contents() == A
    assert s._launch(True)
    with box.login() as again:
        assert again.stat() == (3, 118)
        again.quit()


@pytest.mark.proves("A-stop")
def test_sigterm_lets_a_message_finish(own_server):
    """A RETR that runs when the stop comes is sent whole, or ends without a terminator."""
    s = own_server(conf={"limits.drain": 10})
    stored = b"Subject: x\n\n" + b"0123456789abcdef\n" * 400000
    box = s.add_user("bob", [stored])
    s.start()
    with box.login(rcvbuf=65536) as w:
        w.ok("RETR 1")
        s.proc.send_signal(signal.SIGTERM)
        try:
            assert w.body() == wm.wire(stored)
        except Closed:
            pass
        assert b"+OK" not in ended(w)
    assert s.stop() == 0
    assert len(box.drop) == 1


@pytest.mark.proves("R1939-QUIT-03", "X3.5")
def test_sigkill_of_everything(own_server):
    s = own_server()
    box = s.add_user("bob", A)
    s.start()
    w = box.login()
    w.ok("DELE 1")
    w.ok("DELE 2")
    s.kill()
    ended(w)
    w.close()
    assert box.drop.contents() == A
    s.start()
    with box.login() as again:
        assert again.stat() == (3, 118)
        again.quit()


@pytest.mark.proves("A-supervisor")
def test_supervisor_dies(own_server):
    """Only the supervisor is killed: its workers do not live on alone."""
    s = own_server()
    box = s.add_user("bob", A)
    s.start()
    w = box.login()
    w.ok("DELE 1")
    children = s.descendants()
    os.kill(s.proc.pid, signal.SIGKILL)
    s.proc.wait(10)
    s.proc = None
    deadline = time.monotonic() + 10
    left = children
    while left and time.monotonic() < deadline:
        left = [p for p in left if srv.alive(p)]
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, f"workers outlived their supervisor: {left}"
    w.close()
    assert box.drop.contents() == A


# --- workers that die -----------------------------------------------------------------------------------------


@pytest.mark.proves("X3.5", "R1939-QUIT-03", "R1939-AUTHZ-08", "A-workers")
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_front_dies(own_server, mode):
    """kill -9 of a front: its sessions end, nothing is deleted, the lock is free, another takes its place,
    sessions of other fronts go on."""
    s = own_server(conf={"workers.fronts": 2})
    boxes = [s.add_user(f"u{i}", A) for i in range(12)]
    s.start()
    sessions = [(b, b.login(mode)) for b in boxes]
    for _, w in sessions:
        w.ok("DELE 1")
    s.kill_worker("front")
    alive = dead = 0
    for _, w in sessions:
        try:
            w.ok("NOOP")
            alive += 1
        except (AssertionError, OSError):
            dead += 1
        w.close()
    assert dead and alive, f"{dead} ended, {alive} go on"
    for box in boxes:
        serves(s, box)
        assert box.drop.contents() == A
    assert len(s.workers("front")) == 2
    assert s.events("worker-died")


@pytest.mark.proves("X3.5", "R1939-QUIT-03", "R1939-AUTHZ-08", "A-workers")
def test_store_dies(own_server):
    s = own_server()
    box = s.add_user("bob", A)
    s.start()
    w = box.login()
    w.ok("DELE 1")
    s.kill_worker("store")
    try:
        reply = w.cmd("RETR 2")
        assert reply.startswith(b"-ERR") or w.body() == wm.wire(A[1])
        assert not w.cmd("QUIT").startswith(b"+OK"), "the maildrop is lost: no +OK"
    except (AssertionError, OSError) as e:
        assert "no +OK" not in str(e)
    w.close()
    assert box.drop.contents() == A
    serves(s, box)


@pytest.mark.proves("R3206-01", "A-workers")
@pytest.mark.parametrize("role", ("auth", "hash"))
def test_auth_dies(own_server, role):
    """Sessions go on; logins come back. While it is away a login fails for now, not for good."""
    s = own_server()
    hashed = "{SHA512-CRYPT}" + __import__("crypt").crypt("right-password")
    box = s.add_user("bob", A, password="right-password", secret=hashed)
    other = s.add_user("eve", A, password="right-password", secret=hashed)
    s.start()
    with box.login() as w:
        s.kill_worker(role)
        with s.wire(timeout=30) as x:
            x.ok("USER eve")
            reply = x.cmd("PASS right-password")
            assert reply.startswith((b"+OK", b"-ERR [SYS/TEMP]")), reply
        assert w.stat() == (3, 118)
        serves(s, other)
        w.ok("DELE 1")
        w.quit()
    assert box.drop.contents() == A[1:]
    serves(s, other)


@pytest.mark.proves("R3206-01", "A-workers")
@pytest.mark.limit(90)
def test_auth_stands_still(own_server):
    """The auth worker hangs (SIGSTOP): a login gets [SYS/TEMP] within its time, sessions go on."""
    s = own_server(conf={"auth.timeout": 2})
    box = s.add_user("bob", A)
    s.start()
    w = box.login()
    (auth,) = s.workers("auth")
    os.kill(auth, signal.SIGSTOP)
    try:
        with s.wire(timeout=30) as x:
            x.ok("USER bob")
            begin = time.monotonic()
            x.err(f"PASS {box.password}", code="SYS/TEMP")
            assert time.monotonic() - begin < 12
        assert w.retr(1) == wm.plain(A[0])
    finally:
        os.kill(auth, signal.SIGCONT)
    w.quit()
    w.close()
    serves(s, box)


@pytest.mark.proves("A-workers")
@pytest.mark.limit(90)
def test_store_stands_still(own_server):
    """The store hangs: fronts keep answering what needs no store, and others connect."""
    s = own_server()
    box = s.add_user("bob", A)
    s.start()
    w = box.login()
    w.list()
    (store,) = s.workers("store")
    os.kill(store, signal.SIGSTOP)
    try:
        w.ok("NOOP")
        assert w.stat() == (3, 118)
        with s.wire() as x:
            x.in_step(False)
    finally:
        os.kill(store, signal.SIGCONT)
    w.ok("DELE 1")
    w.quit()
    w.close()
    assert box.drop.contents() == A[1:]


@pytest.mark.proves("A-workers")
@pytest.mark.limit(120)
def test_many_deaths(own_server):
    """Thirty kills in a row of any worker: no crash loop, no leak of processes."""
    s = own_server()
    box = s.add_user("bob", A)
    s.start()
    serves(s, box)
    for i in range(30):
        role = ("front", "store", "auth", "hash")[i % 4]
        if s.workers(role):
            s.kill_worker(role, i)
        if i % 5 == 0:
            serves(s, box, 30)
    serves(s, box, 30)
    assert len(s.descendants()) <= 12
    assert box.drop.contents() == A


# --- disks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    """A file system of 1 MiB."""
    if not srv.ROOT:
        pytest.skip("a small tmpfs needs root")
    folder = srv.temp_root("restante-disk-")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(folder)],
                          capture_output=True)
    if done.returncode:
        folder.rmdir()
        pytest.skip("tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.proves("R1939-QUIT-01", "M-33", "R1939-QUIT-02")
def test_full_disk(own_server, small_disk):
    """Not an octet free: login, RETR and deletions work all the same, and free space."""
    s = own_server(conf={"mail.maildrop": f"{small_disk}/{{user}}"})
    srv.own(small_disk)
    s.add_user("bob")
    box = srv.Account(s, "bob", "pw-bob-s3cret", srv.Maildrop(small_disk / "bob").make())
    messages = [b"Subject: %d\n\n" % i + b"x" * 2000 + b"\n" for i in range(30)]
    box.drop.fill(messages)
    s.start()
    filler = small_disk / "filler"
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(fd, b"\0" * 4096):
            pass
    except OSError:
        pass
    os.close(fd)
    assert os.statvfs(small_disk).f_bfree == 0
    with box.login() as w:
        assert w.stat()[0] == 30
        assert w.retr(7) == wm.plain(messages[6])
        for n in range(1, 11):
            w.ok(f"DELE {n}")
        w.quit()
    assert box.drop.contents() == messages[10:]
    serves(s, box)


@pytest.mark.proves("M-11", "R1939-QUIT-02", "R1939-AUTHZ-04")
def test_read_only_disk(own_server, small_disk):
    """A file system that is read-only: either no login, and [SYS/...] says so, or RETR works and QUIT with
    deletions does not say +OK. Writable again it is as before."""
    s = own_server(conf={"mail.maildrop": f"{small_disk}/{{user}}"})
    srv.own(small_disk)
    s.add_user("bob")
    box = srv.Account(s, "bob", "pw-bob-s3cret", srv.Maildrop(small_disk / "bob").make())
    box.drop.fill(A)
    s.start()
    serves(s, box)
    deadline = time.monotonic() + 5
    while subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], capture_output=True).returncode:
        assert time.monotonic() < deadline, "the file system stays busy"
        time.sleep(0.1)
    try:
        with s.wire() as w:
            w.ok("USER bob")
            reply = w.cmd(f"PASS {box.password}")
            if reply.startswith(b"+OK"):
                assert w.retr(1) == wm.plain(A[0])
                w.ok("DELE 1")
                w.err("QUIT")
                assert ended(w) == b""
            else:
                assert reply.startswith(b"-ERR [SYS/"), reply
                w.in_step(False)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert box.drop.contents() == A
    serves(s, box)


# --- clocks ------------------------------------------------------------------------------------------------------

FAST = Path(__file__).resolve().parents[1] / "lib" / "fastclock.c"


@pytest.fixture(scope="session")
def fastclock(tmp_path_factory):
    """A library that makes the monotonic clock run 200 times as fast."""
    folder = srv.temp_root("restante-clock-")
    lib = folder / "fastclock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(lib), str(FAST), "-ldl"], check=True)
    lib.chmod(0o755)
    yield lib
    shutil.rmtree(folder)


@pytest.fixture
def hasty(own_server, fastclock):
    """A server whose ten minutes are three seconds."""
    if srv.sanitized():
        env = {"LD_PRELOAD": str(fastclock),
               "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0:exitcode=99"}
    else:
        env = {"LD_PRELOAD": str(fastclock)}
    s = own_server(env=env, conf={"tls.handshake": "10m", "auth.timeout": "5m", "mail.lock_wait": "1m"})
    s.box = s.add_user("bob", A)
    s.start()
    # Does the library reach the front?
    (maps,) = [Path(f"/proc/{p}/maps").read_text() for p in s.workers("front")[:1]]
    if "fastclock.so" not in maps:
        pytest.skip("workers do not inherit LD_PRELOAD")
    return s


@pytest.mark.proves("R1939-GEN-17", "R1939-GEN-18", "R1939-GEN-19", "R5034-31", "B10", "R1939-QUIT-03", "C04")
@pytest.mark.parametrize("mode", ("plain", "tls"))
@pytest.mark.parametrize("state", ("before login", "in SASL", "after login"))
def test_idle(hasty, mode, state):
    """590 s of silence are fine and any command starts anew; at some time after 600 s the connection ends
    without a word, and without UPDATE."""
    s, box = hasty, hasty.box
    with s.open(mode) as w:
        if state == "after login":
            w.login(box.name, box.password)
            w.ok("DELE 1")
        for _ in range(3):
            time.sleep(450 / 200)
            w.ok("NOOP") if state == "after login" else w.capa()
        if state == "in SASL":
            w.challenge("AUTH PLAIN" if mode == "tls" else "AUTH SCRAM-SHA-256")
        begin = time.monotonic()
        assert w.eof(10) == b""
        took = (time.monotonic() - begin) * 200
        assert 590 <= took < 1100, took
    assert box.drop.contents() == A


@pytest.mark.proves("R1939-GEN-20", "R1939-QUIT-03")
def test_stalled_reader(hasty):
    """A client that reads nothing is dropped in the end; one that reads slowly is not."""
    s = hasty
    stored = b"Subject: x\n\n" + b"0123456789abcdef\n" * 2_000_000
    s.box.drop.clear()
    s.box.drop.put(stored)
    with s.box.login(rcvbuf=65536) as w:
        w.ok("DELE 1")
        w.ok("RSET")
        w.ok("RETR 1")
        for _ in range(8):  # slow: 8 times 250 s
            time.sleep(250 / 200)
            w.sock.recv(1 << 20)
        time.sleep(1500 / 200)  # stalled
        w.buf = b""
        got = ended(w, 10)
        assert not got.endswith(b"\r\n.\r\n")
    assert len(s.box.drop) == 1


# --- start-up ------------------------------------------------------------------------------------------------------


@pytest.mark.proves("A-start")
@pytest.mark.parametrize("fault", ("no file", "syntax", "unknown setting", "bad value", "no listener", "port taken"))
def test_bad_start(own_server, fault):
    """It does not start, says why, and leaves nothing behind."""
    s = own_server(listen=("plain",))
    s.ports = {"plain": srv.free_ports(1)[0]}
    s.write_conf()
    text = s.conf_path.read_text()
    holder = None
    if fault == "no file":
        s.conf_path.unlink()
    elif fault == "syntax":
        s.conf_path.write_text(text + "\nmail {\n")
    elif fault == "unknown setting":
        s.conf_path.write_text(text + "\nno_such_setting = 1\n")
    elif fault == "bad value":
        s.conf_path.write_text(text + '\npop3 { login_tries = "many" }\n')
    elif fault == "no listener":
        s.conf_path.write_text("\n".join(x for x in text.split("\n") if not x.startswith("listen")
                                         and "address" not in x and "trusted" not in x and "tls =" not in x))
    else:
        import socket

        holder = socket.create_server(("127.0.0.1", s.ports["plain"]), reuse_port=False)
    done = subprocess.run(
        [str(srv.program("restanted")), "-c", str(s.conf_path)],
        capture_output=True, timeout=30, stdin=subprocess.DEVNULL,
    )
    if holder:
        holder.close()
    assert done.returncode != 0
    assert done.stderr.strip(), "it says why"


@pytest.mark.proves("A-workers")
def test_sandbox(own_server):
    """No worker can gain rights. Under root each has given up root, its groups and the file system, and holds only
    what it was handed: sockets, pipes, files in memory, and the files of its job."""
    s = own_server()
    box = s.add_user("bob", A)
    s.start()
    serves(s, box)
    for role in ("front", "auth", "hash", "store"):
        for pid in s.workers(role):
            status = dict(
                x.split(":\t", 1) for x in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in x
            )
            assert status["NoNewPrivs"].strip() == "1", role
            assert int(status["CapEff"], 16) == 0 or not srv.ROOT, role
            links = []
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    links.append(os.readlink(fd))
                except FileNotFoundError:
                    pass
            assert not any(str(s.key) in x or str(s.conf_path) in x or "/etc/shadow" in x for x in links), (role, links)
            if role in ("front", "hash"):
                assert not any("users" in x or str(s.mail) in x for x in links), (role, links)
            if not srv.ROOT:
                continue
            for kind in ("Uid", "Gid"):
                assert "0" not in status[kind].split(), (role, kind)
            assert status["Groups"].split() in ([], status["Gid"].split()[:1]), role
            if role == "store":
                assert status["Uid"].split()[0] == str(srv.MAIL_UID), role
            elif role != "auth":  # it asks the system for the uids of names in the users file
                assert os.readlink(f"/proc/{pid}/root") == s.conf["workers.chroot"], role
            if not srv.sanitized():
                # Not dumpable: what /proc shows of it belongs to root.
                assert Path(f"/proc/{pid}/mem").stat().st_uid == 0, role


@pytest.mark.proves("M-14")
def test_parallel_users(own_server):
    """A hundred users at once, each with its own session from login to QUIT."""
    s = own_server()
    boxes = [s.add_user(f"u{i}", A, write=False) for i in range(100)]
    s.write_users()
    s.start()
    faults = []

    def one(box):
        try:
            with box.login("tls" if int(box.name[1:]) % 2 else "plain") as w:
                assert w.stat() == (3, 118)
                w.ok("DELE 2")
                w.quit()
            assert box.drop.contents() == [A[0], A[2]]
        except Exception as e:
            faults.append(f"{box.name}: {e!r}")

    threads = [threading.Thread(target=one, args=(b,)) for b in boxes]
    for t in threads:
        t.start()
    for t in threads:
        t.join(40)
    assert not faults, faults[:5]
