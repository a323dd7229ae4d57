"""A raw POP3 connection: exact octets out, strictly checked replies in.

Every status line that passes through here is held to the rules that stand for all replies: +OK or -ERR
at column 1, a space and text, CRLF, at most 512 octets, printable, no bracket unless a known code.
"""

from __future__ import annotations

import base64
import re
import select
import socket
import ssl
import struct
import time

import wiremodel

STATUS = re.compile(rb"(\+OK|-ERR) [^\r\n\x00]+\r\n\Z")
CODES = (b"IN-USE", b"LOGIN-DELAY", b"SYS/TEMP", b"SYS/PERM", b"AUTH", b"UTF8")
TIMEOUT = 15.0


class Closed(AssertionError):
    """The peer closed where a reply was expected."""


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


def plain_response(user: bytes | str, password: bytes | str, authzid: bytes | str = b"") -> bytes:
    enc = [x.encode() if isinstance(x, str) else x for x in (authzid, user, password)]
    return b64(b"\0".join(enc))


def client_context(
    *,
    cafile: str | None = None,
    cert: tuple[str, str] | None = None,
    alpn: list[str] | None = None,
    lowest: ssl.TLSVersion | None = None,
    highest: ssl.TLSVersion | None = None,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    """A client context that trusts cafile, or anything when there is none."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    if cafile:
        ctx.load_verify_locations(cafile)
        ctx.verify_mode = ssl.CERT_REQUIRED
        ctx.check_hostname = True
    if cert:
        ctx.load_cert_chain(*cert)
    if alpn:
        ctx.set_alpn_protocols(alpn)
    if lowest:
        ctx.minimum_version = lowest
    if highest:
        ctx.maximum_version = highest
    if ciphers:
        ctx.set_ciphers(ciphers)
    return ctx


class Wire:
    def __init__(
        self,
        address: tuple[str, int],
        *,
        tls: ssl.SSLContext | bool | None = None,
        sni: str | None = "localhost",
        first: bytes = b"",
        greet: bool = True,
        timeout: float = TIMEOUT,
        source: str | None = None,
        rcvbuf: int | None = None,
    ):
        self.timeout = timeout
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock: socket.socket = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.sock.bind((source, 0))
        try:
            self.sock.connect(address)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.buf = b""
            self.pending = bytearray()
            self.greeting = b""
            self.lang = False  # a language was chosen: texts may be UTF-8
            if first:
                self.sock.sendall(first)
            if tls:
                self.start_tls(tls, sni)
            if greet:
                self.greeting = self.status()
                assert self.greeting.startswith(b"+OK"), self.greeting
        except BaseException:
            self.sock.close()
            raise

    # --- life ------------------------------------------------------------------------------------

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def start_tls(self, ctx: ssl.SSLContext | bool, sni: str | None = "localhost") -> None:
        """Wraps the connection as it stands; nothing may be unread."""
        if ctx is True:
            ctx = client_context()
        self.sock = ctx.wrap_socket(self.sock, server_hostname=sni, suppress_ragged_eofs=False)

    def stls(self, ctx: ssl.SSLContext | bool = True, sni: str | None = "localhost") -> None:
        self.ok("STLS")
        assert self.buf == b"", self.buf
        self.start_tls(ctx, sni)

    def close(self) -> None:
        try:
            self.sock.close()
        except OSError:
            pass

    def rst(self) -> None:
        """Closes with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        fd = self.sock.detach()
        socket.close(fd)

    def fin(self) -> None:
        """Closes the sending side only."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    # --- out -------------------------------------------------------------------------------------

    def send(self, *pieces: bytes, gap: float = 0.0) -> None:
        """Each piece in a segment of its own."""
        for i, piece in enumerate(pieces):
            if i and gap:
                time.sleep(gap)
            self.sock.sendall(piece)

    def cmd(self, line: bytes | str) -> bytes:
        """One command, its status line."""
        self.send(_octets(line) + b"\r\n")
        return self.status()

    def later(self, data: bytes) -> None:
        """Sends what can be sent without waiting; the rest goes out while replies are read. One thread does
        both: a TLS connection must not be used by two."""
        self.pending += data
        self._push()

    def _push(self) -> None:
        self.sock.setblocking(False)
        try:
            while self.pending:
                sent = self.sock.send(self.pending[:65536])
                del self.pending[:sent]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        finally:
            self.sock.settimeout(self.timeout)

    # --- in --------------------------------------------------------------------------------------

    def recv(self, count: int = 262144) -> bytes:
        """Octets from the server, b"" at the end; sends on what is still to be sent."""
        if not self.pending:
            return self.sock.recv(count)
        deadline = time.monotonic() + self.timeout
        while True:
            self._push()
            self.sock.setblocking(False)
            try:
                return self.sock.recv(count)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            finally:
                self.sock.settimeout(self.timeout)
            if time.monotonic() > deadline:
                raise TimeoutError("no octets")
            select.select([self.sock], [self.sock] if self.pending else [], [], 0.05)

    def _fill(self) -> None:
        chunk = self.recv()
        if not chunk:
            raise Closed(f"connection closed; unread {self.buf[-200:]!r}")
        self.buf += chunk

    def raw_line(self) -> bytes:
        """A line with its CRLF."""
        deadline = time.monotonic() + self.timeout
        while b"\n" not in self.buf:
            assert time.monotonic() < deadline, f"no line within {self.timeout} s: {self.buf!r}"
            self._fill()
        line, _, self.buf = self.buf.partition(b"\n")
        line += b"\n"
        assert line.endswith(b"\r\n"), line
        return line

    def status(self) -> bytes:
        """A status line, checked against the rules for all of them, without its CRLF."""
        line = self.raw_line()
        check_status(line, self.lang)
        return line[:-2]

    def ok(self, line: bytes | str | None = None) -> bytes:
        reply = self.status() if line is None else self.cmd(line)
        assert reply.startswith(b"+OK"), (line, reply)
        return reply

    def err(self, line: bytes | str | None = None, code: str | None = None) -> bytes:
        """code: "" = no response code allowed; "AUTH" = exactly this one; None = whatever."""
        reply = self.status() if line is None else self.cmd(line)
        assert reply.startswith(b"-ERR"), (line, reply)
        if code == "":
            assert not reply.startswith(b"-ERR ["), (line, reply)
        elif code:
            assert reply.startswith(b"-ERR [" + code.encode() + b"] "), (line, reply)
        return reply

    def body(self) -> bytes:
        """The octets of a multi-line reply between status line and terminator, as sent."""
        deadline = time.monotonic() + self.timeout
        start = 0
        chunks = bytearray(self.buf)
        while True:
            if chunks.startswith(b".\r\n"):
                end = 0
                break
            found = chunks.find(b"\r\n.\r\n", start)
            if found >= 0:
                end = found + 2
                break
            start = max(0, len(chunks) - 4)
            assert time.monotonic() < deadline, f"no terminator: {bytes(chunks[-100:])!r}"
            chunk = self.recv()
            if not chunk:
                self.buf = bytes(chunks)
                raise Closed(f"closed inside a multi-line reply after {len(chunks)} octets")
            chunks += chunk
        raw = bytes(chunks[:end])
        self.buf = bytes(chunks[end + 3 :])
        return raw

    def multi(self, line: bytes | str) -> list[bytes]:
        """A command with a multi-line reply: its lines, un-stuffed, without CRLF."""
        self.ok(line)
        return self.lines()

    def lines(self) -> list[bytes]:
        return [x[1:] if x.startswith(b".") else x for x in self.body().split(b"\r\n")[:-1]]

    def retr(self, n: int) -> bytes:
        """The un-stuffed octets of message n."""
        self.ok(f"RETR {n}")
        return wiremodel.unstuff(self.body())

    def challenge(self, line: bytes | str | None = None) -> bytes:
        """Sends line; the decoded challenge that must come."""
        if line is not None:
            self.send(_octets(line) + b"\r\n")
        got = self.raw_line()
        assert re.fullmatch(rb"\+ [A-Za-z0-9+/]*={0,2}\r\n", got), got
        return base64.b64decode(got[2:-2], validate=True)

    def eof(self, timeout: float = 5.0) -> bytes:
        """Waits for the end of the stream; returns what came before it."""
        self.sock.settimeout(timeout)
        self.timeout = timeout
        got = self.buf
        self.buf = b""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                chunk = self.recv()
            except (ConnectionResetError, BrokenPipeError):
                return got
            if not chunk:
                return got
            got += chunk
        raise AssertionError(f"not closed within {timeout} s; got {got[:200]!r}")

    def silent(self, seconds: float = 0.3) -> None:
        """Nothing comes and the connection stays open for that long."""
        assert self.buf == b"", self.buf
        self.sock.settimeout(seconds)
        try:
            got = self.sock.recv(4096)
        except (TimeoutError, socket.timeout):
            return
        finally:
            self.sock.settimeout(self.timeout)
        raise AssertionError(f"expected silence, got {got!r}")

    # --- dialogue ----------------------------------------------------------------------------------

    def login(self, user: str, password: str) -> "Wire":
        self.ok(f"USER {user}")
        self.ok(f"PASS {password}")
        return self

    def capa(self) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for line in self.multi("CAPA"):
            assert len(line) <= 510 and re.fullmatch(rb"[\x21-\x2d\x2f-\x7e]+( [\x21-\x7e]+)*", line)
            tag, *params = line.decode("ascii").split(" ")
            assert tag not in out, line
            out[tag] = params
        return out

    def stat(self) -> tuple[int, int]:
        reply = self.ok("STAT")
        m = re.fullmatch(rb"\+OK (\d+) (\d+)", reply)
        assert m, reply
        return int(m[1]), int(m[2])

    def list(self) -> dict[int, int]:
        out = {}
        for line in self.multi("LIST"):
            m = re.fullmatch(rb"(\d+) (\d+)", line)
            assert m, line
            out[int(m[1])] = int(m[2])
        return out

    def uidl(self) -> dict[int, bytes]:
        out = {}
        for line in self.multi("UIDL"):
            m = re.fullmatch(rb"(\d+) ([\x21-\x7e]{1,70})", line)
            assert m, line
            out[int(m[1])] = m[2]
        assert len(set(out.values())) == len(out)
        return out

    def in_step(self, logged_in: bool = True) -> None:
        """The connection still answers one to one."""
        if logged_in:
            self.ok("NOOP")
        else:
            self.capa()
        assert self.buf == b"", self.buf

    def quit(self) -> bytes:
        reply = self.ok("QUIT")
        assert self.eof() == b""
        self.close()
        return reply


def _octets(line: bytes | str) -> bytes:
    return line.encode() if isinstance(line, str) else line


def check_status(line: bytes, lang: bool = False) -> None:
    """The rules for every status line of the whole run."""
    assert STATUS.match(line), line
    assert len(line) <= 512, (len(line), line)
    text = line[:-2].partition(b" ")[2]
    if not lang:
        assert all(0x20 <= c < 0x7F for c in text), line
    if text.startswith(b"["):
        code, close, _ = text[1:].partition(b"]")
        assert close and code in CODES, line
