"""restante-bench believes nothing: every wrong answer is counted by its kind and ends in exit status 1.

A scripted server hands out the Maildir that the tool has made, with one thing wrong at a time.
"""

import json
import re
import socket
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import server as srv
import wiremodel
from listening import Listening

USERS, MESSAGES = 2, 5


def tool(*argv, **how):
    path = srv.build_dir() / "bench" / "restante-bench"
    return subprocess.run([str(path), *(str(a) for a in argv)], capture_output=True, text=True, timeout=50,
                          stdin=subprocess.DEVNULL, check=False, **how)


def stuffed(octets):
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in octets.split(b"\r\n"))


class Scripted(Listening):
    """A POP3 server with one fault."""

    def __init__(self, folder: Path, fault=""):
        self.folder, self.fault = folder, fault
        self.listen()

    def serve(self, sock):
        with sock:
            try:
                self.talk(sock)
            except OSError:
                pass

    def send(self, sock, octets):
        if self.fault == "octet by octet":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(octets)):
                sock.sendall(octets[i:i + 1])
        else:
            sock.sendall(octets)

    def talk(self, sock):
        self.send(sock, b"-ERR no\r\n" if self.fault == "greeting" else b"+OK ready\r\n")
        lines, box = sock.makefile("rb"), []
        for line in lines:
            words = line.split()
            if words[0] == b"USER":
                folder = self.folder / words[1].decode() / "cur"
                box = [wiremodel.plain(p.read_bytes()) for p in sorted(folder.iterdir())]
            if self.fault == "silent" and words[0] == b"STAT":
                continue
            if self.fault == "hangs up" and words[0] == b"RETR":
                return self.send(sock, b"+OK\r\n" + box[0][:100])
            answer = self.answer(words, box)
            self.send(sock, answer)
            if words[0] == b"QUIT":
                return self.send(sock, b"+OK more\r\n" if self.fault == "talks on" else b"")

    def answer(self, words, box):
        verb, fault = words[0], self.fault
        rows = b"+OK\r\n%s.\r\n"
        if verb == b"PASS" and fault == "login":
            return b"-ERR [AUTH] no\r\n"
        if verb == b"STAT":
            count, octets = len(box) - (fault == "count"), sum(map(len, box)) + (fault == "octets")
            return b"+OK three\r\n" if fault == "words" else b"+OK %d %d\r\n" % (count, octets)
        if verb == b"LIST":
            sizes = [len(m) for m in box]
            if fault == "sizes":
                sizes[0], sizes[1] = sizes[0] - 1, sizes[1] + 1
            return rows % b"".join(b"%d %d\r\n" % (i + 1, n) for i, n in enumerate(sizes))
        if verb == b"UIDL":
            uid = {"same uid": lambda i: b"x", "bad uid": lambda i: b"a b%d" % i}.get(fault, lambda i: b"u%d" % i)
            skip = fault == "row missing"
            return rows % b"".join(b"%d %s\r\n" % (i + 1, uid(i)) for i in range(len(box) - skip))
        if verb == b"RETR":
            return b"+OK octets follow\r\n" + self.message(int(words[1]) - 1, box) + b".\r\n"
        if fault == "bare LF" and verb == b"USER":
            return b"+OK\n"
        if fault == "prose" and verb == b"USER":
            return b"Hello!\r\n"
        if fault == "long line" and verb == b"USER":
            return b"+OK " + b"x" * 600 + b"\r\n"
        return b"+OK\r\n"

    def message(self, i, box):
        fault, m = self.fault, box[i]
        if i != 1 and fault in ("octet changed", "octet lost", "line end"):
            return stuffed(m)
        if fault == "octet changed":
            m = m[:-10] + bytes([m[-10] ^ 1]) + m[-9:]
        elif fault == "octet lost":
            m = m[:-10] + m[-9:]
        elif fault == "line end":
            m = m[:-2].replace(b"\r\n", b"\n", 1) + b"\r\n"
        elif fault == "first again":
            m = box[0]
        elif fault == "not stuffed":
            return m
        return stuffed(m)


@pytest.fixture(scope="module")
def mail(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    done = tool("make", "--maildir", folder / "user%05d", "--users", USERS, "--messages", MESSAGES, "--octets", 700,
                "--manifest", folder / "manifest")
    assert done.returncode == 0, done.stderr
    return folder


def drain(mail, port, *more):
    done = tool("drain", "--server", f"127.0.0.1:{port}", "--users", USERS, "-n", 4, "-c", 2, "--uidl", "--list",
                "--manifest", mail / "manifest", "--json", "--timeout", 1, *more)
    return done, json.loads(done.stdout)["runs"][0] if done.stdout else None


@pytest.mark.parametrize("window", (1, 3, 100))
def test_all_right(mail, window):
    with Scripted(mail) as server:
        done, got = drain(mail, server.port, "--window", window)
    assert done.returncode == 0, done
    assert got["error_count"] == 0 and got["errors"] == {}
    assert got["sessions"] == 4 and got["messages"] == got["proved"] == 4 * MESSAGES
    assert got["octets"] == 4 * MESSAGES * 700
    assert got["latency"]["session"]["n"] == 4 and got["latency"]["login"]["p50_ms"] > 0


def test_every_split(mail):
    """Octet by octet, so that each transition happens at the edge of a packet."""
    with Scripted(mail, "octet by octet") as server:
        done = tool("drain", "--server", f"127.0.0.1:{server.port}", "-n", 1, "--uidl", "--list", "--manifest",
                    mail / "manifest", "--json")
    got = json.loads(done.stdout)["runs"][0]
    assert done.returncode == 0 and got["proved"] == MESSAGES, done


FAULTS = {
    "greeting": "greeting", "login": "login", "prose": "syntax", "bare LF": "syntax", "long line": "syntax",
    "words": "syntax", "count": "count", "octets": "size", "sizes": "size", "row missing": "count",
    "same uid": "uid", "bad uid": "uid", "octet changed": "content", "octet lost": "content", "line end": "content",
    "not stuffed": "content", "first again": "twice", "hangs up": "closed", "talks on": "left-open", "silent": "timeout",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(mail, fault):
    with Scripted(mail, fault) as server:
        done, got = drain(mail, server.port)
    assert done.returncode == 1, done
    assert got["errors"].get(FAULTS[fault], 0) >= 1, got["errors"]
    assert got["first_errors"][FAULTS[fault]]
    assert got["sessions"] == 0 or fault in ("octet changed", "octet lost", "line end"), got


@pytest.mark.parametrize("fault", ("octet changed", "first again"))
def test_what_did_not_come_is_missed(mail, fault):
    with Scripted(mail, fault) as server:
        _, got = drain(mail, server.port)
    assert got["errors"]["missing"] == 4 * (1 if fault == "octet changed" else MESSAGES - 1)
    assert got["proved"] == 4 * MESSAGES - got["errors"]["missing"]


def test_nobody_there(mail):
    (port,) = srv.free_ports(1)
    done, got = drain(mail, port)
    assert done.returncode == 1 and got["errors"] == {"connect": 4}


def test_a_table_for_people(mail):
    with Scripted(mail, "octet changed") as server:
        done = tool("drain", "--server", f"127.0.0.1:{server.port}", "-n", 1, "--manifest", mail / "manifest")
    assert done.returncode == 1
    assert re.search(r"^  ERROR content +1   first: .*message 2 of 700 octets", done.stdout, re.M), done.stdout
    assert re.search(r"^  messages proved by the manifest +4$", done.stdout, re.M), done.stdout


def test_picture(mail, tmp_path):
    plot = tmp_path / "plot.svg"
    with Scripted(mail) as server:
        done = tool("poll", "--server", f"127.0.0.1:{server.port}", "-n", 4, "-c", "1,2", "--users", USERS, "--plot", plot,
                    "--name", "a <b> & c", "--json")
    assert done.returncode == 0 and len(json.loads(done.stdout)["runs"]) == 2
    text = " ".join(e.text or "" for e in ElementTree.parse(plot).iter())
    assert "a <b> & c" in text and "sessions/s" in text and "login, 2" in text


def xxh64(data):
    """XXH64 with seed 0, written from its description: not the tool's code."""
    p1, p2, p3, p4, p5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                          0x27D4EB2F165667C5)
    mask = (1 << 64) - 1

    def rot(x, n):
        return (x << n | x >> 64 - n) & mask

    def step(acc, lane):
        return rot((acc + lane * p2) & mask, 31) * p1 & mask

    at, acc = 0, [(p1 + p2) & mask, p2, 0, -p1 & mask]
    while len(data) - at >= 32:
        for i in range(4):
            acc[i] = step(acc[i], int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little"))
        at += 32
    h = p5
    if len(data) >= 32:
        h = sum(rot(a, n) for a, n in zip(acc, (1, 7, 12, 18))) & mask
        for a in acc:
            h = ((h ^ step(0, a)) * p1 + p4) & mask
    h = (h + len(data)) & mask
    while len(data) - at >= 8:
        h = (rot(h ^ step(0, int.from_bytes(data[at:at + 8], "little")), 27) * p1 + p4) & mask
        at += 8
    if len(data) - at >= 4:
        h = (rot(h ^ int.from_bytes(data[at:at + 4], "little") * p1 & mask, 23) * p2 + p3) & mask
        at += 4
    for octet in data[at:]:
        h = rot(h ^ octet * p5 & mask, 11) * p1 & mask
    h = (h ^ h >> 33) * p2 & mask
    h = (h ^ h >> 29) * p3 & mask
    return h ^ h >> 32


def test_manifest_of_what_is_there(tmp_path):
    """Digests and sizes of the form on the wire, for all lengths around the digest's block."""
    assert xxh64(b"") == 0xEF46DB3751D8E999 and xxh64(b"abc") == 0x44BC2CF5AD770999  # the published values
    box = tmp_path / "user00000"
    for part in ("cur", "new", "tmp"):
        (box / part).mkdir(parents=True)
    want = {}
    for n in range(140):
        octets = bytes((7 * i + n) % 251 if i % 40 else 10 for i in range(n))
        (box / ("cur" if n % 2 else "new") / f"{n}.x").write_bytes(octets)
        sent = wiremodel.plain(octets)
        want[f"{xxh64(sent):016x} {len(sent)}"] = want.get(f"{xxh64(sent):016x} {len(sent)}", 0) + 1
    done = tool("manifest", "--maildir", tmp_path / "user%05d", "--manifest", tmp_path / "m")
    assert done.returncode == 0, done.stderr
    head, *rows = (tmp_path / "m").read_text().splitlines()
    got = {row: rows.count(row) for row in rows}
    assert got == want
    assert head == f"user user00000 140 {sum(int(row.split()[1]) for row in rows)}"


def test_made_alike(mail, tmp_path):
    """The same numbers make the same mail; the manifest of making is that of reading."""
    done = tool("manifest", "--maildir", mail / "user%05d", "--users", USERS, "--manifest", tmp_path / "read")
    assert done.returncode == 0, done.stderr
    read, made = (sorted(path.read_text().splitlines()) for path in (tmp_path / "read", mail / "manifest"))
    assert read == made
    done = tool("make", "--maildir", tmp_path / "user%05d", "--users", USERS, "--messages", MESSAGES, "--octets", 700,
                "--manifest", tmp_path / "again")
    assert done.returncode == 0
    assert (tmp_path / "again").read_text() == (mail / "manifest").read_text()
    assert len({p.read_bytes() for p in mail.rglob("cur/*")}) == USERS * MESSAGES


def test_spread_of_sizes(tmp_path):
    done = tool("make", "--maildir", tmp_path / "u%d", "--messages", 400, "--octets", 15000, "--spread", 150,
                "--manifest", tmp_path / "m")
    assert done.returncode == 0
    sizes = sorted(int(row.split()[1]) for row in (tmp_path / "m").read_text().splitlines()[1:])
    assert 10000 < sizes[200] < 22000 and sizes[-1] > 100_000 and sizes[0] < 3000


@pytest.mark.parametrize("argv", ([], ["fly"], ["poll", "drain"], ["poll", "--tls", "maybe"], ["poll", "--users", "0"],
                                  ["poll", "-c", "0"], ["poll", "--server", "here"], ["make"], ["poll", "--window", "x"],
                                  ["poll", "--no-such"], ["delivery", "--maildir", "x", "--manifest", "y"]))
def test_wrong_command_lines(argv):
    done = tool(*argv)
    assert done.returncode == 64 and done.stderr.startswith("restante-bench: ") and not done.stdout


def test_broken_manifest(tmp_path):
    for text in ("user a 2 10\n0123456789abcdef 5\n", "0123456789abcdef 5\n", "user a 1 5\nxyz 5\n"):
        (tmp_path / "m").write_text(text)
        done = tool("poll", "--manifest", tmp_path / "m", "--server", "127.0.0.1:1")
        assert done.returncode == 66 and "manifest" in done.stderr, done


def test_server_that_cannot_be_looked_at(mail):
    with Scripted(mail) as server:
        done = tool("poll", "--server", f"127.0.0.1:{server.port}", "-n", 1, "--server-pid", 2 ** 22 + 1)
    assert done.returncode == 69


def test_help_fits_a_screen():
    done = tool("--help")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) <= 24 and max(map(len, lines)) <= 120
    for mode in ("poll", "drain", "idle", "storm", "delivery", "make", "manifest"):
        assert mode in done.stdout


class Live:
    """A server of ours with users that the tool has filled."""

    def __init__(self, server, folder):
        self.server, self.manifest = server, folder / "manifest"
        for i in range(4):
            server.add_user(f"user{i:05}", password="secret")
        owner = ["--owner", srv.MAIL_UID] if srv.ROOT else []
        done = tool("make", "--maildir", f"{server.mail}/user%05d", "--users", 4, "--messages", 20, "--manifest",
                    self.manifest, *owner)
        assert done.returncode == 0, done.stderr

    def run(self, mode, *argv, tls="none", manifest=True):
        port = self.server.ports["tls" if tls == "implicit" else "plain"]
        proof = ["--manifest", self.manifest] if manifest else []
        done = tool(mode, "--server", f"127.0.0.1:{port}", "--tls", tls, "--users", 4, "-c", 2, "--json", "--server-pid",
                    self.server.proc.pid, *proof, *argv)
        assert done.returncode == 0, done
        return json.loads(done.stdout)["runs"][0]


@pytest.fixture(scope="module")
def live(pki, tmp_path_factory):
    server = srv.Server(pki, start=False)
    live = Live(server, tmp_path_factory.mktemp("live"))
    server.start()
    yield live
    server.close()


@pytest.mark.parametrize("tls", ("none", "stls", "implicit"))
def test_our_server(live, tls):
    got = live.run("poll", "-n", 12, "--uidl", "--list", tls=tls)
    assert got["sessions"] == 12 and got["server"]["cpu_ms"] > 0 and got["server"]["processes"] >= 4
    assert got["handshakes"] == (0 if tls == "none" else 12) and got["resumed"] == 0
    got = live.run("drain", "-n", 4, "--window", 8, tls=tls)
    assert got["proved"] == 80


def test_resumption_is_counted(live):
    port = live.server.ports["tls"]
    done = tool("poll", "--server", f"127.0.0.1:{port}", "--tls", "implicit", "--resume", "-n", 10, "-c", 1, "--json")
    got = json.loads(done.stdout)["runs"][0]
    assert done.returncode == 0 and got["handshakes"] == 10 and got["resumed"] == 9


def test_sessions_that_wait(live):
    got = live.run("idle", "-n", 4, "--hold", 1, tls="implicit")
    assert got["open"] == 4 and got["sessions"] == 4 and got["server"]["pss_kib_held"] > 0
    got = live.run("idle", "-n", 20, "--hold", 0, "--until", "greeting")
    assert got["open"] == 20 and got["sessions"] == 20
    got = live.run("idle", "-n", 20, "--hold", 0, "--until", "connect", tls="implicit")
    assert got["open"] == 20 and got["sessions"] == 20


def test_storm_and_sources(live):
    done = tool("storm", "--server", f"127.0.0.1:{live.server.ports['plain']}", "--users", 4, "-n", 4, "--sources", 3, "--json")
    got = json.loads(done.stdout)["runs"][0]
    assert done.returncode == 0 and got["concurrency"] == got["sessions"] == 4
    addresses = {m for m in re.findall(r"127\.1\.0\.\d+", live.server.log())}
    assert addresses == {"127.1.0.1", "127.1.0.2", "127.1.0.3"}


def test_delivery_then_deletion(live):
    owner = ["--owner", srv.MAIL_UID] if srv.ROOT else []
    got = live.run("delivery", "--seconds", 1, "--maildir", f"{live.server.mail}/user%05d", "--per-second", 20, *owner,
                   manifest=False)
    assert got["latency"]["seen"]["n"] >= 1
    done = tool("manifest", "--maildir", f"{live.server.mail}/user%05d", "--users", 4, "--manifest", live.manifest)
    assert done.returncode == 0
    got = live.run("drain", "-n", 4, "--dele", "--window", 5)
    assert got["proved"] == got["messages"] > 80
    assert not list(live.server.mail.rglob("cur/*")) and not list(live.server.mail.rglob("new/*"))
