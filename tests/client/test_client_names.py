"""C-41: names of servers in DNS: no answer, a hundred addresses, addresses that lead nowhere, a name that moves in the
middle of a run.

A name server of the test on a loopback address of its own; the client sees it by a mount namespace with another
resolv.conf. Does not know: SRV records (test_client_hands.py).
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import struct
import threading

import pytest
import server as srv
from evil import Evil, Fault
from lab import Client, ledger, mails, stored
from popfault import whole

MESSAGES = mails(5)
A, AAAA = 1, 28
_addresses = itertools.count(os.getpid() % 200 * 250 + 1)

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounts a resolv.conf of its own")


class Names:
    """Answers to A and AAAA as answer(type) says: a list of addresses, or None for silence. UDP, and TCP for what is long."""

    def __init__(self, root, answer):
        self.answer, self.asked = answer, []
        while True:
            n = next(_addresses)
            self.address = f"127.77.{n // 250 % 250}.{n % 250 + 1}"
            try:
                self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self.udp.bind((self.address, 53))
                self.tcp = socket.create_server((self.address, 53))
                break
            except OSError as e:
                self.udp.close()
                if not isinstance(e, OSError) or n > 60000:
                    raise
        conf = root / "resolv.conf"
        conf.write_text(f"nameserver {self.address}\n")
        nss = root / "nsswitch.conf"
        nss.write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        self.wrap = ["unshare", "-m", "sh", "-c", f"mount --bind {conf} /etc/resolv.conf && mount --bind {nss} "
                     '/etc/nsswitch.conf && exec "$@"', "sh"]
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.udp.close()
        self.tcp.close()

    def reply(self, question: bytes):
        end = question.index(b"\0", 12) + 5
        kind = struct.unpack(">H", question[end - 4:end - 2])[0]
        self.asked.append(kind)
        found = self.answer(kind)
        if found is None:
            return None
        family = socket.AF_INET if kind == A else socket.AF_INET6
        rows = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(d)) + d
                        for d in (socket.inet_pton(family, a) for a in found))
        return question[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, len(found), 0, 0) + question[12:end] + rows

    def serve_udp(self):
        while True:
            try:
                question, peer = self.udp.recvfrom(2048)
                said = self.reply(question)
                if said is not None and len(said) > 512:  # truncated: come again by TCP
                    end = question.index(b"\0", 12) + 5
                    said = question[:2] + b"\x83\x80" + struct.pack(">HHHH", 1, 0, 0, 0) + question[12:end]
                if said is not None:
                    self.udp.sendto(said, peer)
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                sock, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.conversation, args=(sock,), daemon=True).start()

    def conversation(self, sock):
        with sock, sock.makefile("rb") as file:
            while True:
                head = file.read(2)
                if len(head) < 2:
                    return
                said = self.reply(file.read(int.from_bytes(head, "big")))
                if said is not None:
                    sock.sendall(len(said).to_bytes(2, "big") + said)


def fetch(client, server, names, keep="none", **settings):
    return client.run(server.port, keep, wrap=names.wrap, server=f'"pop://pop.lab.test:{server.port}"',
                      **{"retries": 0, **settings})


@pytest.mark.proves("XCL-06")
def test_no_answer(tmp_path):
    """Nobody answers the question: the time for connecting ends it, well before the test's own limit."""
    with Evil(MESSAGES) as server, Names(tmp_path, lambda kind: None) as names:
        code, out = fetch(Client(tmp_path / "c"), server, names, connect_timeout="2s")
        assert code == 69 and whole(out) and server.log == [], out
        assert names.asked


def test_no_such_name(tmp_path):
    with Evil(MESSAGES) as server, Names(tmp_path, lambda kind: []) as names:
        code, out = fetch(Client(tmp_path / "c"), server, names)
        assert code == 68 and b"pop.lab.test" in out, out


@pytest.mark.parametrize("good", [True, False])
def test_a_hundred_addresses(tmp_path, good):
    """All but one refuse; or all: then it ends soon, and says so."""
    many = [f"127.0.9.{n}" for n in range(1, 100)]
    if good:
        many.insert(25, "127.0.0.1")
    with Evil(MESSAGES) as server, Names(tmp_path, lambda kind: many if kind == A else []) as names:
        client = Client(tmp_path / "c")
        code, out = fetch(client, server, names)
        assert whole(out)
        if good:
            assert code == 0, out
            ledger(client, server, MESSAGES, "none")
        else:
            assert code in (69, 75) and server.log == [], out


@pytest.mark.skipif(not srv.has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("hole", ["silent", "refuses"])
def test_ipv6_leads_nowhere(tmp_path, hole):
    """A silent address costs its head start only: the other family is tried meanwhile, within one time for connecting."""
    with Evil(MESSAGES) as server, Names(tmp_path, lambda kind: ["127.0.0.1"] if kind == A else ["::1"]) as names:
        held = []
        if hole == "silent":
            wall = socket.socket(socket.AF_INET6)
            wall.bind(("::1", server.port))
            wall.listen(0)
            held.append(wall)
            for _ in range(8):  # fills the queue: what comes after is not answered
                s = socket.socket(socket.AF_INET6)
                s.setblocking(False)
                s.connect_ex(("::1", server.port))
                held.append(s)
        try:
            client = Client(tmp_path / "c")
            code, out = fetch(client, server, names, connect_timeout="6s")
            assert code == 0, out
            assert AAAA in names.asked
            ledger(client, server, MESSAGES, "none")
            if hole == "silent":
                code, out = fetch(Client(tmp_path / "six"), server, names, family='"6"', connect_timeout="2s")
                assert code == 69, out
        finally:
            for s in held:
                s.close()


@pytest.mark.parametrize("keep", ["none", "all"])
def test_name_that_moves(tmp_path, keep):
    """The line is lost in the middle; then the name leads to another host with the same maildrop: the run goes on there
    and fetches what is missing."""
    with Evil(MESSAGES, Fault(drop_before=9)) as old:
        new = Evil(MESSAGES)
        new.listener.close()
        new.listener = socket.create_server(("127.0.0.2", old.port))
        new.port = old.port
        with new, Names(tmp_path, lambda kind: [] if kind == AAAA else ["127.0.0.2" if old.log else "127.0.0.1"]) as names:
            client = Client(tmp_path / "c")
            code, out = fetch(client, old, names, keep, retries=2, pipelining='"no"')
            assert code == 0 and old.log and new.log, out
            ledger(client, new, MESSAGES, keep)
            before = old.verbs().count("RETR")
            assert 0 < before < 5 and new.verbs().count("RETR") <= 5 - before + 1
            assert len(stored(client.maildir)) == 5
