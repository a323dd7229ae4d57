"""What an administrator may decide: LOGIN-DELAY, EXPIRE, UTF8 and surrogates, languages, quirks, limits."""

from __future__ import annotations

import re
import time

import pytest
import server as srv
import wiremodel as wm
from wire import check_status

A = wm.MAILDROP_A
DAY = 86400


# --- CAPA ------------------------------------------------------------------------------------------------


@pytest.mark.proves(
    "R2449-CAPA-01", "R2449-CAPA-02", "R2449-CAPA-03", "R2449-CAPA-04", "R2449-CAPA-10", "R2449-TAG-01", "R2449-TAG-02",
    "R2449-TAG-04", "R1957-03", "R3206-05", "R2449-EXP-05", "R2449-GRAM-02", "R2449-EXP-01", "R6856-01",
    "R6856-LANG-01", "C15", "C25", "C26", "B11", "R5034-28",
)
@pytest.mark.parametrize("mode", ("plain", "strict", "stls", "tls"))
def test_capa(drop_a, mode):
    registered = {"TOP", "USER", "SASL", "RESP-CODES", "LOGIN-DELAY", "PIPELINING", "EXPIRE", "UIDL", "IMPLEMENTATION",
                  "STLS", "AUTH-RESP-CODE", "UTF8", "LANG"}
    with drop_a.server.open(mode) as w:
        before = w.capa()
        assert set(before) <= registered
        assert {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "LANG"} <= set(before)
        assert before["UTF8"] == ["USER"]
        assert before.get("EXPIRE", ["NEVER"]) == ["NEVER"] and "LOGIN-DELAY" not in before
        assert ("STLS" in before) == (mode in ("plain", "strict"))
        assert ("USER" in before) == (mode != "strict")
        w.err("CAPA x")
        if mode == "strict":
            return
        w.login(drop_a.name, drop_a.password)
        after = w.capa()
        assert set(before) - {"STLS"} == set(after)
        assert after["IMPLEMENTATION"] == ["Restante"]
        assert after["SASL"] == before["SASL"]
        w.in_step()


@pytest.mark.proves("R2449-IMPL-01")
def test_implementation(own_server):
    s = own_server(conf={"implementation": "Restante POP3 server"})
    s.start()
    with s.wire() as w:
        assert w.capa()["IMPLEMENTATION"] == ["Restante", "POP3", "server"]
    s.conf["implementation"] = ""
    s.reload()
    with s.wire() as w:
        assert "IMPLEMENTATION" not in w.capa()


@pytest.mark.proves("R2449-GRAM-03", "C29")
def test_greeting_text(own_server):
    s = own_server(conf={"greeting": "Guten Tag, poste restante"})
    s.start()
    with s.wire() as w:
        assert w.greeting == b"+OK Guten Tag, poste restante"


# --- LOGIN-DELAY ---------------------------------------------------------------------------------------------


@pytest.mark.proves("R2449-LD-01", "R2449-RC-05", "B11")
@pytest.mark.limit(60)
def test_login_delay(own_server):
    s = own_server(conf={"auth.login_delay": 3})
    box = s.add_user("bob", A)
    s.start()
    with s.wire() as w:
        assert w.capa()["LOGIN-DELAY"] == ["3"]
        w.login("bob", box.password)
        begin = time.monotonic()
        w.quit()
    with s.wire() as w:
        w.ok("USER bob")
        w.err(f"PASS {box.password}", code="LOGIN-DELAY")
        w.ok("USER bob")
        w.err("PASS wrong-password", code="AUTH")
        while time.monotonic() - begin < 3.2:
            time.sleep(0.1)
        w.login("bob", box.password)
        w.quit()


@pytest.mark.proves("R2449-LD-02")
def test_login_delay_per_user(own_server):
    s = own_server(conf={"auth.login_delay": 1})
    bob = s.add_user("bob", A, extra="login_delay=900")
    eve = s.add_user("eve", A, extra="login_delay=60")
    s.start()
    with s.wire() as w:
        assert w.capa()["LOGIN-DELAY"] == ["900", "USER"]
        w.login("eve", eve.password)
        assert w.capa()["LOGIN-DELAY"] == ["60"]
        w.quit()
    with s.wire() as w:
        w.login("bob", bob.password)
        assert w.capa()["LOGIN-DELAY"] == ["900"]
        w.quit()


# --- EXPIRE ------------------------------------------------------------------------------------------------------


def aged(days: float) -> tuple[str, float]:
    """A name and an mtime of a message that came so many days ago."""
    when = time.time() - days * DAY
    return f"{int(when)}.M{int(when * 1e6) % 1000000}P{int(days * 100)}.test", when


@pytest.mark.proves("R1939-OPS-01", "R2449-EXP-01")
def test_expire_by_age(own_server):
    s = own_server(conf={"mail.expire": 30})
    box = s.add_user("bob")
    for days in (100, 31, 29, 1):
        name, when = aged(days)
        box.drop.put(f"Subject: {days}\n\nx\n".encode(), name, mtime=when)
    s.start()
    with s.wire() as w:
        assert w.capa()["EXPIRE"] == ["30"]
        w.login("bob", box.password)
        assert w.capa()["EXPIRE"] == ["30"]
        assert w.stat()[0] == 2
        assert w.retr(1).startswith(b"Subject: 29")
    assert sorted(box.drop.contents()) == [b"Subject: 1\n\nx\n", b"Subject: 29\n\nx\n"]


@pytest.mark.proves("R2449-EXP-02", "R2449-EXP-03")
def test_expire_per_user(own_server):
    s = own_server(conf={"mail.expire": 90})
    s.add_user("bob", A, extra="expire=5")
    eve = s.add_user("eve", A, extra="expire=60")
    s.start()
    with s.wire() as w:
        assert w.capa()["EXPIRE"] == ["5", "USER"]
        name, when = aged(61)
        eve.drop.put(b"Subject: old\n\nx\n", name, mtime=when)
        name, when = aged(59)
        eve.drop.put(b"Subject: young\n\nx\n", name, mtime=when)
        w.login("eve", eve.password)
        assert w.capa()["EXPIRE"] == ["60"]
        subjects = [w.retr(n) for n in w.list()]
        assert b"Subject: old\r\n\r\nx\r\n" not in subjects and b"Subject: young\r\n\r\nx\r\n" in subjects


@pytest.mark.proves("R1939-OPS-02", "R1939-OPS-03", "R1939-RSET-03", "R2449-EXP-04")
@pytest.mark.parametrize("top", ("counts", "refused"))
def test_expire_0(own_server, top):
    """What was retrieved goes at QUIT; never after a drop; RSET takes it back."""
    s = own_server(conf={"mail.expire": 0, "pop3.top_when_expire_0": top})
    box = s.add_user("bob")
    for m in A:
        name, when = aged(0.01 + 0.001 * len(m))
        box.drop.put(m, name, mtime=when)
    stored = box.drop.contents()
    s.start()
    with box.login() as w:
        assert w.capa()["EXPIRE"] == ["0"]
        w.retr(1)
    with box.login_soon() as w:
        assert w.stat()[0] == 3, "a drop removes nothing"
        uids = w.uidl()
        w.retr(1)
        w.ok("RSET")
        assert w.uidl() == uids
        w.quit()
    assert box.drop.contents() == stored, "RSET clears the book-keeping"
    with box.login_soon() as w:
        w.retr(1)
        w.ok("TOP 2 0")
        w.body()
        w.quit()
    assert box.drop.contents() == stored[1:]
    with box.login_soon() as w:
        reply = w.cmd("TOP 1 999999")
        if top == "refused":
            assert reply.startswith(b"-ERR")
        else:
            assert reply.startswith(b"+OK")
            w.body()
        w.quit()
    assert box.drop.contents() == (stored[1:] if top == "refused" else stored[2:])


# --- UTF8 -----------------------------------------------------------------------------------------------------------

F19 = wm.MESSAGES["F19"]
RICH = (
    "From: Jörg <jörg@exämple.org>, Ann <ann@example.org>\nTo: Ünal <ünal@example.org>\nSubject: Grüße\n"
    "X-Foo: größer\nDKIM-Signature: v=1; a=rsa-sha256; d=example.org; b=abc\nMIME-Version: 1.0\n"
    "Content-Type: text/plain; charset=utf-8\n"
    "Content-Disposition: attachment; filename=\"größe.txt\"\nContent-Transfer-Encoding: 8bit\n\nBody: größe\n.dot\n"
).encode()


@pytest.mark.proves("R6856-04", "C20", "R6856-02")
@pytest.mark.parametrize("utf8", (False, True))
def test_utf8_as_is(account, utf8):
    box = account([F19, RICH, wm.MESSAGES["F01"]])
    with box.server.wire("tls") as w:
        if utf8:
            w.ok("UTF8")
            w.ok("UTF8")
        w.login(box.name, box.password)
        for n, m in enumerate((F19, RICH, wm.MESSAGES["F01"]), 1):
            assert w.ok(f"LIST {n}") == b"+OK %d %d" % (n, wm.size(m))
            assert w.retr(n) == wm.plain(m)


@pytest.mark.proves("R6856-05", "R6856-08", "R6856-04", "R6856-09", "R6857-01", "R6858-01", "R6858-02", "R6858-03",
                    "R6858-04", "R6858-05", "R6858-06", "R1939-SIZE-06")
def test_surrogates(own_server):
    s = own_server(conf={"mail.legacy_utf8": "surrogate"})
    binary = b"Subject: x\nContent-Transfer-Encoding: binary\n\na\x00b\rc\n\n"
    messages = [F19, RICH, wm.MESSAGES["F01"], binary]
    box = s.add_user("bob", messages)
    s.start()
    with s.wire("tls") as w:
        w.ok("UTF8")
        w.login("bob", box.password)
        uids = w.uidl()
        for n, m in enumerate(messages, 1):
            assert w.ok(f"LIST {n}") == b"+OK %d %d" % (n, wm.size(m))
            assert w.retr(n) == wm.plain(m)
        w.quit()
    seen = set()
    for _ in range(2):
        with box.login_soon(how="tls") as w:
            assert w.uidl() == uids
            sizes = w.list()
            assert w.stat() == (4, sum(sizes.values()))
            got = {}
            for n in sizes:
                w.ok(f"RETR {n}")
                raw = w.body()
                w.ok(f"TOP {n} 1000000")
                assert w.body() == raw
                got[n] = wm.unstuff(raw)
                assert len(got[n]) == sizes[n]
                w.ok(f"TOP {n} 0")
                head = wm.unstuff(w.body())
                assert got[n].startswith(head)
            assert got[3] == wm.plain(messages[2]) and got[4] == wm.plain(binary)
            for n in (1, 2):
                head = got[n].partition(b"\r\n\r\n")[0]
                assert all(c < 0x80 for c in head), head
                for field in re.findall(rb"(?im)^(?:from|to|sender|reply-to|cc): .*(?:\r\n[ \t].*)*", head):
                    for address in re.findall(rb"<([^<>]*@[^<>]*)>", field):
                        assert address.endswith(b".invalid") or address == b"ann@example.org", field
            head = got[2].partition(b"\r\n\r\n")[0]
            assert b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; b=abc" in head
            assert re.search(rb"(?im)^Subject: =\?utf-8\?", head) and b"X-Foo" not in head
            assert b"filename=" not in head and b"attachment" in head
            seen.add(tuple(sorted(got.items())))
            w.err("UTF8")  # sizes have been reported
            w.quit()
    assert len(seen) == 1, "the same octets every time"
    assert box.drop.contents() == messages


@pytest.mark.proves("R6856-05", "R6856-06", "R6856-08", "C20")
def test_reject(own_server):
    s = own_server(conf={"mail.legacy_utf8": "reject"})
    box = s.add_user("bob", [F19, wm.MESSAGES["F01"]])
    s.start()
    with box.login("tls") as w:
        w.err("RETR 1", code="UTF8")
        w.err("TOP 1 0", code="UTF8")
        assert w.retr(2) == wm.plain(wm.MESSAGES["F01"])
        w.in_step()
        w.quit()
    with s.wire("tls") as w:
        w.ok("UTF8")
        w.login("bob", box.password)
        assert w.retr(1) == wm.plain(F19)


@pytest.mark.proves("R6856-02", "R6856-03", "R6856-11", "C19", "R2449-CAPA-05")
def test_utf8_command(own_server):
    s = own_server(conf={"mail.legacy_utf8": "surrogate"})
    box = s.add_user("bob", [F19])
    s.start()
    with s.wire("plain") as w:
        w.err("UTF8 x")
        w.ok("UTF8")
        w.capa()
        w.err("STLS", code="")
        w.login("bob", box.password)
        assert w.retr(1) == wm.plain(F19)
        w.quit()
    with box.login_soon() as w:  # late, but before any size was told
        w.ok("UTF8")
        assert w.retr(1) == wm.plain(F19)
        w.quit()
    s.conf["pop3.utf8_late"] = False
    s.reload()
    with box.login_soon() as w:
        w.err("UTF8")
        w.in_step()


# --- LANG ------------------------------------------------------------------------------------------------------------


@pytest.mark.proves("R6856-LANG-01", "R6856-LANG-02", "R6856-LANG-03", "R6856-LANG-04", "R6856-LANG-05", "R6856-LANG-06")
def test_lang(drop_a):
    with drop_a.server.wire() as w:
        tags = {x.split(b" ")[0] for x in w.multi("LANG")}
        assert b"en" in tags
        assert w.ok("LANG en").startswith(b"+OK en ")
        w.err("LANG tlh")
        w.err("LANG MUL")
        w.ok("LANG *")
        same = w.ok("USER nosuch"), w.ok(f"USER {drop_a.name}")
        assert same[0] == same[1]
        for tag in sorted(tags - {b"en", b"i-default"}):
            w.send(b"LANG " + tag + b"\r\n")
            line = w.raw_line()
            check_status(line, lang=True)
            assert line.startswith(b"+OK " + tag + b" ")
            w.send(f"USER {drop_a.name}\r\nPASS wrong-password\r\n".encode())
            check_status(w.raw_line(), lang=True)
            refused = w.raw_line()
            assert refused.startswith(b"-ERR [AUTH] ")
            refused.decode("utf-8")
        w.send(f"USER {drop_a.name}\r\nPASS {drop_a.password}\r\nSTAT\r\n".encode())
        assert w.raw_line().startswith(b"+OK ") and w.raw_line().startswith(b"+OK ")
        assert w.raw_line() == wm.A_STAT + b"\r\n"
        w.ok("LANG en")
        w.in_step()


# --- quirks ----------------------------------------------------------------------------------------------------------


@pytest.mark.proves("R1939-TOP-08", "C11", "C12")
def test_quirks(own_server):
    s = own_server(conf={"pop3.top_adds_eoh": True, "pop3.nul_as_80": True})
    messages = [wm.MESSAGES["F06"], wm.MESSAGES["F13"], wm.MESSAGES["F07"]]
    box = s.add_user("bob", messages)
    s.start()
    with box.login() as w:
        w.ok("TOP 1 0")
        assert w.body() == b"Subject: header only\r\n\r\n"
        assert w.retr(2) == wm.plain(messages[1]).replace(b"\0", b"\x80")
        assert w.ok("LIST 2") == b"+OK 2 %d" % wm.size(messages[1])
        w.in_step()


# --- read-only, limits -------------------------------------------------------------------------------------------------


@pytest.mark.proves("R4505-01")
def test_read_only_maildrop(own_server):
    s = own_server()
    box = s.add_user("public", A, extra="read_only")
    s.start()
    with box.login() as w:
        w.ok("DELE 1")
        w.ok("QUIT")
    assert box.drop.contents() == A


@pytest.mark.proves("S-74")
def test_connection_limits(own_server):
    s = own_server(conf={"limits.connections_per_address": 10, "workers.fronts": 1})
    box = s.add_user("bob", A)
    s.start()
    held = [s.wire() for _ in range(10)]
    with s.wire(greet=False) as extra:
        got = extra.eof(5)
        assert got == b"" or got.startswith(b"-ERR ")
    held.pop().close()
    deadline = time.monotonic() + 5
    while True:
        try:
            box.login().quit()
            break
        except (AssertionError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    for w in held:
        w.in_step(False)
        w.close()


@pytest.mark.proves("C04")
def test_flood_before_login(own_server):
    """When there are too many that have not logged in, the oldest of them go; sessions stay."""
    s = own_server(conf={"limits.not_logged_in": 20, "workers.fronts": 1})
    box = s.add_user("bob", A)
    s.start()
    with box.login() as w:
        first = s.wire()
        crowd = [s.wire() for _ in range(40)]
        assert first.eof(5) == b""
        crowd[-1].in_step(False)
        assert w.stat() == (3, 118)
        for c in crowd:
            c.close()
        first.close()
