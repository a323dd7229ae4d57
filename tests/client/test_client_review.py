"""Deadlines that are each answer's own, TLS towards nobody knows whom, traces of secrets, proxies of SOCKS5."""

from __future__ import annotations

import base64
import socket
import threading
import time

import pytest
from evil import Fault
from lab import Client, ledger, mails
from listening import Listening
from popfault import Door, PopFault, Visit, challenge

MESSAGES = mails(3)


def sasl(*names):
    return (b"SASL " + b" ".join(names), b"UIDL", b"TOP")


def slow(monkeypatch, verb, seconds):
    """Each reply to verb ("" = the greeting) comes late."""
    kept = Visit.reply

    def reply(self, to, data):
        if to == verb:
            time.sleep(seconds)
        kept(self, to, data)

    monkeypatch.setattr(Visit, "reply", reply)


# --- deadlines --------------------------------------------------------------------------------------


@pytest.mark.proves("XCL-06")
def test_many_short_answers_are_no_trickle(tmp_path, monkeypatch):
    """Each DELE is answered well in time, in few octets; together they take longer than one answer may."""
    slow(monkeypatch, "DELE", 0.1)
    messages = mails(60)
    fault = Fault(pipelining=False)
    with PopFault(messages, fault, Door(words=(b"USER", b"UIDL", b"TOP"))) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", reply_timeout="2s", retries=0, timeout=60)
        assert code == 0, out
        ledger(client, server, messages, "none")


@pytest.mark.proves("XCL-06")
def test_handshake_after_a_slow_greeting(tmp_path, pki, monkeypatch):
    """The time for the handshake begins with the handshake."""
    slow(monkeypatch, "", 4)
    with PopFault(MESSAGES, door=Door(tls="stls", certificate=pki.server)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", server=f'"pop://localhost:{server.port}"', family='"4"', tls="stls",
                               ca_file=f'"{pki.ca.pem}"', plaintext_auth="no", connect_timeout="3s", reply_timeout="20s",
                               retries=0)
        assert code == 0, out
        ledger(client, server, MESSAGES, "none")


@pytest.mark.proves("XCL-06")
def test_greeting_after_a_slow_handshake(tmp_path, pki, monkeypatch):
    """… and the time for the greeting behind it."""
    kept = Visit.handshake

    def handshake(self):
        time.sleep(4)
        kept(self)

    monkeypatch.setattr(Visit, "handshake", handshake)
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pki.server)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", server=f'"pops://localhost:{server.port}"', family='"4"',
                               tls="implicit", ca_file=f'"{pki.ca.pem}"', plaintext_auth="no", connect_timeout="20s",
                               reply_timeout="3s", retries=0)
        assert code == 0, out
        ledger(client, server, MESSAGES, "none")


# --- TLS without verification -----------------------------------------------------------------------


def unverified(root, server, **more):
    rows = {"server": f'"pops://localhost:{server.port}"', "family": '"4"', "tls": "implicit", "verify": '"off"',
            "plaintext_auth": "no", "retries": 0, **more}
    return Client(root).run(server.port, "none", **rows)


@pytest.mark.proves("R8314-C-04")
@pytest.mark.parametrize("auth", ["user", "auto", "PLAIN", "LOGIN"])
def test_nobody_verified_gets_no_password(tmp_path, pki, auth):
    door = Door(tls="implicit", certificate=pki.server, words=(*sasl(b"PLAIN", b"LOGIN"), b"USER"),
                auth={"PLAIN": [lambda line: b"+OK\r\n"]})
    with PopFault(MESSAGES, door=door) as server:
        code, out = unverified(tmp_path / "a", server, auth=f'"{auth}"')
        assert code == 77 and b"not verified" in out, out
        assert not {"USER", "PASS", "AUTH"} & set(server.verbs()), server.log
        if auth in ("user", "PLAIN"):
            code, out = unverified(tmp_path / "b", server, auth=f'"{auth}"', plaintext_auth="yes")
            assert code == 0 and server.uids() == [], out


@pytest.mark.proves("R8314-C-04", "R7628-01", "XOA2-06")
@pytest.mark.parametrize("mech", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("plaintext", ["no", "yes"])
def test_nobody_verified_gets_no_token(tmp_path, pki, mech, plaintext):
    door = Door(tls="implicit", certificate=pki.server, words=sasl(mech.encode()), auth={mech: [b"+ \r\n", b"+OK\r\n"]})
    with PopFault(MESSAGES, door=door) as server:
        code, out = unverified(tmp_path, server, auth=f'"{mech}"', token_command='"echo t0ken"', password='""',
                               plaintext_auth=plaintext)
        assert code == 77 and "AUTH" not in server.verbs(), out


# --- traces -----------------------------------------------------------------------------------------


@pytest.mark.proves("XCL-10")
@pytest.mark.parametrize("password", [".+-secret", "R'e-secret", "I0--secret"])  # Base64: Listc…, Uidl…, STA…
def test_response_that_looks_like_a_command(tmp_path, password):
    right = base64.b64encode(password.encode())
    door = Door(words=sasl(b"LOGIN"), auth={"LOGIN": [challenge(b"User"), challenge(b"Password"), b"+OK\r\n"]})
    with PopFault(MESSAGES, door=door) as server:
        code, out = Client(tmp_path).run(server.port, "none", auth='"LOGIN"', password=f'"{password}"', args=["-vv"])
        assert code == 0 and password.encode() in server.answers, out
        assert b"AUTH LOGIN" in out and b"****" in out, out
        assert right not in out and right[:8] not in out and password.encode() not in out, out


# --- SOCKS5 -----------------------------------------------------------------------------------------


class Proxy(Listening):
    """CONNECT by name; the first octets of the server travel in one segment with the reply, when "together"."""

    def __init__(self, reply=0, login=None, together=False):
        self.reply, self.login, self.together = reply, login, together
        self.asked: list = []
        self.listen()

    @staticmethod
    def take(sock, n):
        got = b""
        while len(got) < n:
            more = sock.recv(n - len(got))
            if not more:
                raise OSError("gone")
            got += more
        return got

    def serve(self, sock):
        try:
            with sock:
                methods = self.take(sock, self.take(sock, 2)[1])
                if self.login:
                    if 2 not in methods:
                        sock.sendall(b"\x05\xff")
                        return
                    sock.sendall(b"\x05\x02")
                    self.take(sock, 1)
                    said = tuple(self.take(sock, self.take(sock, 1)[0]).decode() for _ in range(2))
                    sock.sendall(b"\x01" + (b"\x00" if said == self.login else b"\x01"))
                    if said != self.login:
                        return
                else:
                    sock.sendall(b"\x05\x00")
                self.take(sock, 4)
                host = self.take(sock, self.take(sock, 1)[0])
                port = int.from_bytes(self.take(sock, 2), "big")
                self.asked.append((host, port))
                if self.reply:
                    sock.sendall(bytes([5, self.reply, 0, 1, 0, 0, 0, 0, 0, 0]))
                    return
                with socket.create_connection(("127.0.0.1", port)) as there:
                    first = there.recv(4096) if self.together else b""
                    sock.sendall(b"\x05\x00\x00\x03\x04here\x00\x01" + first)
                    back = threading.Thread(target=self.pump, args=(there, sock), daemon=True)
                    back.start()
                    self.pump(sock, there)
                    back.join()
        except OSError:
            pass

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.mark.parametrize("tls", ["none", "stls", "implicit"])
@pytest.mark.parametrize("together", [False, True])
def test_through_a_proxy(tmp_path, pki, tls, together):
    """No octet is lost where one protocol follows another."""
    if tls == "implicit" and together:
        pytest.skip("the client speaks first")
    with PopFault(MESSAGES, door=Door(tls=tls, certificate=pki.server)) as server, \
            Proxy(login=("me", "pr0xy"), together=together) as proxy:
        client = Client(tmp_path)
        scheme = "pops" if tls == "implicit" else "pop"
        code, out = client.run(server.port, "none", server=f'"{scheme}://localhost:{server.port}"', tls=tls,
                               ca_file=f'"{pki.ca.pem}"', plaintext_auth="yes" if tls == "none" else "no",
                               proxy=f'"socks5://me:pr0xy@127.0.0.1:{proxy.port}"', retries=0, args=["-vv"])
        assert code == 0, out
        assert proxy.asked == [(b"localhost", server.port)] and b"pr0xy" not in out
        assert b"+OK ready" in out  # the trace misses nothing either
        ledger(client, server, MESSAGES, "none")


@pytest.mark.parametrize("how, want, sessions", [
    ({"login": ("me", "other")}, 77, 1), ({"reply": 2}, 77, 1),   # what waiting does not mend
    ({"reply": 5}, 75, 2),                                        # what it may
])
def test_refused_by_a_proxy(tmp_path, how, want, sessions):
    with PopFault(MESSAGES) as server, Proxy(**how) as proxy:
        begun = []
        kept = proxy.serve
        proxy.serve = lambda sock: (begun.append(1), kept(sock))
        code, out = Client(tmp_path).run(server.port, "none", proxy=f'"socks5://me:pr0xy@127.0.0.1:{proxy.port}"', retries=1)
        assert code == want and b"the proxy" in out, out
        assert len(begun) == sessions and server.log == [], out


def test_proxy_that_is_none(tmp_path):
    with PopFault(MESSAGES) as server:
        code, out = Client(tmp_path).run(server.port, "none", proxy=f'"socks5://127.0.0.1:{server.port}"', retries=1)
        assert code == 76 and b"does not speak SOCKS5" in out, out
