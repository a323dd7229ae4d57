"""What people do with the client besides a plain fetch: look first, mark, filter, probe, let it run, stop it."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from evil import Evil, Fault
from lab import Client, ledger, mails, sound, stored
from popfault import Door, PopFault

MESSAGES = mails(5)


def command(client, port, keep, *words, env=(), timeout=30, **settings):
    """restante -c CONFIG words… -> exit code, output"""
    conf = client.config(port, keep, f"maildir:{client.maildir}", client.state, settings)
    environ = dict(os.environ, HOME=str(client.root), ASAN_OPTIONS="exitcode=99", **dict(env))
    done = subprocess.run([client.program, "-c", conf, *words], env=environ, stdin=subprocess.DEVNULL, cwd=client.root,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False)
    assert sound(done.stdout, done.returncode)
    return done.returncode, done.stdout


def verbs(server):
    return [line.split()[0].upper() for _, line in server.log]


def test_dry_run_and_check_change_nothing(tmp_path):
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        server.messages.append((b"new", b"Subject: new\r\n\r\nnew\r\n"))
        before = len(server.log)
        code, out = command(client, server.port, "none", "--dry-run")
        assert code == 0 and re.search(rb"would fetch 1 .*delete 6", out), out
        code, out = command(client, server.port, "all", "check")
        assert code == 0, out
        assert not {b"RETR", b"DELE", b"TOP"} & set(v for v in verbs(server)[before:])
        assert len(stored(client.maildir)) == 5 and len(server.uids()) == 6
        assert command(client, server.port, "all", "check", "--fail-if-empty")[0] == 0
        assert client.run(server.port, "all")[0] == 0
        assert command(client, server.port, "all", "check", "--fail-if-empty")[0] == 1


def test_marked_as_seen(tmp_path):
    """What is there now is never fetched, and never deleted: there is no copy of it."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert command(client, server.port, "none", "mark-seen", "a")[0] == 0
        server.messages.append((b"new", b"Subject: new\r\n\r\nnew\r\n"))
        code, out = client.run(server.port, "none")
        assert code == 0, out
        assert stored(client.maildir) == [b"Subject: new\n\nnew\n"]
        assert server.uids() == [uid for uid, _ in MESSAGES]


@pytest.mark.parametrize("keep", ["all", "none"])
def test_filter(tmp_path, keep):
    """0 fetches, 1 deletes unseen, 2 leaves; it gets the header and as many lines as it asked for."""
    script = tmp_path / "filter"
    script.write_text(f'#!/bin/sh\ncat > {tmp_path}/seen.$$\ngrep -q "number 2" {tmp_path}/seen.$$ && exit 1\n'
                      f'grep -q "number 3" {tmp_path}/seen.$$ && exit 2\nexit 0\n')
    script.chmod(0o755)
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        settings = {"filter_command": f'"{script}"', "filter_lines": 1}
        code, out = client.run(server.port, keep, **settings)
        assert code == 0, out
        assert len(stored(client.maildir)) == 3
        assert b"RETR 2" not in [line for _, line in server.log] and b"TOP 1 1" in [line for _, line in server.log]
        left = [b"uid-3"] if keep == "none" else [b"uid-1", b"uid-3", b"uid-4", b"uid-5"]
        assert server.uids() == left
        assert {len(p.read_bytes().splitlines()) for p in tmp_path.glob("seen.*")} == {3}


def test_filter_deletion_that_was_lost(tmp_path):
    """Deleted unseen, and QUIT was lost: it is deleted the next time, whatever "keep" says."""
    with Evil(MESSAGES, Fault(lost_quit="forget")) as server:
        client = Client(tmp_path)
        settings = {"filter_command": '"grep -q \'number 2\' && exit 1; exit 0"', "retries": 0}
        assert client.run(server.port, "all", **settings)[0] == 75
        server.heal()
        assert client.run(server.port, "all", **settings)[0] == 0
        assert server.uids() == [b"uid-1", b"uid-3", b"uid-4", b"uid-5"]
        assert len(stored(client.maildir)) == 4


def test_checkpoints(tmp_path):
    """QUIT and a new session after so many messages: deletions take effect on the way."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", checkpoint_messages=2)
        assert code == 0, out
        assert verbs(server).count(b"QUIT") == 3
        ledger(client, server, MESSAGES, "none")


def test_whole_time(tmp_path):
    with Evil(MESSAGES, Fault(silent_after=8)) as server:
        client = Client(tmp_path)
        begin = time.monotonic()
        code, out = client.run(server.port, "none", total_timeout="2s", reply_timeout="60s", read_timeout="60s")
        assert code == 75 and b"total-timeout" in out and time.monotonic() - begin < 20, out


def test_folder_of_the_account(tmp_path):
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all", folder='"in.{account}"')[0] == 0
        assert len(stored(client.maildir / ".in.a")) == 5


def test_verify_and_status(tmp_path):
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        code, out = command(client, server.port, "all", "verify")
        assert code == 0, out
        path = sorted((client.maildir / "new").iterdir())[0]
        path.write_bytes(path.read_bytes().replace(b"number", b"NUMBER"))
        code, out = command(client, server.port, "all", "verify")
        assert code != 0 and path.name.split(",")[0].encode() in out, out
        code, out = command(client, server.port, "all", "status")
        assert code == 0 and b"a" in out
        server.fault = Fault(says={"PASS": b"-ERR [AUTH] no\r\n"})
        assert client.run(server.port, "all")[0] == 77
        assert command(client, server.port, "all", "status")[0] != 0


def test_state_moves_to_another_machine(tmp_path):
    with Evil(MESSAGES) as server:
        old, new = Client(tmp_path / "old"), Client(tmp_path / "new")
        assert old.run(server.port, "all")[0] == 0
        code, text = command(old, server.port, "all", "state", "export", "a")
        assert code == 0
        (tmp_path / "state.txt").write_bytes(text[text.index(b"restante-journal 1"):])
        code, out = command(new, server.port, "all", "state", "import", "a", str(tmp_path / "state.txt"))
        assert code == 0, out
        assert new.run(server.port, "all")[0] == 0
        assert not new.maildir.exists() or stored(new.maildir) == []


def test_probe(tmp_path, pki):
    """Greeting, capabilities before and after TLS and login, the certificate with its pin; nobody's mail is touched."""
    with PopFault(MESSAGES, door=Door(tls="stls", certificate=pki.server)) as server:
        client = Client(tmp_path)
        code, out = command(client, server.port, "none", "probe", "a", server=f'"pop://localhost:{server.port}"',
                            tls="stls", family='"4"', ca_file=f'"{pki.ca.pem}"', plaintext_auth="no")
        assert code == 0, out
        for word in (b"STLS", b"PIPELINING", b"TLSv1.3", b"sha256//", b"USER"):
            assert word in out, (word, out)
        assert not {"RETR", "DELE"} & set(server.verbs())
        code, out = command(client, server.port, "none", "probe", f"pop://localhost:{server.port}", timeout=20)
        assert b"STLS" in out and "PASS" not in server.verbs()[-3:], out


def test_progress_on_a_terminal(tmp_path):
    """A live line while it runs, a calm one at the end; no control octet of the server."""
    messages = mails(60, 2000)
    with Evil(messages, Fault(says={"USER": b"+OK \x1b[31mred\r\n"}, drip=0.00002)) as server:
        client = Client(tmp_path)
        conf = client.config(server.port, "none", f"maildir:{client.maildir}", client.state, {})
        code, seen = client.on_terminal(conf)
        assert code == 0, seen
        assert b"60 new" in seen and re.search(rb"\d+/60|/60", seen), seen[-800:]
        assert b"\x1b[31mred" not in seen


@pytest.mark.proves("R2449-LD-03")
@pytest.mark.parametrize("delay", [0, 14])
def test_daemon(tmp_path, delay):
    """It says READY, polls by its interval and never below the server's LOGIN-DELAY, and stops when told so."""
    says = {"CAPA": b"+OK\r\nUSER\r\nUIDL\r\nLOGIN-DELAY %d\r\n.\r\n" % delay} if delay else {}
    with Evil(MESSAGES, Fault(says=says)) as server, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        client = Client(tmp_path)
        notify.bind(str(tmp_path / "n"))
        notify.settimeout(20)
        child = client.start(server.port, "none", args=["--daemon"], interval="10s",
                             env={"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "1000000"})
        try:
            said = [notify.recv(100) for _ in range(3)]
            assert said[0] == b"READY=1" and b"WATCHDOG=1" in said[1:]
            deadline = time.monotonic() + 40
            while server.uids() and time.monotonic() < deadline:
                time.sleep(0.05)
            first = time.monotonic()
            server.messages.append((b"new", b"Subject: new\r\n\r\nnew\r\n"))
            while server.uids() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert server.uids() == [] and time.monotonic() - first > max(9, delay - 1)
            child.send_signal(signal.SIGTERM)
            out = child.communicate(timeout=20)[0]
            assert child.returncode == 0 and sound(out, 0), out
        finally:
            child.kill()
            child.wait()
        assert len(stored(client.maildir)) == 6


class NameServer:
    """Answers every SRV question about _pop3s with one target at these ports, about all else with none."""

    def __init__(self, target: str, *ports: int):
        self.target, self.to = target, ports
        self.asked = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(2048)
            except OSError:
                return
            end = data.index(b"\0", 12) + 5
            name = b".".join(re.findall(rb"[-_a-z0-9]+", data[12:end - 5], re.I))
            self.asked.append(name)
            found = name.startswith(b"_pop3s") or b"_pop3s" in name
            host = b"".join(bytes([len(p)]) + p.encode() for p in self.target.split(".")) + b"\0"
            records = [b"\xc0\x0c" + struct.pack(">HHIHHHH", 33, 1, 60, 6 + len(host), rank, 0, port) + host
                       for rank, port in enumerate(self.to)] if found else []
            answer = data[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, len(records), 0, 0) + data[12:end]
            try:
                self.sock.sendto(answer + b"".join(records), peer)
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.sock.close()


@pytest.mark.proves("R6186-01", "R6186-06")
def test_discovered_once(tmp_path, pki):
    """The domain names its server; it is asked for once, and remembered."""
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pki.server)) as server, \
            NameServer("localhost", server.port) as names:
        client = Client(tmp_path)
        settings = {"server": '""', "discover": '"me@localhost"', "tls": "auto", "family": '"4"',
                    "ca_file": f'"{pki.ca.pem}"', "plaintext_auth": "no"}
        env = {"RESTANTE_NAMESERVER": f"127.0.0.1:{names.port}"}
        code, out = client.run(server.port, "all", env=env, **settings)
        assert code == 0, out
        ledger(client, server, MESSAGES, "all")
        asked = len(names.asked)
        assert asked >= 2
        assert client.run(server.port, "none", env=env, **settings)[0] == 0
        assert len(names.asked) == asked
        ledger(client, server, MESSAGES, "none")


@pytest.mark.proves("R6186-05", "R6186-08")
def test_discovered_elsewhere(tmp_path):
    """A target outside of the domain is not believed unasked: no connection, and a text that says what to write."""
    with Evil(MESSAGES) as server, NameServer("pop.evil.test", server.port) as names:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", server='""', discover='"me@example.test"', tls="auto",
                               plaintext_auth="no", env={"RESTANTE_NAMESERVER": f"127.0.0.1:{names.port}"})
        assert code == 77 and b"pop.evil.test" in out, out
        assert server.log == []


def test_fetcher_is_caged(tmp_path):
    """While it speaks with the server: seccomp's filter, no new privileges, no file but its sockets and stderr."""
    with Evil(MESSAGES, Fault(silent_after=3)) as server:
        client = Client(tmp_path)
        child = client.start(server.port, "none")
        try:
            deadline, fetcher = time.monotonic() + 20, None
            while time.monotonic() < deadline and not (fetcher and len(server.log) >= 3):
                text = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
                fetcher = int(text[0]) if text else None
                time.sleep(0.02)
            status = Path(f"/proc/{fetcher}/status").read_text()
            assert re.search(r"^Seccomp:\s+2$", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M)
            kinds = {os.readlink(fd).split(":")[0] for fd in Path(f"/proc/{fetcher}/fd").iterdir()}
            assert kinds <= {"socket", "pipe", "/dev/null"}, kinds
        finally:
            child.kill()
            child.communicate()
