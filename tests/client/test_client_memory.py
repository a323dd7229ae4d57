"""Memory of both processes stays small whatever comes: a huge message, a long listing, servers that never stop.

Measured on a build without sanitizers, which have memory of their own: RESTANTE_RELEASE, or build/ of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
import server as srv
from evil import Evil, Fault
from lab import FULL, Client, mails, stored

TREE = Path(__file__).resolve().parents[2]
MIB = 1024      # in KiB
LARGE = (1 << 30) if FULL else (96 << 20)
MANY = 100_000 if FULL else 30_000


@pytest.fixture
def client(tmp_path):
    """The program of the release build."""
    one = Client(tmp_path)
    release = Path(os.environ.get("RESTANTE_RELEASE", TREE / "build")) / "src" / "client" / "restante"
    if release.exists() and os.access(release, os.X_OK):
        one.program = release
    elif srv.sanitized():
        pytest.skip("no build without sanitizers: make, or RESTANTE_RELEASE")
    return one


@pytest.fixture
def fast(tmp_path):
    """fast(count, octets) -> port of the benchmark's server"""
    program = tmp_path / "server"
    subprocess.run(["cc", "-O2", "-pthread", "-o", str(program), str(TREE / "bench" / "client_server.c")], check=True)
    made = []

    def make(count, octets):
        made.append(subprocess.Popen([str(program), str(count), str(octets)], stdout=subprocess.PIPE,
                                     stdin=subprocess.DEVNULL))
        return int(made[-1].stdout.readline())

    yield make
    for child in made:
        child.kill()
        child.wait()
        child.stdout.close()


def peaks(child) -> dict:
    """Watches a process and its children to their end: name -> KiB (the kernel's own high mark)."""
    most: dict = {}

    def look():
        while child.poll() is None:
            try:
                pids = [child.pid, *map(int, Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split())]
            except OSError:
                break
            for pid in pids:
                try:
                    rows = dict(r.split(":", 1) for r in Path(f"/proc/{pid}/status").read_text().splitlines())
                    name = rows["Name"].strip()
                    most[name] = max(most.get(name, 0), int(rows["VmHWM"].split()[0]))
                except (OSError, KeyError, ValueError):
                    pass
            time.sleep(0.003)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    out = child.communicate(timeout=600)[0]
    watcher.join()
    most["out"] = out
    return most


@pytest.mark.proves("XCL-07")
@pytest.mark.limit(600)
@pytest.mark.parametrize("keep", ["none", "all"])
def test_huge_message(client, fast, keep):
    """C-11: it goes through, not into memory."""
    seen = peaks(client.start(fast(1, LARGE), keep))
    assert b"1 new" in seen["out"], seen
    assert seen["restante"] <= 16 * MIB and seen["restante-fetch"] <= 16 * MIB, seen
    assert abs(sum(p.stat().st_size for p in (client.maildir / "new").iterdir()) - LARGE) < LARGE // 50
    shutil.rmtree(client.maildir)


@pytest.mark.proves("XCL-07")
@pytest.mark.limit(600)
def test_many_messages(client, fast):
    """A journal of many, read again."""
    port = fast(MANY, 200)
    seen = peaks(client.start(port, "all"))
    assert f"{MANY} new".encode() in seen["out"].replace(b",", b""), seen
    assert seen["restante"] <= 64 * MIB and seen["restante-fetch"] <= 64 * MIB, seen
    again = client.start(port, "all")
    seen = peaks(again)
    assert again.returncode == 0 and len(list((client.maildir / "new").iterdir())) == MANY, seen
    assert seen["restante"] <= 64 * MIB and seen["restante-fetch"] <= 64 * MIB, seen
    shutil.rmtree(client.maildir)


ENDLESS = {
    "greeting": {"": (b"+OK ", b"x" * 997)},
    "CAPA": {"CAPA": (b"+OK\r\n", b"X-CAPA y\r\n")},
    "LIST": {"LIST": (b"+OK\r\n", b"1 100\r\n")},
    "UIDL": {"UIDL": (b"+OK\r\n", b"1 abc\r\n")},
    "UIDL line": {"UIDL": (b"+OK\r\n1 ", b"u" * 997)},
    "body": {"RETR": (b"+OK\r\nSubject: x\r\n\r\n", b"x" * 70 + b"\r\n")},
    "line": {"RETR": (b"+OK\r\nSubject: x\r\n\r\n", b"y" * 997)},
}


@pytest.mark.proves("XCL-07", "R2449-CAPA-11")
@pytest.mark.limit(60)
@pytest.mark.parametrize("where", ENDLESS)
def test_endless(client, where):
    """C-01, C-02, C-03, C-19"""
    with Evil(mails(3), Fault(endless=ENDLESS[where])) as server:
        child = client.start(server.port, "none", retries=0, max_message=32 << 20)
        seen = peaks(child)
        if where != "CAPA":
            assert child.returncode != 0, seen
        assert seen.get("restante", 0) <= 16 * MIB and seen.get("restante-fetch", 0) <= 16 * MIB, seen
        assert stored(client.maildir) == [] or where == "CAPA"


@pytest.mark.limit(60)
@pytest.mark.parametrize("count", [b"4000000", b"4000001", b"100000000"])
def test_announced_messages(client, count):
    """C-03: what is only announced takes little, and more than can be is refused."""
    with Evil(mails(3), Fault(says={"STAT": b"+OK " + count + b" 1\r\n"})) as server:
        child = client.start(server.port, "none", retries=0, reply_timeout="5s", read_timeout="5s")
        seen = peaks(child)
        assert child.returncode >= 0 and seen.get("restante", 0) <= 256 * MIB, seen
        assert seen.get("restante-fetch", 0) <= 64 * MIB, seen
