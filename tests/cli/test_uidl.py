"""restantectl uidl import: a move from another server that clients do not notice."""

import fcntl
import os
import struct

import pytest
import wiremodel
from ctl import EX_DATAERR, EX_NOINPUT, EX_NOUSER, EX_TEMPFAIL, own


@pytest.fixture
def bob(site):
    site.add("bob")
    for name in ("F01", "F05", "F10"):
        site.ok("deliver", "bob", data=wiremodel.MESSAGES[name])
    return site


def uidls(site):
    return [r["uidl"] for r in site.json("maildrop", "list", "bob")]


def in_order(site):
    by_uid = {p.name.split(",")[0]: p.name for p in site.files("bob")}
    return [by_uid[u] for u in uidls(site)]


@pytest.mark.proves("R1939-UIDL-08")
def test_import(bob):
    names, before = in_order(bob), uidls(bob)
    text = f"# from the old server\n\n{names[0]}:2,S UID1-7\r\n{names[2].split(',')[0]} 0000001f4a\n"
    path = bob.base / "map"
    path.write_bytes(text.encode())
    path.chmod(0o600)
    said = bob.ok("uidl", "import", "bob", str(path))
    assert said == b"2 UIDLs imported; 2 of 3 messages have one of them\n"
    assert uidls(bob) == ["UID1-7", before[1], "0000001f4a"]
    assert bob.ok("maildrop", "show", "bob", "UID1-7") == wiremodel.MESSAGES["F01"]
    for folder in ("restante-index",):
        (bob.mail / "bob" / folder).unlink(missing_ok=True)
    assert uidls(bob) == ["UID1-7", before[1], "0000001f4a"]
    bob.ok("uidl", "import", "bob", "-", data=f"{names[1]} third\n{names[0]} newer\n".encode())
    assert uidls(bob) == ["newer", "third", "0000001f4a"]


def test_strangers_are_counted(bob):
    said = bob.ok("uidl", "import", "bob", "-", data=b"1.gone.host x1\n")
    assert said == b"1 UIDLs imported; 0 of 3 messages have one of them\n"


def test_faults(bob):
    before = uidls(bob)
    text = bob.fails(EX_DATAERR, "uidl", "import", "bob", "-", data=(
        b"noblank\n../x u1\n.hidden u2\na/b u3\nm1 \xff\nm2 " + b"u" * 71 + b"\nm3 same\nm4 same\n"
        b"m5,S=1 u5\nm5:2,S u6\nm6 \n"))
    for line, what in ((1, "no blank"), (2, "no name"), (3, "no name"), (4, "no name"), (5, "no UIDL"),
                       (6, "no UIDL"), (8, "same UIDL"), (11, "no UIDL")):
        assert any(row.startswith(f"restantectl: -:{line}: ") and what in row
                   for row in text.splitlines()), (line, what, text)
    assert "same message" in text
    assert uidls(bob) == before and not (bob.mail / "bob" / "restante-uidl").exists()
    bob.fails(EX_NOINPUT, "uidl", "import", "bob", "/nonexistent/map")
    bob.fails(EX_NOUSER, "uidl", "import", "carol", "-")


def test_many_faults_are_counted(bob):
    text = bob.fails(EX_DATAERR, "uidl", "import", "bob", "-", data=b"x\n" * 500)
    assert len(text.splitlines()) == 21 and "500 faults in all" in text


def test_waits_for_sessions(bob):
    uidls(bob)
    path = bob.mail / "bob" / "restante-lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    own(path)
    fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))  # F_OFD_SETLK
    bob.fails(EX_TEMPFAIL, "uidl", "import", "bob", "-", data=b"m1 u1\n")
    os.close(fd)
