"""What other servers were seen to do wrong (the list of defects, B and N), one test for each that no other
test names. Each says what happened there."""

from __future__ import annotations

import pytest
import wiremodel as wm


def filled(account, *names: str):
    return account([wm.MESSAGES[n] for n in names])


@pytest.mark.proves("B01", "R1939-GEN-11")
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_first_octet_is_a_dot(account, mode):
    """Two servers do not stuff the very first dot: the mail is cut, its rest is read as replies."""
    with filled(account, "F03", "F04", "F21", "F18").login(mode) as w:
        for n, raw in enumerate((b"..dotfirst: x\r\n", b"..\r\n", b"..\r\n", b"Subject"), 1):
            w.ok(f"RETR {n}")
            assert w.body().startswith(raw)
            w.ok(f"TOP {n} 0")
            assert w.body().startswith(raw)
        w.in_step()


@pytest.mark.proves("B02", "R1939-RETR-06")
def test_no_octets_at_all(account):
    """A message without an octet: listed as 0, but a CRLF is sent."""
    with filled(account, "F08").login() as w:
        assert w.stat() == (1, 0) and w.list() == {1: 0}
        for command in ("RETR 1", "TOP 1 0", "TOP 1 10"):
            w.ok(command)
            assert w.body() == b""
        w.in_step()


@pytest.mark.proves("B03", "R1939-SIZE-03")
def test_stored_crlf(account):
    """A stored CRLF goes out as CR CR LF, and is counted so."""
    with filled(account, "F10", "F11", "F23").login() as w:
        assert w.list() == {1: 30, 2: 27, 3: 37}
        for n in (1, 2, 3):
            w.ok(f"RETR {n}")
            assert b"\r\r\n" not in w.body()


@pytest.mark.proves("B04", "R1939-LIST-05")
def test_numbers_stay(account):
    """The listing counts anew after DELE."""
    with filled(account, "F01", "F02", "F16").login() as w:
        uids = w.uidl()
        w.ok("DELE 2")
        assert w.list() == {1: 60, 3: 23}
        assert w.uidl() == {1: uids[1], 3: uids[3]}


@pytest.mark.proves("B05", "R1939-TOP-07")
def test_empty_header(account):
    """TOP n 0 of a message that begins with a blank line sends its body."""
    with filled(account, "F09", "F22", "F20").login() as w:
        for n in (1, 2, 3):
            w.ok(f"TOP {n} 0")
            assert w.body() == b"\r\n"


@pytest.mark.proves("B07", "R1939-GEN-27", "R1939-TOP-04")
def test_numbers_do_not_wrap(account):
    """4294967297 is message 1, so is 1x; TOP 1 -1 is the whole message."""
    box = filled(account, "F01", "F02", "F16")
    with box.login() as w:
        for n in ("0", "-1", "+1", "0x1", "1x", "1.0", "1e0", "4294967297", "18446744073709551617", "9" * 40):
            for verb in ("RETR", "DELE", "LIST", "UIDL"):
                w.err(f"{verb} {n}")
            w.err(f"TOP {n} 0")
            w.in_step()
        for n in ("-1", "x", "0x1", "1 1", ""):
            w.err(f"TOP 1 {n}")
        assert w.stat() == (3, 118)
        assert w.retr(1) == wm.plain(wm.MESSAGES["F01"])
        assert w.ok("LIST 001") == b"+OK 1 60"
        w.ok("QUIT")
    assert len(box.drop) == 3


@pytest.mark.proves("B13", "R1939-STAT-02")
def test_stat_forgets_the_deleted(account):
    """STAT counts messages that are marked; sizes are those of files; each reply has a line too many."""
    with filled(account, "F01", "F02", "F16").login() as w:
        w.ok("DELE 2")
        assert w.stat() == (2, 83)
        w.ok("RETR 1")
        assert w.body() == wm.wire(wm.MESSAGES["F01"])


@pytest.mark.proves("B15", "R1939-RETR-03")
def test_nul_octets(account):
    """Text that went through C strings: a NUL cuts its line."""
    every = bytes(range(256)) * 3
    box = account([wm.MESSAGES["F13"], b"Subject: x\n\n" + every + b"\n", b"\0", b"\0\n\0"])
    with box.login() as w:
        for n, stored in enumerate(box.drop.contents(), 1):
            assert w.retr(n) == wm.plain(stored)


@pytest.mark.proves("N1", "R1939-SIZE-05", "R1939-LIST-06", "R1939-STAT-04")
def test_final_crlf_is_counted(account):
    """The CRLF that ends a message without a final newline is sent, but not counted."""
    names = ("F05", "F07", "F12", "F18", "F21")
    box = filled(account, *names)
    with box.login() as w:
        sizes = w.list()
        assert sizes == {n: wm.FIGURES[name][1] for n, name in enumerate(names, 1)}
        assert w.stat() == (5, sum(sizes.values()))
        for n in sizes:
            assert len(w.retr(n)) == sizes[n]
