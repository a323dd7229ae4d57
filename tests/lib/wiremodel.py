"""What a stored message looks like on the wire: an independent model, written from the rules.

A line ends at LF; one CR right before that LF belongs to the line end; a last piece without LF is a
line if it is not empty. Every line goes out with CRLF; a line that starts with a dot gets one more.
The size of a message is the octets of its lines with CRLF, without the added dots.
"""

from __future__ import annotations

CRLF = b"\r\n"


def lines(stored: bytes) -> list[bytes]:
    """The lines of a stored message without their ends."""
    if not stored:
        return []
    pieces = stored.split(b"\n")
    last = pieces.pop()
    out = [p[:-1] if p.endswith(b"\r") else p for p in pieces]
    if last:
        out.append(last)
    return out


def join(parts: list[bytes]) -> bytes:
    return b"".join(p + CRLF for p in parts)


def plain(stored: bytes) -> bytes:
    """The message after un-stuffing, every line with CRLF."""
    return join(lines(stored))


def stuff(parts: list[bytes]) -> bytes:
    return b"".join((b"." if p.startswith(b".") else b"") + p + CRLF for p in parts)


def wire(stored: bytes) -> bytes:
    """The octets between the status line and the terminator line."""
    return stuff(lines(stored))


def size(stored: bytes) -> int:
    return len(plain(stored))


def top_lines(stored: bytes, count: int) -> list[bytes]:
    """Header, blank line and the first count lines of the body; all of it when there is no blank line."""
    every = lines(stored)
    try:
        blank = every.index(b"")
    except ValueError:
        return every
    return every[: blank + 1 + count]


def top(stored: bytes, count: int) -> bytes:
    return stuff(top_lines(stored, count))


def unstuff(raw: bytes) -> bytes:
    """Takes the dots away again; raw is what stood between status line and terminator."""
    assert raw == b"" or raw.endswith(CRLF)
    out = []
    for line in raw.split(CRLF)[:-1]:
        if line.startswith(b"."):
            assert len(line) > 1, "a terminator inside the body"
            line = line[1:]
        out.append(line)
    return join(out)


# The messages of appendix X1 with the figures computed there: stored, size, wire, TOP 0, TOP 1 octets.
MESSAGES: dict[str, bytes] = {
    "F01": b"From: a@example.org\nSubject: plain\n\nline1\nline2\nline3\n",
    "F02": b"Subject: dots\n\n.\n..\n.a\na.\n.\n",
    "F03": b".dotfirst: x\nSubject: y\n\nb\n",
    "F04": b".\nSubject: y\n\nb\n",
    "F05": b"Subject: no final newline\n\nlast",
    "F06": b"Subject: header only\n",
    "F07": b"Subject: header only, no newline",
    "F08": b"",
    "F09": b"\nbody only\n",
    "F10": b"Subject: crlf stored\r\n\r\nbody\r\n",
    "F11": b"Subject: mixed\r\n\nA\r\nB\nC",
    "F12": b"Subject: bare cr\n\na\rb\nc\r\r\nd\r",
    "F13": b"Subject: nul\n\nx\x00y\n",
    "F14": b"Subject: 8bit\n\n\xff\xfe\x80caf\xc3\xa9\n",
    "F15": b"Subject: long\n\n" + b"x" * 100000 + b"\n." + b"y" * 5000 + b"\n",
    "F16": b"Subject: empty body\n\n",
    "F17": b"Subject: only newlines\n\n\n\n\n",
    "F18": b"Subject: dot last no nl\n\n.",
    "F19": ("Subject: utf8 café\nFrom: Jörg <jörg@exämple.org>\n\nhi\n").encode(),
    "F20": b"\r\n\r\n",
    "F21": b".",
    "F22": b"\n",
    "F23": b"Subject: lf-dot-lf\n\na\n.\nb\r\n.\r\nc\n",
}

FIGURES: dict[str, tuple[int, int, int, int, int]] = {
    "F01": (54, 60, 60, 39, 46),
    "F02": (28, 35, 39, 17, 21),
    "F03": (27, 31, 32, 29, 32),
    "F04": (16, 20, 21, 18, 21),
    "F05": (31, 35, 35, 29, 35),
    "F06": (21, 22, 22, 22, 22),
    "F07": (32, 34, 34, 34, 34),
    "F08": (0, 0, 0, 0, 0),
    "F09": (11, 13, 13, 2, 13),
    "F10": (30, 30, 30, 24, 30),
    "F11": (23, 27, 27, 18, 21),
    "F12": (28, 33, 33, 20, 25),
    "F13": (18, 21, 21, 16, 21),
    "F14": (24, 27, 27, 17, 27),
    "F15": (105018, 105022, 105023, 17, 100019),
    "F16": (21, 23, 23, 23, 23),
    "F17": (27, 32, 32, 26, 28),
    "F18": (26, 30, 31, 27, 31),
    "F19": (57, 61, 61, 57, 61),
    "F20": (4, 4, 4, 2, 4),
    "F21": (1, 3, 4, 4, 4),
    "F22": (1, 2, 2, 2, 2),
    "F23": (32, 37, 39, 22, 25),
}

# Fixture maildrop A: STAT is 3 118.
MAILDROP_A = [MESSAGES["F01"], MESSAGES["F02"], MESSAGES["F16"]]
A_STAT = b"+OK 3 118"


def stuff_lines(stored: bytes) -> list[bytes]:
    """The lines as they go out, without their ends."""
    return [(b"." if p.startswith(b".") else b"") + p for p in lines(stored)]
