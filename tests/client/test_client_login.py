"""Logging in: hostile mechanisms, tokens, APOP, what is tried again and what is not, and where secrets never show."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
from pathlib import Path

import pytest
from evil import Fault
from lab import Client, ledger, mails, stored
from popfault import Door, PopFault, challenge, whole

MESSAGES = mails(3)
PASSWORD = b"p"
TOKEN = "t0ken-Of-Many-Letters" * 200     # 4 KiB, as those of large providers
PLAIN = b"\0u\0p"


def sasl(*names):
    return (b"SASL " + b" ".join(names), b"UIDL", b"TOP", b"PIPELINING", b"RESP-CODES", b"AUTH-RESP-CODE")


def unanswered(root, door, code=None, fault=None, **settings):
    """A login that must fail: nothing stored, nothing deleted. -> server, exit code, output"""
    with PopFault(MESSAGES, fault, door) as server:
        client = Client(root)
        got, out = client.run(server.port, "none", **{"retries": 0, **settings})
        assert got != 0 and whole(out) and (code is None or got == code), f"exit {got}\n{out}"
        assert stored(client.maildir) == [] and server.uids() == [u for u, _ in MESSAGES]
        return server, got, out


def well(root, door, **settings):
    """A login that works. -> server"""
    with PopFault(MESSAGES, door=door) as server:
        client = Client(root)
        code, out = client.run(server.port, "none", **{"retries": 0, **settings})
        assert code == 0, f"{out}\n{server.log}"
        ledger(client, server, MESSAGES, "none")
        return server


class Scram:
    """The server's side, honest but for what it is told to change."""

    def __init__(self, **how):
        self.iterations = how.get("iterations", b"4096")
        self.salt = how.get("salt", b"salt of the test")
        self.nonce = how.get("nonce", lambda mine: mine + b"server")
        self.final = how.get("final", lambda right: b"v=" + right)
        self.first = b""

    def begin(self, line):
        self.gs2, self.bare = line[:3], line.split(b",", 2)[2]
        mine = dict(p.split(b"=", 1) for p in self.bare.split(b",")).get(b"r", b"")
        self.first = b"r=" + self.nonce(mine) + b",s=" + base64.b64encode(self.salt) + b",i=" + self.iterations
        return challenge(self.first)

    def prove(self, line):
        bare = line.rpartition(b",p=")[0]
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD, self.salt, int(self.iterations))
        key = hmac.new(salted, b"Server Key", "sha256").digest()
        right = hmac.new(key, self.bare + b"," + self.first + b"," + bare, "sha256").digest()
        self.proved = True
        return challenge(self.final(base64.b64encode(right)))

    def script(self):
        return [self.begin, self.prove, b"+OK\r\n"]


def scram_door(**how):
    one = Scram(**how)
    auth = {"SCRAM-SHA-256": one.script(), "PLAIN": [b"-ERR no\r\n"]}
    return one, Door(words=sasl(b"SCRAM-SHA-256", b"PLAIN"), auth=auth)


@pytest.mark.proves("R5802-19")
def test_scram(tmp_path):
    one, door = scram_door()
    server = well(tmp_path, door)
    assert b"AUTH SCRAM-SHA-256" in server.commands()[1]
    assert one.gs2.startswith((b"n,,", b"y,,"))


LIES = {
    "wrong signature": ({"final": lambda right: b"v=" + base64.b64encode(b"x" * 32)}, "R5034-20"),
    "no signature": ({"final": lambda right: b"x=1"}, "R5802-13"),
    "empty": ({"final": lambda right: b""}, "R5802-13"),
    "error": ({"final": lambda right: b"e=other-error"}, "R5802-13"),
    "nonce of its own": ({"nonce": lambda mine: b"abcdefgh" * 4}, "R5802-08"),
    "same nonce": ({"nonce": lambda mine: mine}, "R5802-08"),
    "no iterations": ({"iterations": b"0"}, "R5802-12"),
    "few": ({"iterations": b"1"}, "R5802-12"),
    "2^31": ({"iterations": b"2147483648"}, "R5802-12"),
    "2^32-1": ({"iterations": b"4294967295"}, "R5802-12"),
    "negative": ({"iterations": b"-1"}, "R5802-12"),
    "large salt": ({"salt": b"s" * 5000}, "R5802-12"),
    "no salt": ({"salt": b""}, "R5802-12"),
}


@pytest.mark.parametrize("lie", [pytest.param(k, id=k, marks=pytest.mark.proves(v[1])) for k, v in LIES.items()])
def test_scram_with_a_liar(tmp_path, lie):
    """C-12: broken off at once, and the password is not sent in another way instead."""
    _, door = scram_door(**LIES[lie][0])
    begin = time.monotonic()
    server, code, out = unanswered(tmp_path, door)
    assert time.monotonic() - begin < 8
    assert "PASS" not in server.verbs() and "USER" not in server.verbs(), server.log
    assert not any(b"AUTH PLAIN" in c for c in server.commands()) and PLAIN not in server.answers, server.log
    # The password's proof may be out, the listing is not asked for.
    assert "STAT" not in server.verbs()


@pytest.mark.proves("R5802-13")
def test_scram_ok_without_proof(tmp_path):
    one = Scram()
    proved = lambda line: b"+OK welcome\r\n"  # noqa: E731
    door = Door(words=sasl(b"SCRAM-SHA-256"), auth={"SCRAM-SHA-256": [one.begin, proved]})
    server, code, out = unanswered(tmp_path, door)
    assert "STAT" not in server.verbs()


ODD = {
    "for ever": ([b"+ \r\n"], b"+ \r\n"),
    "64 k": ([b"+ " + b"QUJD" * 16384 + b"\r\n"], b"+ QUJD\r\n"),
    "not base64": ([b"+ !!!\r\n"], None),
    "base64 cut": ([b"+ QUI\r\n"], None),
    "refused": ([b"-ERR no\r\n"], None),
    "two lines": ([b"+ \r\n+ \r\n+ \r\n"], b"+ \r\n"),
    "endless line": ([b"+ " + b"A" * 300000], None),
}


@pytest.mark.limit(30)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
@pytest.mark.parametrize("what", ODD)
def test_hostile_challenges(tmp_path, what, mechanism):
    """C-12: a bounded number of rounds, and then an end."""
    script, more = ODD[what]
    door = Door(words=sasl(mechanism.encode()), auth={mechanism: script}, auth_more=more)
    server, code, out = unanswered(tmp_path, door, fault=Fault(says={"USER": b"-ERR no\r\n"}), reply_timeout="2s",
                                   read_timeout="2s", auth='"CRAM-MD5"' if mechanism == "CRAM-MD5" else '"auto"')
    assert len(server.answers) <= 12
    assert "STAT" not in server.verbs()


@pytest.mark.proves("R4616-08")
def test_plain(tmp_path):
    server = well(tmp_path, Door(words=sasl(b"PLAIN"), auth={"PLAIN": [lambda line: b"+OK\r\n"]}))
    assert server.answers[-1] == PLAIN


@pytest.mark.proves("R5034-06")
@pytest.mark.parametrize("plus", [b"+\r\n", b"+ \r\n", b"+   \r\n"])
def test_plus_alone(tmp_path, plus):
    server = well(tmp_path, Door(words=sasl(b"PLAIN"), auth={"PLAIN": [plus, b"+OK\r\n"]}), auth='"PLAIN"')
    assert server.answers[-1] == PLAIN


@pytest.mark.proves("XLOGIN-02")
@pytest.mark.parametrize("asks", [(b"Username:", b"Password:"), (b"", b""), (b"User Name\0", b"Password\0")])
def test_login(tmp_path, asks):
    """The texts of the challenges mean nothing."""
    script = [challenge(asks[0]), challenge(asks[1]), b"+OK\r\n"]
    door = Door(words=sasl(b"NTLM", b"GSSAPI", b"LOGIN"), auth={"LOGIN": script})
    assert well(tmp_path, door).answers == [b"u", b"p"]


@pytest.mark.proves("R2195-03")
def test_cram_md5(tmp_path):
    asked = b"<1896.697170952@postoffice.example.net>"
    right = b"u " + hmac.new(PASSWORD, asked, "md5").hexdigest().encode()
    server = well(tmp_path, Door(words=sasl(b"CRAM-MD5"), auth={"CRAM-MD5": [challenge(asked), b"+OK\r\n"]}), auth='"CRAM-MD5"')
    assert server.answers == [right]


# --- APOP ------------------------------------------------------------------------------------------

STAMP = b"<1896.697170952@dbc.mtview.ca.us>"


def test_apop_when_told(tmp_path):
    server = well(tmp_path, Door(greeting=b"+OK hello " + STAMP + b"\r\n"), auth='"apop"')
    assert b"APOP u " + hashlib.md5(STAMP + PASSWORD).hexdigest().encode() in server.commands()


@pytest.mark.proves("R1939-APOP-09")
def test_apop_is_never_chosen(tmp_path):
    server = well(tmp_path, Door(greeting=b"+OK " + STAMP + b"\r\n"))
    assert "APOP" not in server.verbs()


@pytest.mark.proves("R1939-APOP-08")
@pytest.mark.parametrize("stamp", [b"", b"<>", b"<ab>", b"<@>", b"<a\xff@b>", b"<a@b\x01>", b"<a b@c>", b"<a@b", b"a@b>",
                                   b"<" + b"a" * 1100 + b"@b>", b"<a@b@c>"],
                         ids=["none", "empty", "no at", "at", "8-bit", "control", "space", "open", "closed", "long", "two"])
def test_apop_with_crafted_timestamps(tmp_path, stamp):
    """C-36"""
    server, code, out = unanswered(tmp_path, Door(greeting=b"+OK " + stamp + b"\r\n"), auth='"apop"')
    assert not {"APOP", "PASS", "AUTH"} & set(server.verbs()), server.log


# --- tokens ----------------------------------------------------------------------------------------


def with_token(root, door, pki, code=0, command=None, **more):
    """A server with TLS and a command that counts its runs. -> server, runs, output"""
    runs = root / "runs"
    script = root / "token"
    root.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\necho run ${{RESTANTE_TOKEN:-old}} >> {runs}\n" + (command or f"echo {TOKEN}\n"))
    script.chmod(0o755)
    door.tls, door.certificate = "implicit", pki.server
    with PopFault(MESSAGES, door=door) as server:
        client = Client(root)
        got, out = client.run(server.port, "none", server=f'"pops://localhost:{server.port}"', tls="implicit",
                              ca_file=f'"{pki.ca.pem}"', token_command=f'"{script}"', password='""', family='"4"',
                              plaintext_auth="no", retries=0, **more)
        assert got == code if isinstance(code, int) else got in code, f"exit {got}: {out}\n{server.log}"
        assert TOKEN.encode() not in out
        if got == 0:
            ledger(client, server, MESSAGES, "none")
        return server, runs.read_text().splitlines() if runs.exists() else [], out


XOAUTH2 = b"user=u\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"


@pytest.mark.proves("XOA2-04", "XOA2-05", "R2449-LEN-04")
@pytest.mark.parametrize("listed", [True, False])
def test_xoauth2_in_two_lines(tmp_path, pki, listed):
    door = Door(words=sasl(b"XOAUTH2") if listed else (b"UIDL", b"TOP"), auth={"XOAUTH2": [b"+ \r\n", b"+OK\r\n"]})
    server, runs, out = with_token(tmp_path, door, pki, auth='"XOAUTH2"')
    assert server.answers == [XOAUTH2] and runs == ["run old"]
    assert b"AUTH XOAUTH2" in server.commands()
    assert all(len(c) + 2 <= 255 for c in server.commands() if not c.startswith(b"(answer)"))


@pytest.mark.proves("XOA2-03", "R7628-10")
def test_token_that_is_refused(tmp_path, pki):
    """One fresh token, then no more; the answer to the server's reasons is an empty line."""
    error = challenge(b'{"status":"400","schemes":"Bearer","scope":"x"}')
    door = Door(words=sasl(b"XOAUTH2"), auth={"XOAUTH2": [b"+ \r\n", error, b"-ERR [AUTH] no\r\n"]})
    server, runs, out = with_token(tmp_path, door, pki, code=77, auth='"XOAUTH2"')
    assert server.answers == [XOAUTH2, b""] * 2
    assert runs == ["run old", "run fresh"], runs
    assert not {"USER", "PASS", "STAT"} & set(server.verbs())


@pytest.mark.proves("R7628-02", "R7628-07")
def test_oauthbearer(tmp_path, pki):
    error = challenge(b'{"status":"invalid_token"}')
    door = Door(words=sasl(b"OAUTHBEARER"), auth={"OAUTHBEARER": [b"+ \r\n", error, b"-ERR [AUTH] no\r\n"]})
    server, runs, out = with_token(tmp_path, door, pki, code=77, auth='"OAUTHBEARER"')
    first, end = server.answers[:2]
    assert first.startswith(b"n,a=u,\x01") and b"\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01" in first
    assert b"\x01host=localhost\x01" in first and b"\x01port=%d\x01" % server.port in first
    assert end in (b"\x01", b"*") and len(runs) == 2


@pytest.mark.proves("R7628-11")
def test_hostile_reasons(tmp_path, pki):
    evil = challenge(b'{"status":"\x1b]52;c;x\x07","x":"' + b"[" * 20000)
    door = Door(words=sasl(b"OAUTHBEARER"), auth={"OAUTHBEARER": [b"+ \r\n", evil, b"-ERR no\r\n"]})
    _, _, out = with_token(tmp_path, door, pki, code=range(64, 79), auth='"OAUTHBEARER"')
    assert b"\x1b" not in out and b"\x07" not in out and len(out) < 12000


@pytest.mark.parametrize("command", ["exit 1\n", "true\n", "echo\n", "yes | head -c 10000000\n", "kill -9 $$\n"])
def test_command_without_a_token(tmp_path, pki, command):
    """C-35: no token, no login; and no password instead."""
    door = Door(words=sasl(b"XOAUTH2", b"PLAIN"), auth={"XOAUTH2": [b"+ \r\n", b"-ERR no\r\n"]})
    server, _, out = with_token(tmp_path, door, pki, code=range(64, 79), command=command, auth='"XOAUTH2"')
    assert not {"USER", "PASS", "STAT"} & set(server.verbs())


def test_no_token_in_the_clear(tmp_path):
    """C-35"""
    door = Door(words=sasl(b"XOAUTH2", b"OAUTHBEARER"), auth={"XOAUTH2": [b"+ \r\n", b"+OK\r\n"]})
    server, code, out = unanswered(tmp_path, door, auth='"XOAUTH2"', token_command=f'"echo {TOKEN}"')
    assert server.answers == [] and "AUTH" not in server.verbs(), server.log


# --- refusals --------------------------------------------------------------------------------------


@pytest.mark.proves("R1939-USER-11", "R3206-07")
@pytest.mark.parametrize("said,code", [(b"-ERR [AUTH] wrong\r\n", 77), (b"-ERR [SYS/TEMP] later\r\n", 75),
                                       (b"-ERR [sys/temp/disk] later\r\n", 75), (b"-ERR [IN-USE] locked\r\n", 75)])
def test_exit_codes_of_refused_logins(tmp_path, said, code):
    server, _, out = unanswered(tmp_path, Door(), code=code, fault=Fault(says={"PASS": said}), retries=0)
    assert server.verbs().count("PASS") == 1


@pytest.mark.proves("R3206-07")
def test_permanent_fault_is_neither_the_password_nor_for_later(tmp_path):
    _, code, out = unanswered(tmp_path, Door(), fault=Fault(says={"PASS": b"-ERR [SYS/PERM] gone\r\n"}), retries=3)
    assert code not in (75, 77), out


@pytest.mark.proves("R1939-USER-11")
def test_rejected_password_is_not_tried_again(tmp_path):
    server, code, out = unanswered(tmp_path, Door(), code=77, fault=Fault(says={"PASS": b"-ERR bad password\r\n"}), retries=5)
    assert server.verbs().count("PASS") == 1, server.log


@pytest.mark.proves("R1939-USER-10")
def test_no_pass_after_a_refused_user(tmp_path):
    server, code, out = unanswered(tmp_path, Door(), fault=Fault(says={"USER": b"-ERR no such user\r\n"}), retries=2)
    assert "PASS" not in server.verbs()


def test_line_that_drops_on_a_wrong_password(tmp_path):
    server, code, out = unanswered(tmp_path, Door(), fault=Fault(drop_before=3), retries=1)
    assert 1 <= server.verbs().count("PASS") <= 2


@pytest.mark.limit(60)
@pytest.mark.proves("R2449-RC-07", "R2449-RC-02")
@pytest.mark.parametrize("said", [b"[IN-USE]", b"[in-use]", b"[SYS/TEMP]", b"[SYS/TEMP/X]"])
def test_in_use_is_waited_for(tmp_path, said):
    """C-12 of the quirks: a lock that is gone a little later costs no mail and no error."""
    with PopFault(MESSAGES, Fault(sessions={0}, says={"PASS": b"-ERR " + said + b" busy\r\n"})) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", retries=3, timeout=55)
        assert code == 0, out
        ledger(client, server, MESSAGES, "none")


# --- secrets ---------------------------------------------------------------------------------------

SECRET = "s3cret-Words-Here"


@pytest.mark.proves("XCL-10")
@pytest.mark.parametrize("args", [(), ("-v",), ("-vv",), ("--json",)], ids=str)
@pytest.mark.parametrize("how", ["user", "PLAIN", "LOGIN", "apop"])
def test_secret_is_nowhere(tmp_path, how, args):
    """Not in the output, not in the trace, not in a command line or an environment, not in the state."""
    door = Door(words=sasl(b"PLAIN", b"LOGIN"), greeting=b"+OK " + STAMP + b"\r\n",
                auth={"PLAIN": [lambda line: b"+OK\r\n"], "LOGIN": [challenge(b"U"), challenge(b"P"), b"+OK\r\n"]})
    with PopFault(MESSAGES, Fault(drip=0.0005), door) as server:
        client = Client(tmp_path)
        child = client.start(server.port, "all", password=f'"{SECRET}"', auth=f'"{how}"', args=args)
        seen = b""
        while child.poll() is None:
            for pid in [child.pid, *children(child.pid)]:
                for name in ("cmdline", "environ"):
                    try:
                        seen += Path(f"/proc/{pid}/{name}").read_bytes()
                    except OSError:
                        pass
            time.sleep(0.01)
        out = child.communicate()[0]
        assert child.returncode == 0, out
        encoded = [base64.b64encode(s).rstrip(b"=") for s in (SECRET.encode(), b"\0u\0" + SECRET.encode())]
        kept = b"".join(p.read_bytes() for p in client.state.rglob("*") if p.is_file())
        for form in (SECRET.encode(), *encoded):
            assert form not in seen and form not in out and form not in kept
        assert b"restante" in seen


def children(pid):
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.proves("XCL-10")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o622])
def test_secrets_in_open_files(tmp_path, mode):
    """C-28: a password that others can read is not used."""
    with PopFault(MESSAGES) as server:
        client = Client(tmp_path)
        secret = tmp_path / "secret"
        secret.write_text("p\n")
        secret.chmod(mode)
        code, out = client.run(server.port, "none", password='""', password_file=f'"{secret}"')
        assert code in (77, 78) and server.log == [], out
        secret.chmod(0o600)
        assert client.run(server.port, "none", password='""', password_file=f'"{secret}"')[0] == 0
        ledger(client, server, MESSAGES, "none")


def test_modes_of_what_is_made(tmp_path):
    """C-28: the umask does not matter to state and mail."""
    with PopFault(MESSAGES) as server:
        client = Client(tmp_path)
        before = os.umask(0)
        try:
            assert client.run(server.port, "all")[0] == 0
        finally:
            os.umask(before)
    for path in [*client.state.rglob("*"), *client.maildir.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, f"{path} {path.stat().st_mode:o}"


@pytest.mark.parametrize("field,value", [("user", "u\\nDELE 1"), ("user", "u\\rDELE 1"), ("password", "p\\r\\nDELE 1"),
                                         ("server", "pop://u%0d%0aDELE%201@127.0.0.1:{port}")])
def test_line_ends_in_settings(tmp_path, field, value):
    """C-38: refused before anything is sent."""
    with PopFault(MESSAGES) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", **{field: '"' + value.replace("{port}", str(server.port)) + '"'})
        assert code in (77, 78) and server.log == [], (code, out, server.log)
