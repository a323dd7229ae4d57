"""The breaking server of tests/lab with what a login can go wrong in: TLS, STLS, SASL, APOP.

Besides the Fault, a Door says how clients come in. The conversation of a mechanism is scripted: what the server says
after each line of the client. Does not know: who calls, and how.
"""

from __future__ import annotations

import base64
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))

import evil  # noqa: E402
from evil import CRLF, Evil, Fault, Gone  # noqa: E402


@dataclass
class Door:
    """How one comes in. By default without TLS, with USER and PASS."""

    tls: str = "none"                       # "implicit", "stls"
    certificate: Optional[tuple] = None     # PEM files: certificate (chain), key
    newest: Optional[ssl.TLSVersion] = None
    oldest: Optional[ssl.TLSVersion] = None
    client_ca: str = ""                     # asks for a certificate
    stls_reply: bytes = b"+OK\r\n"
    stls_extra: bytes = b""                 # octets in the clear behind it
    offer_stls: bool = True
    stall: str = ""                         # "hello": TLS is never answered, "drip": an octet at a time
    clear_words: tuple = (b"USER",)         # CAPA before TLS
    words: tuple = (b"USER", b"TOP", b"UIDL", b"PIPELINING", b"RESP-CODES")
    greeting: bytes = b"+OK ready\r\n"
    auth: dict = field(default_factory=dict)    # mechanism: list of octets or of functions of the client's line
    auth_more: Optional[bytes] = None       # said for ever when the script is at its end


class PopFault(Evil):
    """with PopFault(messages, Fault(…), Door(…)) as server: … server.port"""

    def __init__(self, messages, fault: Optional[Fault] = None, door: Optional[Door] = None):
        super().__init__(messages, fault)
        self.door = door or Door()
        self.answers: list = []     # what came inside of AUTH, decoded
        self.shown: list = []       # certificates of clients, DER
        self.inside: list = []      # (session, line) that came inside of TLS
        self.log_times: list = []

    def _accept(self):
        while not self.closing:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.sent.append(0)
            one = Visit(self, sock, len(self.sent) - 1)
            self.connections.append(one)
            thread = threading.Thread(target=one.serve, daemon=True)
            self.threads.append(thread)
            thread.start()


class Visit(evil.Connection):
    def __init__(self, server: PopFault, sock: socket.socket, number: int):
        super().__init__(server, sock, number)
        self.door = server.door
        self.secure = False

    def serve(self):
        try:
            if self.door.tls == "implicit":
                self.handshake()
        except Gone:
            self.sock.close()
            return
        super().serve()

    def reply(self, verb: str, data: bytes):
        if verb == "" and data.startswith(b"+OK lab"):
            data = self.door.greeting
        super().reply(verb, data)

    def one(self, line: bytes):
        self.server.log_times.append(time.monotonic())
        if self.secure:
            self.server.inside.append((self.number, line))
        super().one(line)

    def handshake(self):
        door = self.door
        if door.stall:
            self.stalled()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*door.certificate)
        context.minimum_version = door.oldest or ssl.TLSVersion.TLSv1_2
        if (door.newest or ssl.TLSVersion.TLSv1_3) < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ALL:@SECLEVEL=0")
        if door.newest:
            context.maximum_version = door.newest
        if door.client_ca:
            context.load_verify_locations(door.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
        try:
            self.sock = context.wrap_socket(self.sock, server_side=True, suppress_ragged_eofs=True)
            if door.client_ca:
                self.server.shown.append(self.sock.getpeercert(True))
        except (OSError, ValueError):
            raise Gone from None
        self.secure = True
        self.input = b""

    def stalled(self):
        """Takes what comes and says nothing, or an octet now and then, until the client has had enough."""
        self.sock.settimeout(0.2)
        while not self.server.closing:
            try:
                if not self.sock.recv(4096):
                    break
            except TimeoutError:
                pass
            except OSError:
                break
            if self.door.stall == "drip":
                try:
                    self.sock.sendall(b"\x16")
                except OSError:
                    break
        raise Gone

    def do_stls(self, rest):
        door = self.door
        if door.tls != "stls" or self.secure or not door.stls_reply.startswith(b"+OK"):
            return self.reply("STLS", door.stls_reply if door.tls == "stls" else b"-ERR unknown\r\n")
        self.reply("STLS", door.stls_reply + door.stls_extra)
        self.handshake()

    def do_capa(self, rest):
        if self.f.capa != "yes":
            return super().do_capa(rest)
        door = self.door
        words = list(door.words)
        if door.tls == "stls" and not self.secure:
            words = list(door.clear_words) + ([b"STLS"] if door.offer_stls else [])
        self.reply("CAPA", b"+OK\r\n" + b"".join(w + CRLF for w in words) + b".\r\n")

    def do_apop(self, rest):
        self.login = True
        self.do_pass(rest)

    def do_auth(self, rest):
        name, _, first = rest.partition(b" ")
        script = self.door.auth.get(name.upper().decode("latin-1"))
        if script is None:
            return self.reply("AUTH", b"-ERR unknown mechanism\r\n")
        line: Optional[bytes] = None
        if first:
            line = b"" if first == b"=" else decoded(first)
            self.server.answers.append(line)
        for step in script:
            if callable(step) and line is None and getattr(step, "waits", True):
                self.put(b"+ \r\n")
                line = self.answer()
            said = step(line) if callable(step) else step
            if said.startswith(b"+OK"):
                self.login = True
                return self.open_drop(said)
            self.put(said)
            if not said.startswith(b"+"):
                return None
            line = self.answer()
        while self.door.auth_more is not None:
            self.put(self.door.auth_more)
            self.answer()
        return self.put(b"-ERR no\r\n")

    def open_drop(self, said: bytes):
        """The maildrop as PASS opens it."""
        kept = self.reply
        self.reply = lambda verb, data: kept("AUTH", said)
        try:
            self.do_pass(b"")
        finally:
            self.reply = kept

    def answer(self) -> bytes:
        line = self.line()
        self.server.log.append((self.number, b"(answer) " + line))
        self.server.waits.append(0)
        self.server.answers.append(line if line == b"*" else decoded(line))
        if line == b"*":
            self.put(b"-ERR cancelled\r\n")
            self.one_more()
        return self.server.answers[-1]

    def one_more(self):
        while True:
            self.one(self.line())


def decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b"(not base64) " + text


def challenge(data: bytes) -> bytes:
    return b"+ " + base64.b64encode(data) + CRLF


def whole(out: bytes) -> bool:
    """The client decided by itself: its fetcher neither crashed nor was ended for a system call."""
    return b"must not make" not in out and b"ended unexpectedly" not in out
