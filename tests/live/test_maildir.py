"""Maildir: names, order, flags, UIDL that survives everything, hostile content, the index as a mere cache."""

from __future__ import annotations

import os
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

SAFE = re.compile(rb"[A-Za-z0-9._,=:-]{1,70}")
KEPT = ("restante-index", "restante-lock", "restante-journal", "restante-uidl")


def uids(account, **how) -> list[bytes]:
    with account.login_soon(**how) as w:
        out = list(w.uidl().values())
        w.quit()
        return out


def caches(account) -> list:
    return [p for p in account.drop.path.iterdir() if p.name.startswith("restante-")]


# --- layout -----------------------------------------------------------------------------------------


@pytest.mark.proves("MD-01")
def test_missing_maildrop_is_made(own_server):
    s = own_server()
    box = s.add_user("fresh")
    shutil.rmtree(box.drop.path)
    s.start()
    with box.login() as w:
        assert w.ok("STAT") == b"+OK 0 0"
        assert w.list() == {} and w.uidl() == {}
        w.quit()
    for sub in ("tmp", "new", "cur"):
        assert (box.drop.path / sub).stat().st_mode & 0o777 == 0o700
    box.drop.put(b"Subject: first\n\nx\n")
    with box.login_soon() as w:
        assert w.stat()[0] == 1


@pytest.mark.proves("MD-05", "MD-12")
def test_new_moves_to_cur(drop_a):
    before = uids(drop_a)
    assert [p.parent.name for p in drop_a.drop.files()] == ["cur"] * 3
    assert all(p.name.endswith(":2,") for p in drop_a.drop.files())
    assert uids(drop_a) == before


@pytest.mark.proves("MD-12", "MD-06", "C09")
@pytest.mark.parametrize("seen", (False, True))
@pytest.mark.parametrize("move", (False, True))
def test_flags_and_moves(own_server, seen, move):
    """uids are equal under every setting; S appears only after RETR and QUIT, TOP gives none."""
    s = own_server(conf={"mail.mark_seen": seen, "mail.move_to_cur": move})
    box = s.add_user("bob")
    box.drop.put(b"Subject: 1\n\nx\n", "1700000001.M1P1.test")
    box.drop.put(b"Subject: 2\n\nx\n", "1700000002.M2P1.test,S=14", "cur", flags="FR")
    box.drop.put(b"Subject: 3\n\nx\n", "1700000003.M3P1.test:2,a", "cur")
    s.start()
    with box.login() as w:
        first = w.uidl()
        w.retr(1)
        w.retr(3)
        w.ok("TOP 2 100")
        w.body()
    assert not any("S" in _flags(p) for p in box.drop.files()), "dropped: no flag"
    with box.login_soon() as w:
        assert w.uidl() == first
        w.retr(1)
        w.retr(3)
        w.ok("TOP 2 100")
        w.body()
        w.quit()
    flags = [_flags(p) for p in box.drop.files()]
    assert flags[1] == "FR"
    if seen:
        assert flags[0] == "S" and flags[2] == "Sa"
    else:
        assert flags[0] == "" and flags[2] == "a"
        if not move:
            assert box.drop.files()[0].parent.name == "new"
    assert uids(box) == list(first.values())


def _flags(path) -> str:
    return path.name.partition(":2,")[2]


@pytest.mark.proves("R1939-TOP-10")
def test_top_changes_nothing(drop_a):
    uids(drop_a)
    before = [p.name for p in drop_a.drop.files()]
    with drop_a.login_soon() as w:
        for n in (1, 2, 3):
            w.ok(f"TOP {n} 1000")
            w.body()
        w.quit()
    assert [p.name for p in drop_a.drop.files()] == before


@pytest.mark.proves("MD-08")
def test_old_tmp_files_are_removed(own_server):
    s = own_server()
    box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    now = time.time()
    for hours in (1, 35, 37, 100):
        p = box.drop.path / "tmp" / f"170000000{hours}.M1P1.test"
        p.write_bytes(b"half a mess")
        srv.own(p)
        os.utime(p, (now - hours * 3600,) * 2)
    with box.login() as w:
        assert w.stat() == (3, 118)
        w.quit()
    left = sorted(p.name.split(".")[0][9:] for p in (box.drop.path / "tmp").iterdir())
    assert left == ["1", "35"]


@pytest.mark.proves("MD-16")
def test_folders_are_not_served(drop_a):
    folder = srv.Maildrop(drop_a.drop.path / ".Sent").make()
    folder.put(b"Subject: sent\n\nx\n", sub="cur")
    with drop_a.login() as w:
        assert w.stat() == (3, 118)


# --- order ----------------------------------------------------------------------------------------


@pytest.mark.proves("MD-14", "R1939-AUTHZ-13", "N27")
def test_order(account):
    box = account()
    names = [
        "2.M1P1.test", "10.M1P1.test", "1.M1P1.test", "10.M9P1.test", "10.M10P1.test", "10.M2P1.test,S=14",
        "1700000000.M999999P1.test", "1700000000.M1000P1.test", "1700000001.P5Q1.test", "1700000001.P5Q2.test",
    ]
    for n in names:
        box.drop.put(f"Subject: {n}\n\nx\n".encode(), n)
    expect = [
        "1.M1P1.test", "2.M1P1.test", "10.M1P1.test", "10.M2P1.test", "10.M9P1.test", "10.M10P1.test",
        "1700000000.M1000P1.test", "1700000000.M999999P1.test", "1700000001.P5Q1.test", "1700000001.P5Q2.test",
    ]
    for _ in range(3):
        assert [u.decode() for u in uids(box)] == expect


# --- UIDL -----------------------------------------------------------------------------------------


@pytest.mark.proves("R1939-UIDL-01", "R1939-UIDL-02", "R1939-UIDL-05", "MD-10", "MDPP-01", "N15", "C14")
def test_uidl_survives_everything(own_server, tmp_path):
    """Drop, restart, flags, size fields, loss of all caches, a copy to another host."""
    s = own_server()
    box = s.add_user("bob", wm.MAILDROP_A)
    other = s.add_user("copy")
    s.start()
    first = uids(box)
    assert len(set(first)) == 3 and all(SAFE.fullmatch(u) for u in first)
    with box.login() as w:
        for n, uid in enumerate(first, 1):
            assert w.ok(f"UIDL {n}") == b"+OK %d %s" % (n, uid)
        w.ok("DELE 1")
        w.err("UIDL 1")
        w.err("UIDL 4")
    assert uids(box) == first, "after a drop"
    s.restart()
    assert uids(box) == first, "after a restart"
    for p in box.drop.files():
        p.rename(p.parent / (p.name.partition(":2,")[0] + ":2,RS"))
    assert uids(box) == first, "after a change of flags"
    for p, m in zip(box.drop.files(), wm.MAILDROP_A):
        base = p.name.partition(":2,")[0]
        p.rename(p.parent / f"{base},S={len(m)},W={wm.size(m)}:2,S")
    assert uids(box) == first, "after size fields came"
    for p in caches(box):
        p.unlink()
    assert uids(box) == first, "after the loss of all caches"
    for p in caches(box):
        if p.name == "restante-index":
            p.write_bytes(os.urandom(p.stat().st_size))
    assert uids(box) == first, "after a corrupt index"
    if shutil.which("rsync"):
        copy = ["rsync", "-a", f"{box.drop.path}/new", f"{box.drop.path}/cur", f"{other.drop.path}/"]
    else:
        copy = ["cp", "-a", f"{box.drop.path}/new", f"{box.drop.path}/cur", f"{other.drop.path}/"]
    subprocess.run(copy, check=True)
    assert uids(other) == first, "after a copy"


@pytest.mark.proves("R1939-UIDL-03", "R1939-UIDL-04", "R1939-UIDL-07", "MD-07", "C27")
def test_hostile_names(account):
    """Names that cannot be uids, or would be no good ones: listed, with a legal, stable, unique uid."""
    box = account()
    names = [
        b"1700000001." + b"x" * 200, b"1700000002.with space", b"1700000003.caf\xc3\xa9", b"1700000004.\xff\xfe",
        b"1700000005.tab\there", b"1700000006.new\nline", b"1700000007.esc\x1b[2J", b"no-time-at-all",
        b"1700000008.%n%s", b"1700000009." + b"y" * 59, b"1700000010." + b"z" * 60, b"1700000011.a:1,exp",
        b"1700000012.UPPER", b"1700000012.upper", b"-rf", b"1700000013.same,S=9", b"1700000014.:2,S",
        b"1700000015.del\x7f", b"1700000016." + b"w" * 240,
    ]
    for i, name in enumerate(names):
        sub = "cur" if b":2," in name else "new"
        box.drop.put(b"Subject: %d\n\nx\n" % i, os.fsdecode(name), sub)
    box.drop.put(b"Subject: hidden\n\nx\n", ".nfs0001")
    first = uids(box)
    assert len(first) == len(names), "the name with a leading dot is skipped, the others are there"
    assert len({u.lower() for u in first}) == len(first)
    assert all(SAFE.fullmatch(u) for u in first), first
    for p in caches(box):
        p.unlink()
    assert uids(box) == first
    with box.login_soon() as w:
        subjects = {w.retr(n) for n in w.list()}
        assert subjects == {b"Subject: %d\r\n\r\nx\r\n" % i for i in range(len(names))}
        for n in w.list():
            w.ok(f"DELE {n}")
        w.quit()
    assert len(box.drop) == 0


@pytest.mark.proves("R1939-UIDL-04", "C27")
def test_twins(account):
    box = account([b"Subject: twin\n\nx\n"] * 5)
    first = uids(box)
    assert len(set(first)) == 5
    with box.login_soon() as w:
        w.ok("DELE 3")
        w.quit()
    assert uids(box) == first[:2] + first[3:]


@pytest.mark.proves("R1939-UIDL-06")
def test_uids_are_not_reused(account):
    box = account()
    seen: set[bytes] = set()
    for _ in range(20):
        box.drop.fill([b"\nx\n"] * 20)
        with box.login_soon() as w:
            now = set(w.uidl().values())
            assert not now & seen
            seen |= now
            w.send(b"".join(b"DELE %d\r\n" % (i + 1) for i in range(20)))
            for _ in range(20):
                w.ok()
            w.quit()
    assert len(seen) == 400


# --- sizes in names, index --------------------------------------------------------------------------


@pytest.mark.proves("MDPP-01", "MDPP-02", "R1939-SIZE-07", "N13", "C32")
def test_lying_size_fields(account):
    box = account()
    stored = b"Subject: x\n\na\nb\n"
    lies = [
        ",S=99999,W=99999", f",S={len(stored)},W=1", ",S=1,W=1", f",S={len(stored)}", ",S=,W=", ",S=-5,W=-5",
        ",S=18446744073709551617,W=3", ",W=7,S=3", f",S=0{len(stored)}", ",S=16x,W=20y", ",S=16,S=17,W=1,W=2",
    ]
    for i, lie in enumerate(lies):
        box.drop.put(stored, f"17000000{i:02d}.M1P1.test{lie}")
    with box.login() as w:
        sizes = w.list()
        assert len(sizes) == len(lies)
        for n in sizes:
            reply = w.cmd(f"RETR {n}")
            assert reply.startswith(b"+OK"), (lies[n - 1], reply)
            got = wm.unstuff(w.body())
            assert got == wm.plain(stored)
            # A W field that belongs to a true S field may be believed, but never against RETR.
            assert sizes[n] == len(got), lies[n - 1]


@pytest.mark.proves("R1939-SIZE-07", "R1939-UIDL-05")
def test_index_damage(drop_a):
    """Cut, emptied, filled with noise, made a folder, made unreadable: a cache only."""
    big = b"Subject: so much counting is worth an index\n\n" + b"x\n" * 150_000
    drop_a.drop.put(big)
    expect = uids(drop_a)
    index = drop_a.drop.path / "restante-index"
    if not index.exists():
        pytest.fail("no restante-index after a session")
    good = index.read_bytes()
    damages = [b"", good[:10], good[: len(good) // 2], good[:-1], good + b"x", os.urandom(len(good)), b"\0" * len(good)]
    damages += [good[:i] + bytes([good[i] ^ 0x41]) + good[i + 1 :] for i in range(0, len(good), 7)]
    for damage in damages:
        index.write_bytes(damage)
        os.utime(drop_a.drop.path / "new")  # what the process remembers is forgotten: it reads the index
        with drop_a.login_soon() as w:
            assert list(w.uidl().values()) == expect
            assert w.list() == {1: 60, 2: 35, 3: 23, 4: wm.size(big)}
            assert [w.retr(n) for n in (1, 2, 3)] == [wm.plain(m) for m in wm.MAILDROP_A]
            w.quit()
    index.unlink()
    index.mkdir()
    srv.own(index)
    assert uids(drop_a) == expect
    if index.is_dir():
        index.rmdir()


@pytest.mark.proves("R1939-SIZE-07")
def test_change_in_the_same_tick(account):
    """A delivery right behind a scan, within the clock's granularity, is not overlooked."""
    box = account()
    for i in range(60):
        box.drop.put(b"\nx\n")
        with box.login_soon() as w:
            assert w.stat()[0] == i + 1
            w.quit()


def traced_login(s, box, tmp_path, count, octets):
    """The file calls of the store while a client logs in and asks for everything but messages."""
    trace = tmp_path / "trace"
    (store,) = s.workers("store")
    spy = subprocess.Popen(
        ["strace", "-f", "-e", "trace=file,getdents64,fstat", "-o", str(trace), "-p", str(store)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    try:
        line = spy.stderr.readline()
        if b"attached" not in line:
            pytest.skip(f"strace cannot attach here: {line!r}")
        with box.login_soon() as w:
            assert w.stat() == (count, octets)
            assert len(w.uidl()) == len(w.list()) == count
            w.quit()
    finally:
        spy.send_signal(signal.SIGINT)
        spy.wait(10)
        spy.stderr.close()
    calls = trace.read_text(errors="replace").splitlines()
    assert any("restante-lock" in c for c in calls), "the trace saw the login"
    return calls


@pytest.mark.proves("MD-18")
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_login_looks_at_no_message(own_server, tmp_path):
    """The second login into 500 messages opens none of them, asks for none and reads no directory. One message more
    costs a look at that one."""
    s = own_server()
    box = s.add_user("bob")
    message = b"Subject: x\n\nx\n"
    for _ in range(500):
        box.drop.put(message, sub="cur")
    s.start()
    uids(box)
    calls = traced_login(s, box, tmp_path, 500, 500 * wm.size(message))
    assert not [c for c in calls if ".test" in c or "getdents" in c]
    assert len(calls) < 40, calls
    box.drop.put(message)
    calls = traced_login(s, box, tmp_path, 501, 501 * wm.size(message))
    assert len({c.split('"')[1].partition(":")[0] for c in calls if ".test" in c}) == 1
    assert len(calls) < 80, calls


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_login_opens_no_message(own_server, tmp_path):
    """A store that has just started finds sizes in the index: no message is opened, each is asked for its size and
    time."""
    s = own_server()
    box = s.add_user("bob")
    other = s.add_user("carol")
    message = b"Subject: x\n\nx\n"
    for _ in range(500):
        box.drop.put(message, sub="cur")
    for sub in ("new", "cur"):  # as if the mail had not come just now
        os.utime(box.drop.path / sub, (time.time() - 60,) * 2)
    s.start()
    uids(box)
    s.restart()
    uids(other)
    calls = traced_login(s, box, tmp_path, 500, 500 * wm.size(message))
    assert any("restante-index" in c for c in calls)
    opened = [c for c in calls if ".test" in c and "open" in c]
    assert not opened, opened[:3]
    assert len(calls) < 700, len(calls)


@pytest.mark.proves("MD-11")
@pytest.mark.limit(120)
def test_mover_beside_logins(account):
    """Another program changes flags and moves messages all the time: the count is always right."""
    box = account([b"Subject: %d\n\nx\n" % i for i in range(40)])
    stop = threading.Event()

    def mover():
        turn = 0
        while not stop.is_set():
            turn += 1
            for p in box.drop.files():
                flags = ("", "S", "FS", "R")[turn % 4]
                try:
                    p.rename(box.drop.path / "cur" / (p.name.partition(":2,")[0] + ":2," + flags))
                except FileNotFoundError:
                    pass
            time.sleep(0.001)

    thread = threading.Thread(target=mover)
    thread.start()
    try:
        for _ in range(150):
            with box.login_soon() as w:
                assert w.stat()[0] == 40
                assert len(set(w.uidl().values())) == 40
                w.retr(17)
                w.quit()
    finally:
        stop.set()
        thread.join()
    assert len(box.drop) == 40


# --- what is no message -----------------------------------------------------------------------------


@pytest.mark.proves("MD-15", "N12")
def test_odd_files(drop_a):
    """FIFO, socket, folder, symlinks in new and cur: skipped at once, never followed, never hung upon."""
    secret = drop_a.server.base / "secret"
    secret.write_bytes(b"Subject: not yours\n\nsecret\n")
    made = []
    for sub in ("new", "cur"):
        folder = drop_a.drop.path / sub
        fifo = folder / "1700000100.fifo:2,"
        os.mkfifo(fifo)
        (folder / "1700000101.folder:2,").mkdir()
        (folder / "1700000102.link:2,").symlink_to(secret)
        (folder / "1700000103.dangling:2,").symlink_to(folder / "nowhere")
        s = socket.socket(socket.AF_UNIX)
        here = os.getcwd()
        os.chdir(folder)
        try:
            s.bind("1700000104.sock:2,")
        finally:
            os.chdir(here)
        made.append(s)
    begin = time.monotonic()
    with drop_a.login() as w:
        assert w.stat() == (3, 118)
        assert time.monotonic() - begin < 3
        for n in (1, 2, 3):
            w.ok(f"DELE {n}")
        w.quit()
    assert secret.exists()
    for s in made:
        s.close()


@pytest.mark.proves("MD-17", "N12")
def test_unreadable_message(drop_a):
    drop_a.drop.files()[1].chmod(0)
    with drop_a.login() as w:
        assert w.list() == {1: 60, 2: 23}
        assert w.retr(2) == wm.plain(wm.MAILDROP_A[2])
        w.quit()


@pytest.mark.proves("MD-17", "R3206-02", "R1939-AUTHZ-04", "N11", "R2449-RC-01")
def test_unreadable_folder(drop_a):
    """The maildrop cannot be opened: -ERR [SYS/...], not +OK; the lock is not kept."""
    cur = drop_a.drop.path / "cur"
    cur.chmod(0)
    with drop_a.server.wire() as w, drop_a.server.wire() as other:
        w.ok(f"USER {drop_a.name}")
        assert w.err(f"PASS {drop_a.password}").startswith(b"-ERR [SYS/")
        cur.chmod(0o700)
        other.login(drop_a.name, drop_a.password)
        assert other.stat() == (3, 118)


@pytest.mark.proves("R3206-02", "R1939-AUTHZ-04")
def test_maildrop_is_a_file(drop_a):
    shutil.rmtree(drop_a.drop.path)
    drop_a.drop.path.write_bytes(b"not a folder")
    srv.own(drop_a.drop.path)
    with drop_a.server.wire() as w:
        w.ok(f"USER {drop_a.name}")
        w.err(f"PASS {drop_a.password}", code="SYS/PERM")
        w.in_step(False)


@pytest.mark.proves("MD-15")
def test_maildrop_is_a_symlink_outside(own_server):
    """A maildrop that leads out of the mail roots is not served."""
    s = own_server()
    box = s.add_user("bob")
    outside = srv.Maildrop(s.base / "outside").make()
    outside.put(b"Subject: not yours\n\nx\n")
    shutil.rmtree(box.drop.path)
    box.drop.path.symlink_to(outside.path)
    s.start()
    with s.wire() as w:
        w.ok("USER bob")
        w.err(f"PASS {box.password}")
    assert len(outside) == 1


@pytest.mark.proves("MD-15")
def test_new_is_a_symlink(drop_a):
    outside = drop_a.server.base / f"elsewhere-{drop_a.name}"
    outside.mkdir()
    (outside / "1700000001.x").write_bytes(b"Subject: not yours\n\nx\n")
    shutil.rmtree(drop_a.drop.path / "new")
    (drop_a.drop.path / "new").symlink_to(outside)
    with drop_a.server.wire() as w:
        w.ok(f"USER {drop_a.name}")
        reply = w.cmd(f"PASS {drop_a.password}")
        if reply.startswith(b"+OK"):
            assert w.stat()[0] == 0
    assert (outside / "1700000001.x").exists()


@pytest.mark.proves("R1939-AUTHZ-06")
def test_names_that_lead_astray(own_server):
    """No user name reaches a path."""
    s = own_server()
    box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    for name in (b"../bob", b"./bob", b"bob/", b"bob/cur", b"..", b".", b"/etc", b"bob\\", b"b%00b", b"x@../bob"):
        with s.wire() as w:
            reply = w.cmd(b"USER " + name)
            if reply.startswith(b"+OK"):
                w.err(b"PASS " + box.password.encode(), code="AUTH")
            w.in_step(False)
