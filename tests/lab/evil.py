"""A POP3 server for clients that breaks on demand: at an octet, at a command, in its listings, in its messages.

Its maildrop outlives connections; deletions take effect with QUIT alone. What goes wrong is one Fault, for the
sessions that it names; every command that came in is in the log. Does not know: who calls, and how.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

CRLF = b"\r\n"
ENDLESS = 1 << 40
CHUNK = 64 * 1024


class Gone(Exception):
    """The session is over."""


@dataclass
class Fault:
    """What goes wrong. Nothing by default."""

    sessions: Optional[set] = None          # sessions that it holds for, from 0; None = all
    cut: Optional[int] = None               # the connection ends after so many octets of output …
    rst: bool = False                       # … by a reset
    commit_late: bool = False               # deletions take effect only when QUIT's reply is out
    lost_quit: str = ""                     # "commit", "forget": no reply to QUIT; "err": -ERR, nothing deleted
    drop_before: Optional[int] = None       # command n (from 1) ends the connection, unanswered
    silent_after: Optional[int] = None      # after n commands no octet comes any more
    retr_err: dict = field(default_factory=dict)    # number: "always" or "once"
    dele_err: bool = False
    half_once: bool = False                 # the first listing shows every other message
    empty_once: bool = False                # the first listing shows none
    rename: Optional[Callable] = None       # uid -> uid
    size: Optional[Callable] = None         # (number, octets) -> what LIST says
    says: dict = field(default_factory=dict)        # verb: octets instead of the reply ("" = the greeting)
    extra: dict = field(default_factory=dict)       # verb: octets after the reply
    endless: dict = field(default_factory=dict)     # verb: (first octets, octets over and over)
    raw: dict = field(default_factory=dict)         # number: octets after RETR's status line, instead of the body
    retr_status: bytes = b"+OK"
    uidl: bool = True
    top: bool = True
    capa: str = "yes"                       # "no": -ERR, "drop": the connection ends
    pipelining: bool = True
    late_capa: bool = False                 # PIPELINING and UIDL stand in CAPA only after the login
    gmail: int = 0                          # shows the n oldest; what was fetched is hidden after QUIT
    drip: float = 0                         # seconds per octet
    double: bool = False                    # each reply twice
    stuff: bool = True


class Evil:
    """with Evil([(uid, octets), ...]) as server: … server.port"""

    def __init__(self, messages, fault: Optional[Fault] = None):
        self.messages = list(messages)
        self.fault = fault or Fault()
        self.hidden: set = set()
        self.log: list = []                 # (session, line)
        self.sent: list = []                # octets per session
        self.waits: list = []               # commands that lay in the buffer when a reply went out
        self.lock = threading.Lock()
        self.spent: set = set()
        self.threads: list = []
        self.connections: list = []
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.closing = False

    def __enter__(self):
        self.threads.append(threading.Thread(target=self._accept, daemon=True))
        self.threads[0].start()
        return self

    def __exit__(self, *why):
        self.closing = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for c in self.connections:
            c.shut()
        for t in self.threads:
            t.join(5)

    def _accept(self):
        while not self.closing:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            number = len(self.sent)
            self.sent.append(0)
            c = Connection(self, sock, number)
            self.connections.append(c)
            t = threading.Thread(target=c.serve, daemon=True)
            self.threads.append(t)
            t.start()

    def heal(self):
        """From now on nothing goes wrong."""
        self.fault = Fault()

    def settle(self, seconds=5):
        """Waits until all sessions are over."""
        for t in self.threads[1:]:
            t.join(seconds)

    def commands(self, session=None):
        return [line for s, line in self.log if session is None or s == session]

    def verbs(self, session=None):
        return [line.split(b" ")[0].upper().decode("latin-1") for line in self.commands(session)]

    def uids(self):
        return [uid for uid, _ in self.messages]

    def once(self, what) -> bool:
        with self.lock:
            first = what not in self.spent
            self.spent.add(what)
            return first


def wire(data: bytes, stuff=True) -> bytes:
    """A message as a server sends it, with its terminator."""
    if stuff:
        data = re.sub(rb"(\A|\r\n)\.", rb"\1..", data)
    if data and not data.endswith(CRLF):
        data += CRLF
    return data + b".\r\n"


class Connection:
    def __init__(self, server: Evil, sock: socket.socket, number: int):
        self.server, self.sock, self.number = server, sock, number
        fault = server.fault
        self.f = fault if fault.sessions is None or number in fault.sessions else Fault()
        self.input = b""
        self.user = False
        self.login = False
        self.drop: list = []
        self.marked: set = set()
        self.read: set = set()
        self.count = 0

    def shut(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def end(self, rst=False):
        if rst:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def put(self, data: bytes):
        f = self.f
        left = None if f.cut is None else f.cut - self.server.sent[self.number]
        if left is not None and left <= len(data):
            data = data[:max(left, 0)]
        try:
            if f.drip:
                for i in range(len(data)):
                    self.sock.sendall(data[i : i + 1])
                    time.sleep(f.drip)
                    if self.server.closing:
                        raise Gone
            else:
                self.sock.sendall(data)
        except OSError:
            raise Gone from None
        self.server.sent[self.number] += len(data)
        if left is not None and len(data) >= left:
            self.end(f.rst)

    def line(self) -> bytes:
        while b"\n" not in self.input:
            try:
                got = self.sock.recv(CHUNK)
            except OSError:
                raise Gone from None
            if not got:
                raise Gone
            self.input += got
        line, self.input = self.input.split(b"\n", 1)
        return line.rstrip(b"\r")

    def serve(self):
        try:
            self.reply("", b"+OK lab ready\r\n")
            while True:
                self.one(self.line())
        except Gone:
            pass
        finally:
            try:
                self.sock.close()
            except OSError:
                pass

    def one(self, line: bytes):
        self.server.log.append((self.number, line))
        self.server.waits.append(self.input.count(b"\n"))
        self.count += 1
        if self.f.drop_before == self.count:
            self.end(self.f.rst)
        if self.f.silent_after is not None and self.count > self.f.silent_after:
            while True:
                self.line()
        verb, _, rest = line.partition(b" ")
        verb = verb.upper().decode("latin-1")
        do = getattr(self, "do_" + verb.lower(), None)
        if do and verb.isalpha():
            do(rest)
        else:
            self.reply(verb, b"-ERR unknown\r\n")

    def reply(self, verb: str, data: bytes):
        f = self.f
        if verb in f.endless:
            first, again = f.endless[verb]
            self.put(first)
            big = again * (CHUNK // len(again) + 1)
            while True:
                self.put(big)
        data = f.says.get(verb, data)
        self.put(data + (data if f.double else b"") + f.extra.get(verb, b""))

    # --- login -----------------------------------------------------------------------------------

    def do_capa(self, rest):
        f = self.f
        if f.capa == "drop":
            self.end()
        if f.capa == "no":
            return self.reply("CAPA", b"-ERR what\r\n")
        words = [b"USER", b"RESP-CODES"] + ([b"TOP"] if f.top else [])
        if self.login or not f.late_capa:
            words += ([b"UIDL"] if f.uidl else []) + ([b"PIPELINING"] if f.pipelining else [])
        self.reply("CAPA", b"+OK\r\n" + b"".join(w + CRLF for w in words) + b".\r\n")

    def do_user(self, rest):
        self.reply("USER", b"+OK\r\n")

    def do_pass(self, rest):
        f, server = self.f, self.server
        if f.says.get("PASS", b"+OK").startswith(b"+OK"):
            self.login = True
        with server.lock:
            drop = [m for m in server.messages if m[0] not in server.hidden]
        if f.gmail:
            drop = drop[: f.gmail]
        if f.half_once and server.once("half"):
            drop = drop[::2]
        if f.empty_once and server.once("empty"):
            drop = []
        self.drop = drop
        self.reply("PASS", b"+OK\r\n")

    # --- listings --------------------------------------------------------------------------------

    def shown(self):
        return [(n, m) for n, m in enumerate(self.drop, 1) if n not in self.marked]

    def said_size(self, n, data):
        return self.f.size(n, len(data)) if self.f.size else str(len(data)).encode()

    def do_stat(self, rest):
        shown = self.shown()
        self.reply("STAT", b"+OK %d %d\r\n" % (len(shown), sum(len(m[1]) for _, m in shown)))

    def do_list(self, rest):
        if rest:
            n = int(rest)
            return self.reply("LIST", b"+OK %d %s\r\n" % (n, self.said_size(n, self.drop[n - 1][1])))
        rows = b"".join(b"%d %s\r\n" % (n, self.said_size(n, m[1])) for n, m in self.shown())
        self.reply("LIST", b"+OK\r\n" + rows + b".\r\n")

    def do_uidl(self, rest):
        if not self.f.uidl:
            return self.reply("UIDL", b"-ERR unknown\r\n")
        name = self.f.rename or (lambda uid: uid)
        if rest:
            n = int(rest)
            return self.reply("UIDL", b"+OK %d %s\r\n" % (n, name(self.drop[n - 1][0])))
        rows = b"".join(b"%d %s\r\n" % (n, name(m[0])) for n, m in self.shown())
        self.reply("UIDL", b"+OK\r\n" + rows + b".\r\n")

    # --- messages --------------------------------------------------------------------------------

    def number_of(self, rest) -> int:
        n = int(rest) if rest.isdigit() else 0
        return n if 1 <= n <= len(self.drop) and n not in self.marked else 0

    def do_retr(self, rest):
        n, f = self.number_of(rest), self.f
        if not n:
            return self.reply("-", b"-ERR no such message\r\n")
        how = f.retr_err.get(n)
        if how == "always" or how == "once" and self.server.once(("retr", self.drop[n - 1][0])):
            return self.reply("-", b"-ERR cannot read it\r\n")
        self.read.add(n)
        if n in f.raw:
            return self.reply("RETR", f.retr_status + CRLF + f.raw[n])
        self.reply("RETR", f.retr_status + CRLF + wire(self.drop[n - 1][1], f.stuff))

    def do_top(self, rest):
        first, _, lines = rest.partition(b" ")
        n = self.number_of(first)
        if not n or not self.f.top:
            return self.reply("TOP", b"-ERR no\r\n")
        head, _, body = self.drop[n - 1][1].partition(b"\r\n\r\n")
        rows = body.split(CRLF)[: int(lines or b"0")]
        self.reply("TOP", b"+OK\r\n" + wire(head + b"\r\n\r\n" + b"".join(r + CRLF for r in rows)))

    def do_dele(self, rest):
        n = self.number_of(rest)
        if not n or self.f.dele_err:
            return self.reply("DELE", b"-ERR no\r\n")
        self.marked.add(n)
        self.reply("DELE", b"+OK\r\n")

    def do_noop(self, rest):
        self.reply("NOOP", b"+OK\r\n")

    def do_rset(self, rest):
        self.marked.clear()
        self.reply("RSET", b"+OK\r\n")

    def commit(self):
        gone = {id(self.drop[n - 1]) for n in self.marked}
        with self.server.lock:
            self.server.messages = [m for m in self.server.messages if id(m) not in gone]
            if self.f.gmail:
                self.server.hidden |= {self.drop[n - 1][0] for n in self.read}

    def do_quit(self, rest):
        f = self.f
        if f.lost_quit == "err":
            self.reply("QUIT", b"-ERR some deleted messages not removed\r\n")
            raise Gone
        if f.lost_quit:
            if f.lost_quit == "commit":
                self.commit()
            self.end(f.rst)
        if not f.commit_late:
            self.commit()
        self.reply("QUIT", b"+OK bye\r\n")
        if f.commit_late:
            self.commit()
        raise Gone
