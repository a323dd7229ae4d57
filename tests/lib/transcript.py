"""Transcripts (tests/transcripts/FORMAT.md): the parser, and a player for a live connection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import wiremodel
from wire import Closed, Wire, client_context

KEYS = {"ids", "mailbox", "start", "tls", "user", "conf", "apop", "after", "only", "fault"}
DOORS = {"none", "stls", "strict", "needs", "broken", "implicit", "any"}
SIMPLE = {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\", '"': b'"', "*": b"*"}


class Malformed(ValueError):
    pass


def unquote(text: str, where: str) -> bytes:
    """The octets of a quoted text without its quotes. text: latin-1."""
    out, i = b"", 0
    while i < len(text):
        c = text[i]
        if c != "\\":
            out += c.encode("latin-1")
            i += 1
            continue
        n = text[i + 1 : i + 2]
        if n in SIMPLE and n != "*":
            out += SIMPLE[n]
            i += 2
        elif n == "x":
            out += bytes([int(text[i + 2 : i + 4], 16)])
            i += 4
        elif n == "{":
            end = text.index("}", i)
            what, _, times = text[i + 2 : end].rpartition("*")
            out += unquote(what, where) * int(times)
            i = end + 1
        else:
            raise Malformed(f"{where}: unknown escape \\{n}")
    return out


def quoted(text: str, where: str) -> tuple[bytes, str]:
    """A quoted text at the front of text, and what follows it."""
    m = re.match(r'"((?:[^"\\]|\\.)*)"', text)
    if not m:
        raise Malformed(f"{where}: a quoted text is expected: {text!r}")
    return unquote(m[1], where), text[m.end() :]


def glob(text: str, where: str) -> re.Pattern[bytes]:
    out, i = b"", 0
    while i < len(text):
        if text[i] == "*":
            out += b".*"
            i += 1
        elif text[i] == "\\":
            n = text[i + 1 : i + 2]
            if n == "x":
                out += re.escape(bytes([int(text[i + 2 : i + 4], 16)]))
                i += 4
            elif n in SIMPLE:
                out += re.escape(SIMPLE[n])
                i += 2
            else:
                raise Malformed(f"{where}: unknown escape \\{n}")
        else:
            out += re.escape(text[i].encode("latin-1"))
            i += 1
    return re.compile(out, re.DOTALL)


@dataclass
class Step:
    kind: str  # C S line S" regex . ? ! ... = TLS CLOSE EOF
    line: int
    data: bytes = b""
    pattern: re.Pattern[bytes] | None = None
    text: str = ""


@dataclass
class Transcript:
    path: Path
    title: str = ""
    ids: list[str] = field(default_factory=list)
    mailbox: list[bytes] = field(default_factory=list)
    start: str = "GREETING"
    tls: str = "any"
    users: list[tuple[str, str, str]] = field(default_factory=list)  # name, password, flags
    conf: dict[str, str] = field(default_factory=dict)
    after: list[int] | None = None
    only: str = ""
    fault: str = ""
    steps: list[Step] = field(default_factory=list)

    def key(self) -> tuple:
        """Transcripts with the same key can use the same server."""
        return (tuple(sorted(self.conf.items())), tuple(sorted(self.users)), self.tls == "broken")

    def doors(self) -> list[str]:
        """Ways to run it against a live server; "inside" is TLS after STLS."""
        return ["stls", "implicit", "inside"] if self.tls == "any" else [self.tls]


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _mailbox(text: str, where: str) -> list[bytes]:
    text = text.strip()
    if text == "A":
        return list(wiremodel.MAILDROP_A)
    if text == "all":
        return [wiremodel.MESSAGES[k] for k in sorted(wiremodel.MESSAGES)]
    if text == "empty":
        return []
    out = []
    while text:
        if text.startswith('"'):
            data, text = quoted(text, where)
        else:
            name, _, text = text.partition(" ")
            data = wiremodel.MESSAGES[name]
        out.append(data)
        text = text.lstrip()
    return out


def parse(path: Path) -> Transcript:
    t = Transcript(path)
    rows = path.read_bytes().decode("latin-1").split("\n")
    if not rows[0].startswith("# "):
        raise Malformed(f"{path}:1: the first line must be the title")
    t.title = rows[0][2:]
    header = True
    seen_mailbox = False
    for number, row in enumerate(rows[1:], 2):
        where = f"{path}:{number}"
        if not row or row.startswith("#"):
            continue
        m = re.match(r"([a-z]+): ?(.*)$", row)
        if header and m and m[1] in KEYS:
            key, value = m[1], m[2].strip()
            if key == "ids":
                t.ids = [x.strip() for x in value.split(",") if x.strip()]
            elif key == "mailbox":
                t.mailbox, seen_mailbox = _mailbox(value, where), True
            elif key == "start":
                t.start = value
            elif key == "tls":
                if value not in DOORS:
                    raise Malformed(f"{where}: unknown door {value}")
                t.tls = value
            elif key == "user":
                name, _, rest = value.partition(" ")
                password, flags = quoted(rest.strip(), where)
                t.users.append((_text(name.encode("latin-1")), _text(password), flags.strip()))
            elif key == "conf":
                for name, value in re.findall(r'([a-z_0-9.]+)=("(?:[^"\\]|\\.)*"|\S*)', value):
                    if value.startswith('"'):
                        value = unquote(value[1:-1], where).decode("latin-1")
                    t.conf[name] = value
            elif key == "after":
                if value == "all":
                    t.after = list(range(1, 10000))
                elif value == "none":
                    t.after = []
                else:
                    t.after = [int(x) for x in value.split()]
            elif key in ("only", "fault"):
                setattr(t, key, value)
            continue
        header = False
        t.steps.append(_step(row, number, where))
    if not seen_mailbox:
        t.mailbox = list(wiremodel.MAILDROP_A)
    if not t.ids:
        raise Malformed(f"{path}: no ids")
    return t


def _step(row: str, number: int, where: str) -> Step:
    if row in ("TLS", "CLOSE", "EOF"):
        return Step(row, number)
    if row.startswith('C"'):
        data, rest = quoted(row[1:], where)
        if rest.strip():
            raise Malformed(f"{where}: something behind the quoted text")
        return Step("C", number, data)
    if row == "C:" or row.startswith("C: "):
        return Step("C", number, row[3:].encode("latin-1") + b"\r\n")
    if row.startswith("S: "):
        return Step("line", number, pattern=glob(row[3:], where), text=row[3:])
    if row.startswith('S"'):
        data, rest = quoted(row[1:], where)
        return Step('S"', number, data)
    if row.startswith("S~ "):
        return Step("line", number, pattern=re.compile(row[3:].encode("latin-1")), text=row[3:])
    if row == "S.":
        return Step("line", number, pattern=re.compile(rb"\."), text=".")
    if row.startswith("S? ") or row.startswith("S! "):
        return Step(row[1], number, pattern=glob(row[3:], where), text=row[3:])
    if row == "S...":
        return Step("...", number)
    if row.startswith("S= "):
        words = row[3:].split()
        stored = wiremodel.MESSAGES[words[0]]
        if len(words) == 1:
            return Step('S"', number, wiremodel.wire(stored))
        if len(words) == 3 and words[1] == "TOP":
            return Step('S"', number, wiremodel.top(stored, int(words[2])))
    raise Malformed(f"{where}: not a line of a transcript: {row!r}")


def _exact(w: Wire, count: int) -> bytes:
    while len(w.buf) < count:
        w._fill()
    got, w.buf = w.buf[:count], w.buf[count:]
    return got


def _line(w: Wire) -> bytes:
    while b"\n" not in w.buf:
        w._fill()
    line, _, w.buf = w.buf.partition(b"\n")
    assert line.endswith(b"\r"), f"a line ended by LF alone: {line!r}"
    return line[:-1]


def play(t: Transcript, w: Wire) -> None:
    """Runs the dialogue on a connection that stands at the transcript's start, greeting still unread for
    GREETING. Raises AssertionError with file and line."""
    rules: list[Step] = []
    pending: list[bytes] = []
    ended = closed = False

    def flush():
        if pending:
            w.send(b"".join(pending))
            pending.clear()

    step = None
    w.lang = True
    try:
        for step in t.steps:
            if step.kind == "C":
                pending.append(step.data)
                continue
            flush()
            if step.kind == "TLS":
                assert w.buf == b"", f"plaintext behind the reply to STLS: {w.buf!r}"
                w.start_tls(client_context())
            elif step.kind == "CLOSE":
                try:
                    w.fin()
                except OSError:
                    pass  # the server was faster
                closed = True
            elif step.kind == "EOF":
                got = w.eof(10)
                assert got == b"", f"octets before the end: {got[:300]!r}"
                ended = True
            elif step.kind == "line":
                got = _line(w)
                assert step.pattern.fullmatch(got), f"got {got!r}"
            elif step.kind == 'S"':
                want = step.data
                got = _exact(w, len(want))
                if got != want:
                    at = next(i for i, (a, b) in enumerate(zip(got, want)) if a != b)
                    raise AssertionError(f"octet {at}: got {got[at:at + 60]!r}, expected {want[at:at + 60]!r}")
            elif step.kind in "?!":
                rules.append(step)
            elif step.kind == "...":
                body = []
                while (line := _line(w)) != b".":
                    body.append(line)
                for rule in rules:
                    found = any(rule.pattern.fullmatch(x) for x in body)
                    assert found == (rule.kind == "?"), (
                        f"line {rule.line} S{rule.kind} {rule.text}: body was {body!r}"
                    )
                rules.clear()
        flush()
        step = None
        if ended:
            return
        if closed:
            w.eof(10)
            return
        w.in_step(False)
    except (AssertionError, Closed, OSError) as e:
        where = f"{t.path}:{step.line}" if step else f"{t.path}: at the end"
        shown = f": {step.text}" if step and step.text else ""
        raise AssertionError(f"{where}{shown}: {e}") from e
