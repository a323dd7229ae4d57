"""Who gets in, who does not, and what the replies tell: USER/PASS, APOP, SASL, per-user rules, delays."""

from __future__ import annotations

import base64
import crypt
import hashlib
import os
import re
import statistics
import subprocess
import threading
import time

import pytest
import server as srv
import wiremodel as wm
from openssl_wire import NO_EXTENDED_MASTER_SECRET, OpensslWire
from scram import Scram, keys
from wire import b64, plain_response

A = wm.MAILDROP_A
HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


def plain(user, password, authzid="") -> str:
    return "AUTH PLAIN " + plain_response(user, password, authzid).decode()


# --- USER and PASS -------------------------------------------------------------------------------------


@pytest.mark.proves("R1939-USER-03", "R1939-USER-05", "R1939-USER-06", "R1939-AUTHZ-05", "R1939-AUTHZ-12", "N6")
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_user_pass(drop_a, mode):
    with drop_a.server.open(mode) as w:
        w.err(f"PASS {drop_a.password}")
        w.ok(f"USER {drop_a.name}")
        w.err("PASS wrong", code="AUTH")
        w.err(f"PASS {drop_a.password}")
        w.ok("USER someone")
        w.ok(f"USER {drop_a.name}")
        w.ok(f"PASS {drop_a.password}")
        w.err("USER someone")
        w.err("PASS x")
        assert w.stat() == (3, 118)


@pytest.fixture(scope="module")
def many(pki):
    """A server with users of every kind."""
    s = srv.Server(pki, start=False, conf={
        "users.masters": ["master"], "users.default_domain": "example.org", "pop3.login_tries": 20,
    })
    plainly = {
        "bob": "bob-s-password", "spaces": " a  b ", "long": "p" * 200, "utf8": "pä\u00dfword-\u2168",
        "IX": "IX-IX-IX", "master": "master-password", "a,b=c": "comma-equals", "u" * 250: "q" * 250,
        "with space": "space-in-name",
    }
    for name, password in plainly.items():
        s.add_user(name, A, password=password, write=False)
    s.add_user("full@example.org", A, password="full-address", write=False)
    s.add_user("other@example.net", A, password="other-domain", write=False)
    for flags in ("disabled", "nologin", "require_tls", "allow_nets=192.0.2.0/24", "allow_nets=127.0.0.0/8,::1"):
        s.add_user("f-" + flags.partition("=")[0] + ("-here" if "127" in flags else ""), A,
                   password="flagged-user", extra=flags, write=False)
    for kind in (crypt.METHOD_SHA512, crypt.METHOD_SHA256, crypt.METHOD_BLOWFISH):
        how = {"rounds": 5000} if kind.name.startswith("SHA") else {"rounds": 16}
        hashed = crypt.crypt("hashed-password", crypt.mksalt(kind, **how))
        scheme = {"SHA512": "SHA512-CRYPT", "SHA256": "SHA256-CRYPT", "BLOWFISH": "BLF-CRYPT"}[kind.name]
        s.add_user("h-" + scheme.lower(), A, password="hashed-password", secret="{%s}%s" % (scheme, hashed),
                   write=False)
        s.add_user("c-" + scheme.lower(), A, password="hashed-password", secret="{CRYPT}" + hashed, write=False)
    yescrypt = crypt.crypt("hashed-password", "$y$j75$" + "abcdefghijklmnopqrstu.$")
    if yescrypt and yescrypt.startswith("$y$"):
        s.add_user("h-yescrypt", A, password="hashed-password", secret="{CRYPT}" + yescrypt, write=False)
    for mech, name in HASHES.items():
        record = keys(name, "scram-password", os.urandom(16), 4096)
        s.add_user("s-" + mech.lower(), A, password="scram-password", secret="{%s}%s" % (mech, record), write=False)
    s.add_user("broken", A, password="hashed-password", secret="{SHA512-CRYPT}$6$short", write=False)
    s.add_user("costly", A, password="hashed-password",
               secret="{SHA512-CRYPT}$6$rounds=999999999$" + "s" * 16 + "$" + "h" * 86, write=False)
    s.write_users()
    s.start()
    with s:
        yield s


@pytest.mark.proves("R1939-USER-04", "R1939-USER-09", "R4616-02", "R6856-17", "R6856-12")
@pytest.mark.parametrize("user,password", [
    ("bob", "bob-s-password"), ("spaces", " a  b "), ("long", "p" * 200), ("u" * 250, "q" * 250),
    ("utf8", "pä\u00dfword-\u2168"), ("utf8", "pä\u00dfword-IX"), ("IX", "I\u00adX-\u2168-IX"),
    ("\u2168", "IX-IX-IX"), ("with space", "space-in-name"), ("a,b=c", "comma-equals"),
], ids=lambda x: ascii(x)[:20])
def test_names_and_passwords(many, user, password):
    with many.wire("tls") as w:
        if len(user) + 8 <= 255 and len(password) + 8 <= 255:
            w.ok(f"USER {user}")
            w.ok(f"PASS {password}")
            assert w.stat() == (3, 118)
            w.quit()
    with many.wire("tls") as w:
        line = plain(user, password)
        reply = w.cmd(line)
        deadline = time.monotonic() + 3
        while b"IN-USE" in reply and time.monotonic() < deadline:
            reply = w.cmd(line)
        assert reply.startswith(b"+OK"), reply
        assert w.stat() == (3, 118)
        w.quit()


@pytest.mark.proves("R1939-USER-12", "R4616-03", "R4616-04", "R6856-13", "R4616-01", "R3206-04")
def test_malformed_credentials(many):
    with many.wire("tls") as w:
        for line in (b"PASS ", b"PASS"):
            w.ok("USER bob")
            w.err(line)
        for name, password in ((b"b\x07ob", b"x"), (b"bob", b"\xff"), (b"bob", b"\xc0\xaf")):
            reply = w.cmd(b"USER " + name)
            if reply.startswith(b"+OK"):
                w.err(b"PASS " + password)
        for message in (b"\0\0pw", b"\0bob\0", b"bob", b"\0bob", b"a\0b\0c\0d", b"\0bob\0\xc0\xaf",
                        b"\0bob\0\xed\xa0\x80", b"\0bob\0\xf4\x90\x80\x80", b"\0b\x07b\0bob-s-password"):
            w.err(b"AUTH PLAIN " + b64(message))
            if message.count(b"\0") != 2:
                pass
        w.login("bob", "bob-s-password")


@pytest.mark.proves("R3206-04", "R5034-12", "R5034-11", "R5034-09", "R5034-10", "R5034-18")
def test_protocol_faults_are_no_credential_faults(many):
    """No [AUTH] where the credentials were not the problem."""
    with many.wire("tls") as w:
        w.err("AUTH NOSUCH", code="")
        w.in_step(False)
        for bad in ("=AAA", "AAA=BBB", "AAA", "AA A=", "AAAA\t", "AA==AA==", "A==="):
            w.err("AUTH PLAIN " + bad)
            w.in_step(False)
            w.challenge("AUTH PLAIN")
            w.err(bad)
            w.in_step(False)
        w.challenge("AUTH PLAIN")
        w.err("*", code="")
        w.challenge("AUTH PLAIN")
        w.err("=")
        w.in_step(False)
        w.ok(plain("bob", "bob-s-password"))
        w.err(plain("bob", "bob-s-password"))
        assert w.stat() == (3, 118)


@pytest.mark.proves("R4422-03", "R5034-21", "N21")
def test_authorization_identity(many):
    with many.wire("tls") as w:
        w.err(plain("bob", "bob-s-password", "IX"), code="AUTH")
        w.err(plain("master", "wrong", "bob"), code="AUTH")
        w.err(plain("master", "master-password", "nosuch"), code="AUTH")
        w.err(plain("bob", "bob-s-password", "\x07"))
        w.ok(plain("bob", "bob-s-password", "bob"))
        w.quit()
    with many.wire("tls") as w:
        w.ok(plain("master", "master-password", "spaces"))
        w.quit()
    with many.wire("tls") as w:
        assert Scram("SCRAM-SHA-256", "bob", "bob-s-password", authzid="IX").run(w).startswith(b"-ERR [AUTH] ")


@pytest.mark.proves("R3206-03", "R3206-06", "R1939-USER-02", "R3206-09", "R4422-04", "C01")
def test_replies_do_not_tell_who_exists(many):
    """Wrong password, unknown, disabled, from elsewhere, broken record: the same octets, by every way in."""
    cases = [("bob", "wrong-password"), ("nosuch", "wrong-password"), ("f-disabled", "flagged-user"),
             ("f-nologin", "flagged-user"), ("f-allow_nets", "flagged-user")]
    seen = set()
    for user, password in cases:
        replies = []
        with many.wire("tls") as w:
            replies.append(w.ok(f"USER {user}"))
            replies.append(w.err(f"PASS {password}", code="AUTH"))
            replies.append(w.err(plain(user, password), code="AUTH"))
            for mech in HASHES:
                replies.append(Scram(mech, user, password).run(w))
                assert replies[-1].startswith(b"-ERR [AUTH] ")
            w.challenge("AUTH LOGIN")
            w.challenge(b64(user.encode()))
            replies.append(w.err(b64(password.encode()), code="AUTH"))
        seen.add(tuple(replies))
    assert len(seen) == 1, seen


@pytest.mark.proves("R2595-STLS-16")
def test_require_tls_per_user(many):
    with many.wire("plain") as w:
        w.ok("USER f-require_tls")
        w.err("PASS flagged-user", code="AUTH")
        w.stls()
        w.login("f-require_tls", "flagged-user")
        w.quit()
    with many.wire("plain") as w:
        w.login("f-allow_nets-here", "flagged-user")
        w.quit()


@pytest.mark.proves("R1939-AUTHZ-01", "R5034-23", "R5802-16")
def test_password_schemes(many):
    names = [n for n in many.users if n.startswith(("h-", "c-", "s-"))]
    assert len(names) >= 8
    for name in names:
        password = "scram-password" if name.startswith("s-") else "hashed-password"
        with many.wire("tls") as w:
            w.ok(f"USER {name}")
            w.err("PASS wrong-password", code="AUTH")
            w.login(name, password)
            assert w.stat() == (3, 118)
            w.quit()


@pytest.mark.proves("R3206-01", "S-62")
def test_bad_records(many):
    """A record that cannot be checked, or whose cost is absurd: refused at once, nobody else suffers."""
    for name in ("broken", "costly"):
        with many.wire("tls") as w:
            w.ok(f"USER {name}")
            begin = time.monotonic()
            w.err("PASS hashed-password")
            assert time.monotonic() - begin < 5
            w.login("bob", "bob-s-password")
            w.quit()


@pytest.mark.proves("R6186-11")
def test_address_or_local_part(many):
    for name in ("full@example.org", "full"):
        with many.wire("tls") as w:
            w.login(name, "full-address")
            w.quit()
    for name in ("bob", "bob@example.org"):
        with many.wire("tls") as w:
            w.login(name, "bob-s-password")
            w.quit()
    with many.wire("tls") as w:
        w.login("other@example.net", "other-domain")
        w.quit()
    with many.wire("tls") as w:
        w.ok("USER other")
        w.err("PASS other-domain", code="AUTH")


# --- SASL lines -----------------------------------------------------------------------------------------


@pytest.mark.proves("R5034-LEN", "R5034-15", "R2449-LEN-02", "C28")
@pytest.mark.parametrize("mode", ("plain", "tls"))
@pytest.mark.parametrize("pieces", (1, 2, 40))
def test_long_responses(many, mode, pieces):
    """20,000 octets and more as response and as initial response, in one piece or in many, with pauses."""

    def say(line: bytes) -> None:
        line += b"\r\n"
        step = -(-len(line) // pieces)
        w.send(*[line[i : i + step] for i in range(0, len(line), step)], gap=0.01)

    with many.wire(mode, timeout=8) as w:
        for size in (2300, 11000, 15000, 16384, 30000, 45000):
            response = b64(b"\0bob\0" + b"x" * size)
            w.challenge("AUTH PLAIN")
            say(response)
            w.err()
            w.in_step(False)
            say(b"AUTH PLAIN " + response)
            w.err()
            w.in_step(False)
        w.login("bob", "bob-s-password")
        w.quit()


@pytest.mark.proves("R5034-15", "R2449-LEN-02", "R2449-PIPE-02")
@pytest.mark.parametrize("mode", ("strict", "tls"))
@pytest.mark.parametrize("cut", (100, 16383, 16384, 16385, 19000))
def test_long_response_in_pieces(many, mode, cut):
    """The rest of a long line comes later: the server must still be listening."""
    long = Scram("SCRAM-SHA-256", "bob", "x").first() + b",z=" + b"x" * 15000
    line = b64(long) + b"\r\n"
    assert len(line) > cut
    with many.wire(mode) as w:
        w.send(b"AUTH SCRAM-SHA-256\r\n")
        assert w.raw_line() == b"+ \r\n"
        w.send(line[:cut], line[cut:], gap=0.2)
        reply = w.raw_line()
        if reply.startswith(b"+ "):
            w.err("*")
        else:
            assert reply.startswith(b"-ERR")
        w.in_step(False)


@pytest.mark.proves("R5034-32", "N4")
def test_pipelined_after_auth(many):
    with many.wire("tls") as w:
        w.send(b"AUTH PLAIN\r\nQUIT\r\n")
        assert w.raw_line() == b"+ \r\n"
        w.err()
        w.in_step(False)
        w.send(b"AUTH PLAIN\r\n" + plain_response("bob", "bob-s-password") + b"\r\nSTAT\r\nQUIT\r\n")
        assert w.raw_line() == b"+ \r\n"
        w.ok()
        assert w.ok() == wm.A_STAT
        w.ok()
        assert w.eof() == b""


@pytest.mark.proves("XLOGIN-01", "R5034-02", "R5034-04", "R5034-05", "R5034-13", "R5034-30")
def test_login_and_case(many):
    with many.wire("tls") as w:
        assert [x.decode() for x in w.multi("AUTH")] == w.capa()["SASL"]
        assert w.challenge("auth login") == b"Username:"
        assert w.challenge(b64(b"bob")) == b"Password:"
        w.ok(b64(b"bob-s-password"))
        w.quit()
    with many.wire("tls") as w:
        assert w.challenge(b"AUTH LOGIN " + b64(b"bob")) == b"Password:"
        w.ok(b64(b"bob-s-password"))
        w.quit()


@pytest.mark.proves("R2449-TAG-03", "R4422-01", "R5034-03")
def test_listed_means_usable(many):
    """Each listed mechanism starts; each that is not listed is refused before a challenge."""
    every = {"PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS",
             "EXTERNAL", "CRAM-MD5", "ANONYMOUS", "OAUTHBEARER", "XOAUTH2", "DIGEST-MD5", "GSSAPI", "NTLM"}
    for mode in ("strict", "tls"):
        with many.wire(mode) as w:
            listed = set(w.capa().get("SASL", []))
        for mech in every:
            with many.wire(mode) as w:
                w.send(f"AUTH {mech}\r\n".encode())
                line = w.raw_line()
                if mech in listed:
                    assert line.startswith(b"+ "), (mech, line)
                    w.err("*")
                else:
                    assert line.startswith(b"-ERR"), (mech, line)
                w.in_step(False)


# --- SCRAM ----------------------------------------------------------------------------------------------


@pytest.mark.proves("R5802-01", "R5034-19", "R5034-26", "R5802-07", "R5802-11", "R5802-16", "R5802-17")
@pytest.mark.parametrize("mech", HASHES)
@pytest.mark.parametrize("mode", ("strict", "stls", "tls"))
@pytest.mark.parametrize("initial", (True, False))
def test_scram(many, mech, mode, initial):
    with many.open(mode) as w:
        sasl = w.capa()["SASL"]
        assert mech in sasl
        assert (mech + "-PLUS" in sasl) == (mode != "strict")
        user, password = ("bob", "bob-s-password")
        exchange = Scram(mech, user, password)
        assert exchange.run(w, initial).startswith(b"+OK")
        assert exchange.iterations >= 4096
        assert len(base64.b64decode(exchange.server_nonce + b"==")) >= 18 or len(exchange.server_nonce) >= 24
        assert w.stat() == (3, 118)
        w.quit()


@pytest.mark.proves("R5802-16", "R5802-01")
@pytest.mark.parametrize("mech", HASHES)
def test_scram_from_stored_keys(many, mech):
    with many.wire("tls") as w:
        exchange = Scram(mech, f"s-{mech.lower()}", "scram-password")
        assert exchange.run(w).startswith(b"+OK")
        assert exchange.iterations == 4096
        w.quit()


@pytest.mark.proves("R5802-04", "R5802-05", "R5802-06", "R4013-01", "N19", "R4616-05")
@pytest.mark.parametrize("user,password,raw", [
    ("a,b=c", "comma-equals", b"a=2Cb=3Dc"),
    ("IX", "IX-IX-IX", "I\u00adX".encode()),
    ("IX", "IX-IX-IX", "\u2168".encode()),
    ("utf8", "pä\u00dfword-IX", b"utf8"),
], ids=["escapes", "soft-hyphen", "roman", "utf8-password"])
def test_scram_names(many, user, password, raw):
    """The name is prepared for the look-up; the proof is over the form that was received."""
    with many.wire("tls") as w:
        assert Scram("SCRAM-SHA-256", user, password, raw_name=raw).run(w).startswith(b"+OK")
        w.quit()


@pytest.mark.proves("R5802-02", "R5802-03", "R5802-04", "R5802-09", "R5802-10", "R5802-14", "R5802-18", "R5802-20",
                    "R5802-21", "R5802-23", "S-48")
def test_scram_faults(many):
    bob = ("bob", "bob-s-password")
    faulty = {
        "x flag": Scram("SCRAM-SHA-256", *bob, gs2="x"),
        "upper case flag": Scram("SCRAM-SHA-256", *bob, gs2="N"),
        "mandatory extension": Scram("SCRAM-SHA-256", *bob, raw_name=b"bob", nonce=b"abcdefgh"),
        "bad escape": Scram("SCRAM-SHA-256", *bob, raw_name=b"b=2Db"),
        "lone equals": Scram("SCRAM-SHA-256", *bob, raw_name=b"b=ob"),
        "control": Scram("SCRAM-SHA-256", *bob, raw_name=b"b\x07ob"),
        "empty name": Scram("SCRAM-SHA-256", *bob, raw_name=b""),
        "empty nonce": Scram("SCRAM-SHA-256", *bob, nonce=b""),
        "y though -PLUS is offered": Scram("SCRAM-SHA-256", *bob, gs2="y"),
        "p on the bare mechanism": Scram("SCRAM-SHA-256", *bob, binding=("tls-exporter", b"\0" * 32)),
        "wrong password": Scram("SCRAM-SHA-256", "bob", "wrong-password"),
    }
    m = faulty["mandatory extension"]
    m.bare = b"m=x," + m.bare
    for name, exchange in faulty.items():
        with many.wire("tls") as w:
            assert exchange.run(w).startswith(b"-ERR"), name
            w.in_step(False)
            w.login(*bob)
            w.quit()
    changes = {
        "other nonce": lambda f: f.replace(b",r=", b",r=X"),
        "shorter nonce": lambda f: f[:-1],
        "other header": lambda f: b"c=" + b64(b"y,,") + f[f.index(b",r=") :],
        "header with authzid": lambda f: b"c=" + b64(b"n,a=bob,") + f[f.index(b",r=") :],
        "extra octets": lambda f: b"c=" + b64(b"n,,x") + f[f.index(b",r=") :],
        "no c": lambda f: f[f.index(b",r=") + 1 :],
        "order": lambda f: f[f.index(b",r=") + 1 :] + b"," + f[: f.index(b",r=")],
    }
    for name, change in changes.items():
        with many.wire("tls") as w:
            exchange = Scram("SCRAM-SHA-256", *bob)
            exchange.change = change
            assert exchange.run(w).startswith(b"-ERR"), name
            w.in_step(False)
    with many.wire("tls") as w:  # an unknown optional attribute is no fault
        assert Scram("SCRAM-SHA-256", *bob, extra_first=b",z=1").run(w).startswith(b"+OK")


@pytest.mark.proves("R5802-15", "N19", "R5802-07")
def test_scram_unknown_user(many):
    """The same salt every time, fresh nonces, the usual iteration count; -ERR only at the proof."""
    salts, nonces, counts = set(), set(), set()
    for _ in range(3):
        with many.wire("tls") as w:
            e = Scram("SCRAM-SHA-256", "nosuch", "wrong-password")
            assert e.run(w).startswith(b"-ERR [AUTH] ")
            salts.add(e.salt)
            nonces.add(e.server_nonce)
    with many.wire("tls") as w:
        e = Scram("SCRAM-SHA-256", "nosuch2", "wrong-password")
        e.run(w)
        assert e.salt not in salts
        counts.add(len(e.salt))
        known = Scram("SCRAM-SHA-256", "s-scram-sha-256", "wrong-password")
        known.run(w)
        counts.add(len(known.salt))
    assert len(salts) == 1 and len(nonces) == 3 and len(counts) == 1


@pytest.mark.proves("R5802-07")
def test_nonces_are_fresh(many):
    seen = set()
    with many.wire("tls") as w:
        for _ in range(300):
            e = Scram("SCRAM-SHA-256", "bob", "x")
            w.send(b"AUTH SCRAM-SHA-256 " + b64(e.first()) + b"\r\n")
            first = base64.b64decode(w.raw_line()[2:])
            seen.add(first.split(b",")[0][2 + len(e.nonce) :])
            w.err("*")
    assert len(seen) == 300


@pytest.mark.proves("R9266-01", "R9266-02", "R5929-01", "R5802-17", "R5802-21", "R7677-01")
@pytest.mark.parametrize("mech", ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"))
@pytest.mark.parametrize("version,kind", [("1.3", "tls-exporter"), ("1.2", "tls-unique"), ("1.2", "tls-exporter")])
@pytest.mark.parametrize("stls", (False, True))
def test_scram_plus(many, mech, version, kind, stls):
    w = OpensslWire(many.address("strict" if stls else "tls"), stls=stls, version=version)
    assert mech in w.capa()["SASL"]
    data = w.exporter() if kind == "tls-exporter" else w.unique()
    reply = Scram(mech, "bob", "bob-s-password", binding=(kind, data)).run(w)
    assert reply.startswith(b"+OK"), reply
    assert w.stat() == (3, 118)
    w.quit()


@pytest.mark.proves("R5802-20")
def test_scram_plus_end_point(many):
    """tls-server-end-point is not known here: refused, even with the right data."""
    w = OpensslWire(many.address("tls"), version="1.3")
    reply = Scram("SCRAM-SHA-256-PLUS", "bob", "bob-s-password",
                  binding=("tls-server-end-point", w.end_point())).run(w)
    assert reply.startswith(b"-ERR"), reply
    w.close()


@pytest.mark.proves("R5802-20", "R5802-21", "R9266-01", "R9266-02", "R9266-03", "R5929-01", "S-48")
@pytest.mark.parametrize("case", (
    "wrong data", "unknown type", "no data", "n flag", "y flag", "unique on 1.3", "stale exporter",
    "exporter without ems",
))
def test_scram_plus_faults(many, case):
    version, options = "1.3", 0
    if case == "exporter without ems":
        version, options = "1.2", NO_EXTENDED_MASTER_SECRET
    w = OpensslWire(many.address("tls"), version=version, options=options)
    bob = ("SCRAM-SHA-256-PLUS", "bob", "bob-s-password")
    if case == "wrong data":
        e = Scram(*bob, binding=("tls-exporter", b"\0" * 32))
    elif case == "unknown type":
        e = Scram(*bob, binding=("foo", w.exporter()))
    elif case == "no data":
        e = Scram(*bob, binding=("tls-exporter", b""))
    elif case in ("n flag", "y flag"):
        e = Scram(*bob, gs2=case[0])
    elif case == "unique on 1.3":
        e = Scram(*bob, binding=("tls-unique", w.unique()))
    elif case == "stale exporter":
        other = OpensslWire(many.address("tls"), version="1.3")
        e = Scram(*bob, binding=("tls-exporter", other.exporter()))
        other.close()
    else:
        e = Scram(*bob, binding=("tls-exporter", w.exporter()))
    assert e.run(w).startswith(b"-ERR")
    # A binding serves one exchange: another one is refused, or the connection was closed.
    try:
        again = Scram(*bob, binding=("tls-exporter", w.exporter())).run(w)
        assert again.startswith(b"-ERR"), "the binding was used twice"
    except (AssertionError, OSError, Exception) as err:
        assert "used twice" not in str(err)
    w.close()


@pytest.mark.proves("R7677-01", "R9266-02", "R5929-01")
def test_binding_on_resumed_sessions(many):
    """TLS 1.2, resumed. With extended master secret tls-unique is the server's Finished; without it -PLUS is
    not offered."""
    for options, offered in ((0, True), (NO_EXTENDED_MASTER_SECRET, False)):
        first = OpensslWire(many.address("tls"), version="1.2", options=options)
        session = first.conn.get_session()
        first.quit()
        w = OpensslWire(many.address("tls"), version="1.2", options=options, session=session)
        sasl = w.capa()["SASL"]
        assert ("SCRAM-SHA-256-PLUS" in sasl) == offered
        if offered:
            e = Scram("SCRAM-SHA-256-PLUS", "bob", "bob-s-password", binding=("tls-unique", w.unique(True)))
            assert e.run(w).startswith(b"+OK")
            w.quit()
        w.close()


# --- legacy mechanisms, off by default ---------------------------------------------------------------------


@pytest.mark.proves("R1939-APOP-01", "R1939-APOP-10", "R2195-02", "R4505-01")
def test_legacy_is_off(server):
    for mode in ("plain", "tls"):
        with server.open(mode) as w:
            assert b"<" not in w.greeting
            assert not {"CRAM-MD5", "ANONYMOUS", "DIGEST-MD5"} & set(w.capa()["SASL"])
            w.err("APOP bob c4c9334bac560ecc979e58001b3e22fb")
            w.err("AUTH ANONYMOUS")
            w.err("AUTH CRAM-MD5")


@pytest.fixture(scope="module")
def legacy(pki):
    s = srv.Server(pki, start=False, conf={
        "auth.apop": True, "pop3.login_tries": 20,
    })
    s.add_user("mrose", A, password="tanstaaf", extra="apop")
    s.add_user("tim", A, password="tanstaaftanstaaf")
    s.add_user("u-user", A, password="IX-secret", extra="apop")
    s.start()
    with s:
        yield s


def apop(w, user: str, secret: str) -> str:
    stamp = re.search(rb"<[^<> ]+@[^<> ]+>", w.greeting)[0]
    return f"APOP {user} {hashlib.md5(stamp + secret.encode()).hexdigest()}"


@pytest.mark.proves("R1939-APOP-01", "R1939-APOP-03", "R1939-APOP-04", "R1939-APOP-05", "R1939-APOP-06", "R6856-14")
@pytest.mark.parametrize("mode", ("plain", "tls"))
def test_apop(legacy, mode):
    with legacy.open(mode) as w:
        good = apop(w, "mrose", "tanstaaf")
        w.err(good[:-1])
        w.err(good + "0")
        w.err(good[:-1] + "g")
        w.err(apop(w, "mrose", "wrong"), code="AUTH")
        w.err(apop(w, "nosuch", "wrong"), code="AUTH")
        w.ok("USER tim")
        w.ok(good)
        assert w.stat() == (3, 118)
        w.quit()
    with legacy.open(mode) as w:
        verb, user, digest = apop(w, "mrose", "tanstaaf").split()
        w.ok(f"{verb} {user} {digest.upper()}")
        w.quit()


@pytest.mark.proves("R6856-14")
def test_apop_prepares_names(legacy):
    with legacy.wire("tls") as w:
        w.ok("UTF8")
        w.ok(apop(w, "u\u00ad-user", "IX-secret"))
        w.quit()


@pytest.mark.proves("R1939-APOP-07")
def test_apop_user_has_no_plaintext(legacy):
    with legacy.wire("plain") as w:
        w.ok("USER mrose")
        w.err("PASS tanstaaf", code="AUTH")
        w.err(apop(w, "tim", "tanstaaftanstaaf"), code="AUTH")


# --- octets that are no UTF-8 --------------------------------------------------------------------------------


@pytest.mark.proves("R6856-16")
@pytest.mark.parametrize("eight_bit", (False, True))
def test_eight_bit_passwords(own_server, eight_bit):
    """Without UTF8 USER octets above 0x7F are refused, or compared as they are where that is allowed."""
    s = own_server(conf={"auth.utf8_user": False, "auth.legacy_8bit": eight_bit})
    raw = b"caf\xe9-password"
    hashed = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=raw, capture_output=True, check=True)
    s.add_user("bob", A, password="never-used", secret="{CRYPT}" + hashed.stdout.decode().strip())
    s.start()
    with s.wire("tls") as w:
        assert w.capa()["UTF8"] == []
        w.ok("USER bob")
        if eight_bit:
            w.ok(b"PASS " + raw)
            assert w.stat() == (3, 118)
        else:
            w.err(b"PASS " + raw, code="AUTH")


@pytest.mark.proves("R4616-06")
@pytest.mark.parametrize("imported", (False, True))
def test_imported_hashes(own_server, imported):
    """A hash of octets that are no UTF-8: they are tried as they are only where the account says so."""
    s = own_server()
    raw = b"caf\xe9-password"
    hashed = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=raw, capture_output=True, check=True)
    s.add_user("bob", A, password="never-used", secret="{CRYPT}" + hashed.stdout.decode().strip(),
               extra="raw_password" if imported else "")
    s.start()
    with s.wire("tls") as w:
        line = b"AUTH PLAIN " + plain_response("bob", raw)
        if imported:
            w.ok(line)
            assert w.stat() == (3, 118)
        else:
            w.err(line, code="AUTH")


# --- delays and floods --------------------------------------------------------------------------------------


@pytest.mark.proves("R1939-USER-07")
def test_login_tries(drop_a):
    """The sixth try finds the connection closed; nobody else is slowed."""
    with drop_a.server.wire() as w:
        for i in range(5):
            w.send(f"USER {drop_a.name}\r\nPASS wrong{i}\r\n".encode())
            w.ok()
            w.err(code="AUTH")
        assert w.eof() == b""
    drop_a.login().quit()


@pytest.mark.proves("R1939-USER-07", "R1939-USER-02")
@pytest.mark.limit(90)
def test_throttle(own_server):
    """Failures get slower without holding up others; success stays fast; known and unknown names alike."""
    s = own_server(conf={"auth.throttle": True, "auth.throttle_free": 2, "auth.throttle_max": 4})
    box = s.add_user("bob", A)
    other = s.add_user("eve", A)
    s.start()
    waits = []
    for i in range(6):
        with s.wire(timeout=30) as w:
            w.ok("USER bob")
            begin = time.monotonic()
            w.err(f"PASS wrong-password-{i}", code="AUTH")
            waits.append(time.monotonic() - begin)
    assert max(waits[:2]) < 0.7, waits
    assert waits[-1] > waits[0] + 0.5 and max(waits) < 6, waits
    slow = threading.Thread(target=lambda: s.wire(timeout=30).cmd("USER bob"))
    slow.start()
    with s.wire("tls") as w:
        begin = time.monotonic()
        w.login(other.name, other.password)
        assert time.monotonic() - begin < 6
        w.quit()
    slow.join(30)
    with s.wire(timeout=30) as w:
        w.login("bob", box.password)
        w.quit()


@pytest.mark.proves("R1939-USER-02", "R3206-09", "R4422-04", "R8314-S-08")
@pytest.mark.limit(240)
def test_timing(own_server):
    """USER, PASS, PLAIN and SCRAM: a known name with a wrong password and an unknown name take equally long.
    Each account has the cost that a site's accounts have."""
    s = own_server(conf={"pop3.login_tries": 100})
    hashed = crypt.crypt("right-password", crypt.mksalt(crypt.METHOD_SHA512, rounds=20000))
    for i in range(4):
        s.add_user(f"known{i}", [], password="right-password", secret="{SHA512-CRYPT}" + hashed)
    s.start()

    def measure(user: str, how: str) -> float:
        with s.wire("tls") as w:
            if how == "user":
                begin = time.monotonic()
                w.ok(f"USER {user}")
            elif how == "pass":
                w.ok(f"USER {user}")
                begin = time.monotonic()
                w.err("PASS wrong-password", code="AUTH")
            else:
                begin = time.monotonic()
                w.err(plain(user, "wrong-password"), code="AUTH")
            return time.monotonic() - begin

    for how, count in (("user", 60), ("pass", 40), ("plain", 40)):
        known, unknown = [], []
        for i in range(count):
            known.append(measure(f"known{i % 4}", how))
            unknown.append(measure(f"nobody{i}", how))
        a, b = statistics.median(known), statistics.median(unknown)
        assert abs(a - b) < 0.020 or max(a, b) / min(a, b) < 1.5, (how, a, b)


@pytest.mark.proves("R2595-STLS-17")
def test_no_authentication_without_tls(own_server):
    s = own_server(listen={
        "plain": {"tls": "stls", "trusted": ["127.0.0.0/8", "::1"], "auth_needs_tls": True},
    }, conf={"auth.apop": True})
    s.add_user("bob", A, password="bob-s-password")
    s.start()
    with s.wire() as w:
        assert b"<" not in w.greeting
        capa = w.capa()
        assert "USER" not in capa and "SASL" not in capa
        w.err("USER bob")
        w.err("PASS bob-s-password")
        w.err(plain("bob", "bob-s-password"))
        e = Scram("SCRAM-SHA-256", "bob", "bob-s-password")
        w.err(b"AUTH SCRAM-SHA-256 " + b64(e.first()))
        w.err("APOP bob c4c9334bac560ecc979e58001b3e22fb")
        w.stls()
        w.login("bob", "bob-s-password")
        w.quit()


@pytest.mark.proves("S-46")
def test_users_file_changes(own_server):
    """A changed users file counts within seconds, or at SIGHUP at the latest."""
    s = own_server()
    s.add_user("bob", A, password="first-password")
    s.start()
    with s.wire() as w:
        w.login("bob", "first-password")
        w.quit()
    s.add_user("bob", password="second-password")
    s.add_user("new", A, password="new-password")
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        with s.wire() as w:
            w.ok("USER bob")
            if w.cmd("PASS second-password").startswith(b"+OK"):
                w.quit()
                break
        time.sleep(0.3)
    else:
        s.reload()
    with s.wire() as w:
        w.ok("USER bob")
        w.err("PASS first-password", code="AUTH")
        w.login("new", "new-password")
        w.quit()


@pytest.mark.proves("R4422-05")
def test_secrets_are_not_logged(own_server):
    """At the most talkative level: no password, no Base64 of one, no digest."""
    s = own_server(conf={"log.level": "debug", "auth.apop": True})
    box = s.add_user("bob", A, password="uncommon-secret-4711")
    s.start()
    spill = {"uncommon-secret-4711", "mistyped-secret-0815", "user-typed-as-name-secret"}
    encoded = {plain_response("bob", p).decode() for p in ("uncommon-secret-4711", "mistyped-secret-0815")}
    with s.wire("tls") as w:
        w.ok("USER bob")
        w.err("PASS mistyped-secret-0815")
        w.err(plain("bob", "mistyped-secret-0815"))
        w.challenge("AUTH LOGIN")
        w.challenge(b64(b"bob"))
        w.err(b64(b"mistyped-secret-0815"))
    with s.wire() as w:
        w.err("PASS user-typed-as-name-secret")
        w.err("PSAS user-typed-as-name-secret")
        w.ok(plain("bob", "uncommon-secret-4711"))
        w.quit()
    with s.wire() as w:
        digest = apop(w, "bob", "uncommon-secret-4711")
        w.cmd(digest)
    assert box
    time.sleep(0.3)
    log = s.log()
    for text in spill | encoded | {b64(p.encode()).decode() for p in spill} | {digest.split()[2]}:
        assert text not in log, text


def test_faulty_users_file(own_server):
    """A faulty line at the start costs its own account alone; later a faulty file changes nothing."""
    s = own_server()
    box = s.add_user("bob", A)
    s.write_users()
    users = s.users_path
    good = users.read_text()
    users.write_text(good + "no colon at all\neve:{PLAIN}x:no-such-user::::\n")
    s.write_users = lambda: None
    s.start()
    with s.wire("tls") as w:
        w.login("bob", box.password)
        w.quit()
    assert "no colon" in s.log() and "good-lines-only" in s.log()
    users.write_text(good)
    time.sleep(2.5)
    users.write_text("all of it is wrong\n")
    time.sleep(2.5)
    with s.wire("tls") as w:
        w.login("bob", box.password)
        w.quit()
    assert "old-accounts-stay" in s.log()
