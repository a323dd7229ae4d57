"""kill -9 at system calls of the process that writes journal and mail, and of its fetcher: a run afterwards completes
the work, and each message is here once."""

from __future__ import annotations

import random
import shutil
import subprocess
import time

import pytest
from evil import Evil, Fault
from lab import FULL, Client, ledger, mails

MESSAGES = mails(4)
SHARDS = 6
SAMPLE = 6
CALLS = ("openat,write,writev,pwrite64,fsync,fdatasync,ftruncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,"
         "close,fcntl,mkdir,mkdirat,flock,sendmsg,socketpair,lseek,fstat,newfstatat")
TRACED = {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99"}


def strace_works() -> bool:
    if not shutil.which("strace"):
        return False
    done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=close", "-e",
                           "inject=close:signal=SIGKILL:when=1", "true"], stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode == -9 or done.returncode == 137


pytestmark = pytest.mark.skipif(not strace_works(), reason="strace cannot inject signals here")


def count_calls(root, keep) -> list:
    """How often each call happens in a run where nothing goes wrong: [(call, times)]"""
    trace = root / "trace"
    root.mkdir(parents=True)
    with Evil(MESSAGES) as server:
        client = Client(root)
        wrap = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={CALLS}"]
        code, out = client.run(server.port, keep, wrap=wrap, env=TRACED)
        assert code == 0, out
    counts: dict = {}
    for line in trace.read_text(errors="replace").splitlines():
        pid, _, rest = line.partition(" ")
        name = rest.strip().split("(")[0]
        if name.isidentifier():
            per = counts.setdefault(name, {})
            per[pid] = per.get(pid, 0) + 1
    # strace counts per thread.
    return [(name, max(per.values())) for name, per in sorted(counts.items())]


def killed_at(root, keep, call, n) -> None:
    what = f"killed at {call} number {n}, keep {keep}"
    with Evil(MESSAGES) as server:
        client = Client(root)
        wrap = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                f"inject={call}:signal=SIGKILL:when={n}"]
        client.run(server.port, keep, wrap=wrap, env=TRACED, retries=0)
        server.settle()
        code, out = client.run(server.port, keep)
        assert code == 0, f"{what}: {out}"
        ledger(client, server, MESSAGES, keep, what)


WRITES = {"pwrite64", "fsync", "fdatasync", "renameat2", "renameat", "rename", "unlink", "unlinkat", "sendmsg", "write",
          "linkat", "link", "ftruncate"}


@pytest.mark.proves("XCL-01", "XCL-02")
@pytest.mark.limit(3000 if FULL else 150)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("keep", ["none", "all"])
def test_killed_at_a_system_call(tmp_path, keep, shard):
    points = [(call, n) for call, times in count_calls(tmp_path / "clean", keep) for n in range(1, times + 1)]
    if not FULL:
        rng = random.Random(f"{keep} {shard}")
        points = [p for p in points if p[0] in WRITES]
        points = points[shard::SHARDS]
        points = rng.sample(points, min(SAMPLE, len(points)))
    else:
        points = points[shard::SHARDS]
    assert points
    for call, n in points:
        killed_at(tmp_path / f"{call}{n}", keep, call, n)


@pytest.mark.proves("XCL-01", "XCL-02")
@pytest.mark.parametrize("keep", ["none", "all"])
def test_killed_in_a_slow_message(tmp_path, keep):
    """In the middle of the third message, as seen by the server."""
    with Evil(MESSAGES, Fault(drip=0.001, sessions={0})) as server:
        client = Client(tmp_path)
        first = client.start(server.port, keep, retries=0)
        try:
            for _ in range(1000):
                if server.sent and server.sent[0] > 480:
                    break
                time.sleep(0.01)
        finally:
            first.kill()
            first.communicate()
        server.settle()
        code, out = client.run(server.port, keep)
        assert code == 0, out
        ledger(client, server, MESSAGES, keep)
