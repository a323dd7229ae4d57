"""The fetcher alone, with the test as its writer: what it says last is heard, and a writer that is slow is not the
server's fault. The layout of packets is that of src/client/link.c, the lines of a job those of src/client/job.c.
"""

from __future__ import annotations

import base64
import ctypes
import os
import select
import socket
import struct
import subprocess
import threading
import time

import pytest
import server as srv
from evil import Fault
from lab import FULL, mails, sound
from popfault import Door, PopFault, challenge

JOB, FILE, SECRET, GO, ORDER, QUIT = range(1, 7)
BODY, BODY_END, REFUSED, ENDED = 15, 16, 17, 19
READY = 14
HEAD = struct.Struct("<BBBBB3xIIQII")
FIELDS = ("host user authzid srv_domain sasl_name pins proxy_user proxy_password port tls auth verify mechs top_lines "
          "connect_s reply_s read_s window max_octets use_proxy srv_implicit tls13_only plaintext_auth one_line_auth "
          "use_capa use_pipelining force_pipelining lf_dot_ends apop_after_stls login_only no_login want_uidl trace "
          "has_certificate force_utf8").split()
TLS, NO_TLS, USER, UNVERIFIED = 0, 2, 1, 2
CHILDREN: list = []


@pytest.fixture(autouse=True)
def no_child_left():
    yield
    while CHILDREN:
        child = CHILDREN.pop()
        if child.poll() is None:
            child.kill()
            child.communicate()


class Packet:
    def __init__(self, data):
        _, self.type, self.order, self.failure, self.code, self.flags, self.number, self.octets, text, _ = \
            HEAD.unpack(data[:HEAD.size])
        self.text, self.data = data[HEAD.size:HEAD.size + text], data[HEAD.size + text:]


class Fetcher:
    def __init__(self, server, secret=b"p", **job):
        program = srv.build_dir() / "src" / "client" / "restante-fetch"
        if not program.exists():
            pytest.skip(f"{program} is not built")
        values = dict.fromkeys(FIELDS[8:], 0)
        values.update(host="localhost", user="u", port=server.port, tls=NO_TLS, auth=USER, plaintext_auth=1, connect_s=5,
                      reply_s=5, read_s=5, window=1 << 30, use_capa=1, use_pipelining=1, want_uidl=1)
        values.update(job)
        version = subprocess.run([program.parent / "restante", "--version"], capture_output=True, text=True, check=True)
        text = version.stdout.split()[-1] + "\n" + "".join(f"{name}={values.get(name, '')}\n" for name in FIELDS)
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link.settimeout(20)
        env = dict(os.environ, ASAN_OPTIONS="exitcode=99", UBSAN_OPTIONS="print_stacktrace=1")
        argv = ["bash", "-c", f'exec "$0" 3<&{theirs.fileno()}', str(program)]
        self.child = subprocess.Popen(argv, pass_fds=(theirs.fileno(),), env=env, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        theirs.close()
        CHILDREN.append(self.child)
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            socket.send_fds(self.link, [self.packet(JOB, text=text.encode())], [sock.fileno()])
        self.tell(SECRET, text=secret)
        self.tell(GO)

    @staticmethod
    def packet(kind, order=0, number=0, octets=0, text=b""):
        return HEAD.pack(1, kind, order, 0, 0, 0, number, octets, len(text), 0) + text

    def tell(self, kind, **what):
        self.link.send(self.packet(kind, **what))

    def hear(self) -> Packet:
        data = self.link.recv(1 << 17)
        assert data, "the fetcher is gone"
        return Packet(data)

    def until(self, kind) -> list:
        got = [self.hear()]
        while got[-1].type != kind:
            assert got[-1].type != ENDED, got[-1].text
            got.append(self.hear())
        return got

    def end(self):
        self.link.close()
        out = self.child.communicate(timeout=20)[0]
        assert sound(out, self.child.returncode)
        return self.child.returncode


BIG = [(b"uid-1", b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * 1 + (b"y" * 70 + b"\r\n") * 40000)]


def test_orders_unread_take_nothing_away():
    """The session ends while the writer has said more, and lies behind with reading: it hears all of it, and the end."""
    with PopFault(BIG) as server:
        f = Fetcher(server, max_octets=1_000_000)
        f.until(READY)
        f.tell(ORDER, number=1)
        octets = 0
        while octets < 800_000:
            p = f.hear()
            octets += len(p.data)
        for _ in range(20):
            f.tell(ORDER, order=3)
        time.sleep(1)                   # it has seen the limit by now, and said so
        f.tell(QUIT)                    # no error either: somebody listens
        last = f.until(ENDED)
        assert last[-2].type == REFUSED and last[-1].text == b"message over the limit"
        assert f.child.poll() is None   # until the writer hangs up
        assert f.end() == 0


def test_slow_writer_is_not_the_servers_fault():
    """Back-pressure: the deadlines stand still while nobody takes what came."""
    with PopFault(BIG) as server:
        f = Fetcher(server, reply_s=2, read_s=2)
        f.until(READY)
        f.tell(ORDER, number=1)
        time.sleep(5)
        octets = sum(len(p.data) for p in f.until(BODY_END))
        assert octets == len(BIG[0][1])
        f.tell(QUIT)
        assert f.until(ENDED)[-1].flags & 1
        assert f.end() == 0


def test_writer_that_goes():
    """Without a writer there is no session: no QUIT, no rest."""
    with PopFault(BIG) as server:
        f = Fetcher(server)
        f.until(READY)
        f.tell(ORDER, number=1)
        assert select.select([f.link], [], [], 20)[0]
        assert f.end() == 0
        server.settle()
        assert "QUIT" not in server.verbs()


@pytest.mark.parametrize("kind, what", [(BODY, {}), (JOB, {"text": b"again"}), (99, {})])
def test_malformed_writer(kind, what):
    with PopFault(mails(1)) as server:
        f = Fetcher(server)
        f.until(READY)
        f.tell(kind, **what)
        assert f.end() == 0
        server.settle()
        assert "QUIT" not in server.verbs()


def test_cut_in_the_middle_is_told():
    with PopFault(BIG, Fault(cut=500_000, rst=True)) as server:
        f = Fetcher(server)
        f.until(READY)
        f.tell(ORDER, number=1)
        got = f.until(ENDED)[-1]
        assert got.failure == 2 and got.text, vars(got)
        assert f.end() == 0


@pytest.mark.limit(180)
@pytest.mark.skipif(not FULL, reason="takes two minutes")
def test_keeps_alive():
    """A server is not left alone for a minute, while the writer has nothing to order or does not read."""
    with PopFault(mails(2)) as server:
        f = Fetcher(server)
        f.until(READY)
        time.sleep(115)
        assert server.verbs().count("NOOP") == 2, server.log
        f.tell(ORDER, number=1)
        f.until(BODY_END)
        f.tell(QUIT)
        assert f.until(ENDED)[-1].flags & 1
        assert f.end() == 0


def memory(pid: int) -> bytes:
    """What a process may write to."""
    found = []
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
            for line in maps:
                where, rights = line.split()[:2]
                first, last = (int(n, 16) for n in where.split("-"))
                if rights.startswith("rw") and last - first < 1 << 28:
                    mem.seek(first)
                    found.append(mem.read(last - first))
    except PermissionError:
        pytest.skip("only root sees into it")
    return b"".join(found)


@pytest.mark.parametrize("how", ["USER", "PLAIN", "LOGIN", "CRAM-MD5", "APOP"])
def test_password_is_forgotten(how):
    """When mail of strangers comes, the fetcher has nothing of the secret any more."""
    secret = b"never-" + os.urandom(8).hex().encode()
    script = {"PLAIN": [b"+ \r\n", b"+OK\r\n"], "LOGIN": [challenge(b"User"), challenge(b"Password"), b"+OK\r\n"],
              "CRAM-MD5": [challenge(b"<1@h>"), b"+OK\r\n"]}
    door = Door(words=(b"SASL PLAIN LOGIN CRAM-MD5", b"UIDL"), auth=script, greeting=b"+OK <1.2@host>\r\n")
    with PopFault(mails(1), door=door) as server:
        auth = {"USER": USER, "APOP": 2}.get(how, 3)
        f = Fetcher(server, secret, auth=auth, sasl_name=how if auth == 3 else "")
        f.until(READY)
        there = memory(f.child.pid)
        assert b"localhost" in there    # the job is in there
        for form in (secret, base64.b64encode(secret), base64.b64encode(b"\0u\0" + secret)):
            assert form not in there, f"{there.count(form)} of {form!r}"
        f.tell(QUIT)
        f.until(ENDED)
        assert f.end() == 0


class Renewing:
    """A server over TLS that greets, and then asks for new keys without end and reads nothing."""

    def __init__(self, pair):
        ssl = ctypes.CDLL("libssl.so.3")
        for name in ("TLS_server_method", "SSL_CTX_new", "SSL_new"):
            getattr(ssl, name).restype = ctypes.c_void_p
        self.ssl, self.full, self.closing = ssl, threading.Event(), False
        ctx = ctypes.c_void_p(ssl.SSL_CTX_new(ctypes.c_void_p(ssl.TLS_server_method())))
        assert ssl.SSL_CTX_use_certificate_chain_file(ctx, str(pair[0]).encode()) == 1
        assert ssl.SSL_CTX_use_PrivateKey_file(ctx, str(pair[1]).encode(), 1) == 1
        self.session = ctypes.c_void_p(ssl.SSL_new(ctx))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        sock, _ = self.listener.accept()
        self.ssl.SSL_set_fd(self.session, sock.fileno())
        assert self.ssl.SSL_accept(self.session) == 1
        self.ssl.SSL_write(self.session, b"+OK ready\r\n", 11)
        sock.setblocking(False)
        while not self.closing:
            self.ssl.SSL_key_update(self.session, 1)
            while self.ssl.SSL_do_handshake(self.session) != 1 and not self.closing:
                self.full.set()
                time.sleep(0.05)
        sock.close()


def test_renewing_keys_without_end(pki):
    """C-34: neither is it followed for ever, nor does waiting for room turn round and round."""
    server = Renewing(pki.server)
    f = Fetcher(server, tls=TLS, verify=UNVERIFIED, plaintext_auth=1, reply_s=6)
    assert server.full.wait(20)
    stat = f"/proc/{f.child.pid}/stat"

    def cpu():
        return sum(int(n) for n in open(stat).read().rpartition(")")[2].split()[11:13]) / os.sysconf("SC_CLK_TCK")

    time.sleep(0.5)
    used, since = cpu(), time.monotonic()
    time.sleep(2)
    share = (cpu() - used) / (time.monotonic() - since)
    assert share < 0.5, f"{share:.0%} of a processor while nothing can be done"
    got = f.until(ENDED)[-1]
    assert b"no answer in time" in got.text, got.text
    server.closing = True
    assert f.end() == 0
