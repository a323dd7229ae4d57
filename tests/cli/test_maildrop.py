"""restantectl maildrop: what a client would see, without changing anything."""

import fcntl
import os
import struct
import subprocess

import pytest
import wiremodel
from ctl import EX_NOINPUT, EX_NOUSER, own

F_OFD_SETLK = 37


@pytest.fixture
def bob(site):
    site.add("bob")
    for name in ("F01", "F05", "F10", "F13"):
        site.ok("deliver", "bob", data=wiremodel.MESSAGES[name])
    return site


def snapshot(site):
    root = site.mail / "bob"
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if "restante-" not in p.name)


def test_list(bob):
    rows = bob.json("maildrop", "list", "bob")
    assert [r["number"] for r in rows] == [1, 2, 3, 4]
    assert [r["octets"] for r in rows] == [60, 35, 30, 21]
    assert rows[0]["from"] == "a@example.org" and rows[0]["subject"] == "plain"
    assert len({r["uidl"] for r in rows}) == 4
    lines = bob.ok("maildrop", "list", "bob").decode().splitlines()
    assert lines[0].split() == ["N", "OCTETS", "DATE", "FROM", "SUBJECT", "UIDL"]
    assert lines[1].split()[:2] == ["1", "60"]


def test_nothing_changes(bob):
    before = snapshot(bob)
    bob.ok("maildrop", "list", "bob")
    bob.ok("maildrop", "show", "bob", "1")
    assert snapshot(bob) == before


def test_show_is_exact(bob):
    rows = bob.json("maildrop", "list", "bob")
    for row, name in zip(rows, ("F01", "F05", "F10", "F13")):
        message = wiremodel.MESSAGES[name]
        assert bob.ok("maildrop", "show", "bob", str(row["number"])) == message
        assert bob.ok("maildrop", "show", "bob", row["uidl"]) == message
        wire = bob.ok("maildrop", "show", "bob", row["uidl"], "--crlf")
        assert wire == wiremodel.plain(message) and len(wire) == row["octets"]


@pytest.mark.parametrize("name", sorted(wiremodel.MESSAGES))
def test_wire_form_of_every_fixture(site, name):
    site.add("bob")
    message = wiremodel.MESSAGES[name]
    site.ok("deliver", "bob", data=message)
    assert site.ok("maildrop", "show", "bob", "1", "--crlf") == wiremodel.plain(message)
    assert site.ok("maildrop", "show", "bob", "1") == message


def test_line_ends_at_every_buffer_edge(site):
    site.add("bob")
    message = b"".join(b"x" * (32766 - i % 3) + b"\r\n" + b"y\n\r" for i in range(6))
    site.ok("deliver", "bob", data=message)
    assert site.ok("maildrop", "show", "bob", "1", "--crlf") == wiremodel.plain(message)


def test_terminals_are_safe(site):
    site.add("bob")
    site.ok("deliver", "bob", data=b"From: \x1b]0;owned\x07 x\nSubject: \x9b31m a\tb \xe2\x80\xae c\n\n")
    text = site.ok("maildrop", "list", "bob").decode()
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e", "\t"}
    row = site.json("maildrop", "list", "bob")[0]
    assert row["from"] == "\x1b]0;owned\x07 x"


def test_encoded_words(site):
    site.add("bob")
    site.ok("deliver", "bob", data=(
        b"From: =?utf-8?Q?J=C3=B6rg?= <j@example.org>\n"
        b"Subject: =?UTF-8?B?R3LDvMOfZQ==?=\n =?iso-8859-1?q?_aus_K=F6ln?= and =?x-foo?q?=41?=\n\n"))
    row = site.json("maildrop", "list", "bob")[0]
    assert row["from"] == "J\u00f6rg <j@example.org>"
    assert row["subject"] == "Gr\u00fc\u00dfe aus K\u00f6ln and =?x-foo?q?=41?="


def test_refused(bob):
    bob.add("carol")
    assert "no maildrop yet" in bob.fails(EX_NOINPUT, "maildrop", "list", "carol")
    assert not (bob.mail / "carol").exists()
    bob.fails(EX_NOUSER, "maildrop", "list", "dave")
    for which in ("0", "5", "99999999999999999999", "x", "1x", "-", ""):
        assert "no message" in bob.fails(EX_NOINPUT, "maildrop", "show", "bob", which)


def test_empty(bob):
    for path in bob.files("bob"):
        os.unlink(path)
    assert bob.json("maildrop", "list", "bob") == []


def lock(bob):
    """The session lock of the store, as another process would hold it."""
    path = bob.mail / "bob" / "restante-lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    own(path)
    return fd


def setlk(fd, kind):
    fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 1, 0))


def test_looks_beside_a_session(bob):
    """A look takes no lock: it neither waits for a session nor keeps one out, and changes no message."""
    before = sorted(p.name for p in (bob.mail / "bob" / "new").iterdir())
    fd = lock(bob)
    setlk(fd, fcntl.F_WRLCK)
    assert len(bob.json("maildrop", "list", "bob")) == 4
    bob.ok("maildrop", "show", "bob", "1")
    os.close(fd)
    assert sorted(p.name for p in (bob.mail / "bob" / "new").iterdir()) == before


def test_show_does_not_hold_the_lock(bob):
    bob.ok("deliver", "bob", data=b"x" * 1_000_000)
    fd = lock(bob)
    proc = subprocess.Popen([bob.tool, "maildrop", "show", "bob", "5"], stdout=subprocess.PIPE,
                            env={"RESTANTE_CONF": str(bob.conf)})
    assert proc.stdout.read(1) == b"x"
    setlk(fd, fcntl.F_WRLCK)
    assert len(proc.stdout.read()) == 999_999
    assert proc.wait() == 0
    os.close(fd)
