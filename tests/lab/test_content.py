"""Octets: whatever a message is made of is stored as it came, and ends only at CRLF . CRLF."""

from __future__ import annotations

import random

import pytest
from evil import Evil, Fault
from lab import Client, as_stored, ledger, stored

HEAD = b"Subject: s\r\n\r\n"
BODIES = {
    "empty": b"",
    "only CRLF": b"\r\n",
    "no header": b"hello\r\n",
    "header alone": b"Subject: s\r\n",
    "LF.LF": HEAD + b"x\n.\nDELE 1\r\nQUIT\r\ny\r\n",
    "LF.CRLF": HEAD + b"x\n.\r\ny\r\n",
    "CRLF.LF": HEAD + b"x\r\n.\ny\r\n",
    "CR.CR": HEAD + b"x\r.\ry\r\n",
    "CR CRLF": HEAD + b"x\r\r\ny\r\n",
    "dots": HEAD + b".\r\n..\r\n...\r\n.x\r\n",
    "NUL": HEAD + b"a\0b\r\n\0\r\n",
    "8-bit": HEAD + bytes(range(128, 256)) + b"\r\n",
    "From": b"From x\r\n" + HEAD + b"From y\r\n",
    "lines of 998": HEAD + (b"z" * 998 + b"\r\n") * 3,
    "64 k line": HEAD + b"k" * 65536 + b"\r\n",
    "2 MB line": HEAD + b"m" * 2_000_000 + b"\r\n",
    "long header": b"X-Long: " + b"h" * 1_000_000 + b"\r\n\r\nb\r\n",
    "no last line end": HEAD + b"end",
    "bare CR at the end": HEAD + b"end\r",
}


@pytest.mark.proves("R1939-RETR-11", "R1939-GEN-13")
@pytest.mark.parametrize("pipelining", [True, False])
def test_every_content_at_once(tmp_path, pipelining):
    messages = [(b"u%d" % i, data) for i, data in enumerate(BODIES.values())]
    with Evil(messages, Fault(pipelining=pipelining)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none")
        assert code == 0, out
        ledger(client, server, messages, "none")
        assert set(server.verbs()) <= {"CAPA", "USER", "PASS", "STAT", "LIST", "UIDL", "RETR", "DELE", "QUIT", "NOOP"}


@pytest.mark.proves("R1939-RETR-11")
@pytest.mark.parametrize("name", BODIES)
def test_content_between_two_others(tmp_path, name):
    messages = [(b"a", HEAD + b"before\r\n"), (b"b", BODIES[name]), (b"c", HEAD + b"after\r\n")]
    with Evil(messages) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none")
        assert code == 0, out
        ledger(client, server, messages, "none")


@pytest.mark.proves("R1939-RETR-11")
def test_random_octets(tmp_path):
    rng = random.Random(5)
    pieces = [b"\r\n", b"\r", b"\n", b".", b"..", b"\0", b"x", b"\r\n.\n", b"\n.\r\n", b"\r\n.\r", bytes(range(256))]
    messages = [(b"r%d" % i, b"".join(rng.choices(pieces, k=rng.randint(1, 300))) + b"\r\n") for i in range(60)]
    with Evil(messages) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", timeout=50)
        assert code == 0, out
        ledger(client, server, messages, "none")


@pytest.mark.proves("R1939-RETR-11")
def test_octet_by_octet(tmp_path):
    """Whatever the packets are: one octet in each."""
    messages = [(b"d%d" % i, BODIES[k]) for i, k in enumerate(("LF.LF", "dots", "CR.CR", "CRLF.LF"))]
    with Evil(messages, Fault(drip=0.002)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none")
        assert code == 0, out
        ledger(client, server, messages, "none")


def test_server_that_does_not_stuff(tmp_path):
    """The dot that it forgot is taken for stuffing (R1939-GEN-12); nothing else is lost."""
    data = HEAD + b".x\r\n.hidden file\r\nend\r\n"
    with Evil([(b"a", data)], Fault(stuff=False)) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "none")[0] == 0
        assert stored(client.maildir) == [as_stored(data.replace(b"\r\n.", b"\r\n"))]
