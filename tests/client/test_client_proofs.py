"""Rows of the client that stand on their own, and the oddities of servers that a plain drain does not meet.

QUIRKS says for each of the known oddities of real servers (numbers 1 to 29) which tests play such a server:

     1 CAPA hangs, drops, errs            16 new unique-ids for the same mail
     2 more capabilities after the login  17 any order, numbers in between
     3 CAPA lacks what works              18 listings that are empty or refused for once
     4 mechanisms that are not listed     19 empty lists, dots in lists, LF alone
     5 AUTH in two lines, long tokens     20 TOP is wrong
     6 odd continuations of SASL          21 no line end before the last dot
     7 odd greetings and answers          22 dots that are not doubled
     8 a busy maildrop said in words      23 RETR marks as read
     9 the line drops on a bad password   24 single messages are refused
    10 STLS is offered and fails          25 long lines, NUL
    11 UTF-8 mail without UTF8            26 sixty seconds of idleness
    12 locks that outlive a session       27 a message that is none: folder internal data
    13 sizes that are wrong               28 a bare answer to DELE
    14 odd lines and octets of UIDL       29 hosts by turns, each with a view of its own
    15 one unique-id for equal messages

Does not know: names in DNS (test_client_names.py), clocks (test_client_clock.py), attacks (test_client_attacks.py).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from evil import Evil, Fault
from lab import Client, as_stored, ledger, mails, stored
from popfault import Door, PopFault, whole
from test_client_fetcher import ENDED, READY, Fetcher
from test_client_hands import command
from test_client_login import STAMP, sasl
from test_client_tls import by_tls, no_secret

HERE = Path(__file__).resolve().parent
MESSAGES = mails(5)
ROOT = os.geteuid() == 0
SHORT = {"reply_timeout": "2s", "read_timeout": "2s"}

DRAINED = "test_client_quirks.py::test_drained"
QUIRKS = {
    1: [DRAINED + "[1 CAPA is refused]", DRAINED + "[1 CAPA ends the line]", "test_faults.py::test_silent_after_a_command"],
    2: [DRAINED + "[2 UIDL and PIPELINING after the login]"],
    3: [DRAINED + "[3 CAPA without UIDL, which works]"],
    4: ["test_client_login.py::test_xoauth2_in_two_lines"],
    5: ["test_client_login.py::test_xoauth2_in_two_lines"],
    6: ["test_client_login.py::test_plus_alone", "test_client_login.py::test_login", "test_6_ok_instead_of_a_plus"],
    7: [DRAINED + "[7 lower case]", DRAINED + "[7 bare +OK]", DRAINED + "[7 odd texts]", "test_7_plus_err_is_no_success"],
    8: ["test_8_busy_in_words", "test_8_one_failure_disables_nothing"],
    9: ["test_client_login.py::test_line_that_drops_on_a_wrong_password"],
    10: ["test_10_stls_that_fails"],
    11: ["test_11_utf8_mail_is_refused"],
    12: ["test_client_login.py::test_in_use_is_waited_for", "test_client_quirks.py::test_login_delay_is_kept"],
    13: [DRAINED + "[13 sizes of -1]", DRAINED + "[13 STAT of less]",
         "test_client_quirks.py::test_13_sizes_change_between_sessions"],
    14: [DRAINED + "[14 several spaces]", DRAINED + "[14 slash, at, eight bits]", DRAINED + "[14 200 octets]",
         "test_faults.py::test_odd_unique_ids", "test_14_ids_that_differ_in_case"],
    15: ["test_client_quirks.py::test_15_equal_ids_for_equal_messages"],
    16: ["test_client_quirks.py::test_16_new_ids_after_a_move", "test_faults.py::test_all_unique_ids_changed"],
    17: [DRAINED + "[17 any order]", "test_client_quirks.py::test_17_inserted_in_the_middle"],
    18: ["test_client_quirks.py::test_18_uidl_refused_for_once", "test_faults.py::test_listing_with_holes"],
    19: [DRAINED + "[19 a dot before names]", "test_19_nothing_in_the_lists", "test_19_lf_alone"],
    20: [DRAINED + "[20 no TOP]", "test_20_top_is_wrong"],
    21: ["test_client_quirks.py::test_21_no_line_end_before_the_dot"],
    22: ["test_content.py::test_server_that_does_not_stuff"],
    23: ["test_client_quirks.py::test_23_fetched_is_hidden"],
    24: ["test_client_quirks.py::test_24_one_message_is_refused"],
    25: ["test_content.py::test_every_content_at_once"],
    26: ["test_26_a_silent_minute", "test_faults.py::test_silent_after_a_command"],
    27: ["test_27_folder_internal_data"],
    28: ["test_client_quirks.py::test_28_bare_answer_to_dele"],
    29: ["test_29_hosts_by_turns"],
}


def test_every_quirk_is_played():
    """Each number of the head comment has a test, each test exists, and so does each of its named variants."""
    numbers = sorted(int(n) for n in re.findall(r"(?:^| {2,})(\d+) [a-zA-Z]", __doc__, re.M))
    assert numbers == list(range(1, 30)) == sorted(QUIRKS)
    texts = {p.name: p.read_text() for folder in ("client", "lab") for p in (HERE.parent / folder).glob("test_*.py")}
    for number, tests in QUIRKS.items():
        assert tests, number
        for test in tests:
            file, _, rest = test.rpartition("::")
            name, _, variant = rest.partition("[")
            text = texts[file or Path(__file__).name]
            assert re.search(rf"^def {name}\(", text, re.M), f"{number}: {test}"
            assert not variant or f'"{variant[:-1]}"' in text, f"{number}: {test}"
            assert str(number) in name or file or not variant


# --- oddities ---------------------------------------------------------------------------------------


def test_6_ok_instead_of_a_plus(tmp_path):
    """"+OK" is no challenge: a login that nobody tried yet is not believed, and no password follows it."""
    door = Door(words=sasl(b"PLAIN"), auth={"PLAIN": [b"+OK go ahead\r\n"]})
    with PopFault(MESSAGES, door=door) as server:
        code, out = Client(tmp_path).run(server.port, "none", auth='"PLAIN"', retries=0)
        assert code == 76 and whole(out), out
        assert server.answers == [] and "STAT" not in server.verbs() and len(server.uids()) == 5


@pytest.mark.parametrize("verb", ["", "USER", "PASS", "DELE", "QUIT"])
def test_7_plus_err_is_no_success(tmp_path, verb):
    """"+ERR" is a refusal that somebody misspelt; it is never taken for +OK."""
    with Evil(MESSAGES, Fault(says={verb: b"+ERR no\r\n"})) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", retries=0)
        assert code != 0 and whole(out), out
        assert verb in ("DELE", "QUIT") or not stored(client.maildir)
        server.settle()
        server.heal()
        assert client.run(server.port, "none")[0] == 0
        ledger(client, server, [m for m in MESSAGES], "none")


@pytest.mark.limit(90)
@pytest.mark.parametrize("said", [b"-ERR Service unavailable", b"-ERR Can't get lock. Mailbox in use",
                                  b"-ERR maildrop LOCKED by another session", b"-ERR mailbox is busy"])
def test_8_busy_in_words(tmp_path, said):
    """Old servers have no [IN-USE]: neither is the password wrong, nor is a new one asked for."""
    with Evil(MESSAGES, Fault(sessions={0}, says={"PASS": said + b"\r\n"})) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "none", retries=0)[0] == 75
        code, out = client.run(server.port, "none")
        assert code == 0, out
        ledger(client, server, MESSAGES, "none")


def test_8_one_failure_disables_nothing(tmp_path):
    """A good password that was refused once: the daemon comes again at its interval."""
    with Evil(MESSAGES, Fault(sessions={0}, says={"PASS": b"-ERR wrong password\r\n"})) as server:
        client = Client(tmp_path)
        child = client.start(server.port, "none", args=["--daemon"], interval="10s")
        try:
            until(lambda: not server.uids(), 40)
        finally:
            child.terminate()
            out = child.communicate(timeout=20)[0]
        assert whole(out) and server.verbs().count("PASS") == 2, server.log
        ledger(client, server, MESSAGES, "none")


def until(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert what()


@pytest.mark.proves("R6186-10", "R8314-C-03")
@pytest.mark.parametrize("tls", ["auto", "stls"])
@pytest.mark.parametrize("how", ["closes", "rubbish", "other certificate"])
def test_10_stls_that_fails(tmp_path, pki, tls, how, monkeypatch):
    """TLS is offered and then there is none: nothing goes on in the clear, and it is fetched when TLS works again."""
    if how == "other certificate":
        door = Door(tls="stls", certificate=pki.strangers.issue("quirk10", "x", dns=["localhost"]))
    else:
        door = Door(tls="stls", certificate=pki.server)
    with PopFault(MESSAGES, door=door) as server:
        from popfault import Visit, evil

        right = Visit.handshake

        def broken(self):
            if how == "rubbish":
                self.put(b"500 TLS is not configured\r\n")
            raise evil.Gone

        if how != "other certificate":
            monkeypatch.setattr(Visit, "handshake", broken)
        settings = {**by_tls(server, pki), "tls": tls, "server": f'"pop://localhost:{server.port}"', **SHORT}
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", **settings)
        assert code != 0 and whole(out), out
        assert "STLS" in server.verbs()
        no_secret(server)
        monkeypatch.setattr(Visit, "handshake", right)
        server.door.certificate = pki.server
        assert client.run(server.port, "none", **settings)[0] == 0
        ledger(client, server, MESSAGES, "none")


@pytest.mark.parametrize("announced", [True, False])
def test_11_utf8_mail_is_refused(tmp_path, monkeypatch, announced):
    """A message that the server gives only after UTF8: it comes, or it stays there and all others come."""
    from popfault import Visit

    kept, kept_reply = Visit.do_retr, Visit.reply

    def do_retr(self, rest):
        n = self.number_of(rest)
        if n and self.drop[n - 1][0] == b"uid-3" and not getattr(self, "utf8", False):
            return self.reply("-", b"-ERR [UTF8] this message needs UTF8\r\n")
        return kept(self, rest)

    def reply(self, verb, data):
        if verb == "UTF8" and announced:
            self.utf8, data = True, b"+OK\r\n"
        return kept_reply(self, verb, data)

    monkeypatch.setattr(Visit, "do_retr", do_retr)
    monkeypatch.setattr(Visit, "reply", reply)
    words = (b"USER", b"UIDL", b"TOP") + ((b"UTF8",) if announced else ())
    with PopFault(MESSAGES, door=Door(words=words)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", retries=1)
        assert whole(out)
        left = [] if code == 0 else [b"uid-3"]
        assert (code == 0) == announced, out
        assert server.uids() == left, out
        assert stored(client.maildir) == sorted(as_stored(d) for u, d in MESSAGES if u not in left)
        monkeypatch.setattr(Visit, "do_retr", kept)
        assert client.run(server.port, "none")[0] == 0
        ledger(client, server, MESSAGES, "none")


def test_14_ids_that_differ_in_case(tmp_path):
    messages = [(b"ABC", MESSAGES[0][1]), (b"abc", MESSAGES[1][1]), (b"Abc", MESSAGES[2][1])]
    with Evil(messages) as server:
        client = Client(tmp_path)
        for _ in range(2):
            assert client.run(server.port, "all")[0] == 0
        ledger(client, server, messages, "all")
        assert server.verbs().count("RETR") == 3


@pytest.mark.parametrize("verb", ["CAPA", "LIST", "UIDL"])
def test_19_nothing_in_the_lists(tmp_path, verb):
    """An empty list has an end: nobody waits for more."""
    with Evil([], Fault(says={verb: b"+OK\r\n.\r\n"})) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", retries=0, reply_timeout="20s")
        assert code == 0 and b"QUIT" in server.commands(), out


def test_19_lf_alone(tmp_path, monkeypatch):
    """A server without CR, when told of: bodies end with LF dot LF."""
    import evil

    kept = evil.Connection.put
    monkeypatch.setattr(evil.Connection, "put", lambda self, data: kept(self, data.replace(b"\r\n", b"\n")))
    with Evil(MESSAGES, Fault(pipelining=False)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", lf_dot_ends="yes", retries=0)
        assert code == 0, out
        ledger(client, server, MESSAGES, "none")


@pytest.mark.parametrize("what", [b"-ERR no\r\n", b"+OK\r\nSubject: other\r\n\r\n.\r\n", b"+OK\r\n.\r\n"])
def test_20_top_is_wrong(tmp_path, what):
    """TOP is for the filter alone: whatever it tells, what is stored is what RETR brought."""
    with Evil(MESSAGES, Fault(says={"TOP": what})) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", filter_command='"cat >/dev/null; exit 0"')
        assert whole(out)
        if code:
            server.heal()
            assert client.run(server.port, "none")[0] == 0
        ledger(client, server, MESSAGES, "none")


@pytest.fixture(scope="session")
def fastclock(tmp_path_factory):
    library = tmp_path_factory.mktemp("fast") / "fastclock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(HERE.parent / "lib" / "fastclock.c"), "-ldl"],
                   check=True)
    return library


def test_26_a_silent_minute(fastclock, monkeypatch):
    """Servers that end a session after sixty seconds: NOOP is said before, while nothing else is; deadlines stay."""
    monkeypatch.setenv("LD_PRELOAD", str(fastclock))
    before = os.environ.get("ASAN_OPTIONS")
    with PopFault(mails(2)) as server:
        popen = subprocess.Popen

        def start(argv, **how):
            how["env"] = {**(how.get("env") or os.environ), "ASAN_OPTIONS": "exitcode=99:verify_asan_link_order=0:detect_leaks=0"}
            return popen(argv, **how)

        monkeypatch.setattr(subprocess, "Popen", start)
        f = Fetcher(server, reply_s=6000, read_s=6000, connect_s=6000)
        f.until(READY)
        until(lambda: server.verbs().count("NOOP") >= 3)
        f.tell(6)  # QUIT
        assert f.until(ENDED)[-1].flags & 1
        assert f.end() == 0
    assert os.environ.get("ASAN_OPTIONS") == before


PSEUDO = (b"pseudo", b"From: Mail System Internal Data <MAILER-DAEMON@lab>\r\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER "
                     b"INTERNAL DATA\r\nX-IMAP: 1113321 0000000002\r\nStatus: RO\r\n\r\nThis text is internal.\r\n")


def test_27_folder_internal_data(tmp_path):
    """No header decides that mail is none, for senders write headers: it is fetched once, as all else. Who wants it
    left alone says so by a filter."""
    messages = [PSEUDO, *MESSAGES]
    with Evil(messages) as server:
        client = Client(tmp_path / "plain")
        for _ in range(2):
            assert client.run(server.port, "all")[0] == 0
        ledger(client, server, messages, "all")
        client = Client(tmp_path / "filter")
        for _ in range(2):
            code, out = client.run(server.port, "none", filter_command='"grep -q ^X-IMAP: && exit 2; exit 0"')
            assert code == 0, out
        assert server.uids() == [b"pseudo"]
        assert stored(client.maildir) == sorted(as_stored(d) for _, d in MESSAGES)


@pytest.mark.parametrize("keep", ["all", "none"])
def test_29_hosts_by_turns(tmp_path, keep):
    """One name, two hosts that do not know of the same mail: what one of them does not show is not forgotten."""
    one, two = MESSAGES[:4], MESSAGES[2:]
    with Evil(one) as first, Evil(two) as second:
        client = Client(tmp_path)
        for server in (first, second) * 4:
            code, out = client.run(server.port, "all", forget_days="0")
            assert code == 0, out
        assert stored(client.maildir) == sorted(as_stored(d) for _, d in MESSAGES)
        fetched = first.verbs().count("RETR") + second.verbs().count("RETR")
        assert fetched == len(MESSAGES)
        for server in (first, second, first, second):
            assert client.run(server.port, keep, forget_days="0")[0] == 0
        assert first.uids() == ([] if keep == "none" else [u for u, _ in one])
        assert second.uids() == ([] if keep == "none" else [u for u, _ in two])
        assert stored(client.maildir) == sorted(as_stored(d) for _, d in MESSAGES)


# --- rows -------------------------------------------------------------------------------------------


@pytest.mark.proves("R8314-C-06", "R9525-05")
@pytest.mark.parametrize("tls", ["implicit", "stls"])
def test_no_way_around_a_failed_certificate(tmp_path, pki, tls):
    """On a terminal, too, nobody is asked whether to go on; no option for a hurry exists."""
    pair = pki.strangers.issue(f"around-{tls}", "x", dns=["localhost"])
    with PopFault(MESSAGES, door=Door(tls=tls, certificate=pair)) as server:
        client = Client(tmp_path)
        conf = client.config(server.port, "none", f"maildir:{client.maildir}", client.state, by_tls(server, pki))
        code, seen = client.on_terminal(conf, b"yes\ny\n\n", 30)  # what an impatient user has typed already
        assert code == 77, seen
        assert not re.search(rb"\(y|\[y|yes/no|\? *$", seen.replace(b"yes\r\ny\r\n", b""), re.I), seen
        no_secret(server)
        for option in ("--yes", "--force", "--insecure", "--no-verify", "--accept"):
            assert command(client, server.port, "none", option)[0] == 64
        no_secret(server)


@pytest.mark.proves("R8314-C-08")
def test_pins(tmp_path, pki):
    """A pin is its account's alone, can be taken back, and is not offered by a run whose certificate failed."""
    pair = pki.strangers.issue("pinned", "x", dns=["localhost"])
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pair)) as server:
        client = Client(tmp_path)
        rows = by_tls(server, pki)
        code, out = command(client, server.port, "none", "probe", "a", **{**rows, "verify": '"off"'})
        pin = re.search(rb"sha256//[A-Za-z0-9+/=]+", out)
        assert pin, out
        pinned = {**rows, "verify": "pin", "pin": '"' + pin[0].decode() + '"', "ca_file": '""'}
        conf = client.config(server.port, "all", f"maildir:{client.maildir}", client.state, pinned)
        plain = Client(tmp_path / "b").config(server.port, "all", f"maildir:{tmp_path}/b/mail", client.state, rows).read_text()
        both = conf.read_text() + plain[plain.index("account"):].replace('account "a"', 'account "b"')
        conf.write_text(both)
        done = subprocess.run([client.program, "-c", conf, "fetch"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, cwd=tmp_path, timeout=30, check=False,
                              env=dict(os.environ, HOME=str(tmp_path), ASAN_OPTIONS="exitcode=99"))
        assert done.returncode == 77, done.stdout
        assert len(stored(client.maildir)) == 5 and not stored(tmp_path / "b" / "mail")
        assert not re.search(rb"sha256//|\bpin\b", done.stdout), done.stdout
        # Taken back: the same account is refused as before.
        before = len(server.inside)
        code, out = client.run(server.port, "all", **rows)
        assert code == 77 and len(server.inside) == before, out


@pytest.mark.proves("R8314-C-10", "R4422-EXT-05")
@pytest.mark.parametrize("authzid", ["", "fred"])
@pytest.mark.parametrize("auth", ["auto", "EXTERNAL"])
def test_certificate_logs_in(tmp_path, pki, auth, authzid):
    """AUTH EXTERNAL with the certificate, and no password on the way."""
    door = Door(tls="implicit", certificate=pki.server, client_ca=str(pki.clients.pem),
                words=sasl(b"PLAIN", b"SCRAM-SHA-256", b"EXTERNAL"),
                auth={"EXTERNAL": [b"+ \r\n", b"+OK\r\n"], "PLAIN": [b"-ERR no\r\n"], "SCRAM-SHA-256": [b"-ERR no\r\n"]})
    with PopFault(MESSAGES, door=door) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", **by_tls(
            server, pki, certificate=f'"{pki.bob[0]}"', key=f'"{pki.bob[1]}"', auth=f'"{auth}"', authzid=f'"{authzid}"'))
        assert code == 0, out
        assert [c for c in server.commands() if c.startswith(b"AUTH")] == [b"AUTH EXTERNAL"]
        assert server.answers == [authzid.encode()] and all(server.shown)
        ledger(client, server, MESSAGES, "none")


@pytest.mark.proves("R8314-C-10", "R4422-02")
def test_certificate_that_is_not_mapped(tmp_path, pki):
    """EXTERNAL is refused: that is no wrong password, and the password follows."""
    door = Door(tls="implicit", certificate=pki.server, client_ca=str(pki.clients.pem), words=sasl(b"PLAIN", b"EXTERNAL"),
                auth={"EXTERNAL": [b"+ \r\n", b"-ERR nobody has it\r\n"], "PLAIN": [b"+ \r\n", b"+OK\r\n"]})
    with PopFault(MESSAGES, door=door) as server:
        code, out = Client(tmp_path).run(server.port, "none", **by_tls(
            server, pki, certificate=f'"{pki.bob[0]}"', key=f'"{pki.bob[1]}"'))
        assert code == 0 and server.uids() == [], out
        assert server.answers == [b"", b"\0u\0p"]


@pytest.mark.proves("R4422-02")
@pytest.mark.parametrize("offered,first", [
    ((b"LOGIN", b"PLAIN", b"CRAM-MD5", b"SCRAM-SHA-1", b"SCRAM-SHA-256"), b"SCRAM-SHA-256"),
    ((b"LOGIN", b"CRAM-MD5", b"SCRAM-SHA-1", b"PLAIN"), b"SCRAM-SHA-1"),
    ((b"LOGIN", b"CRAM-MD5", b"PLAIN"), b"PLAIN"),  # CRAM-MD5 only when told so
    ((b"LOGIN", b"XOAUTH2", b"NTLM"), b"LOGIN"),
])
def test_strongest_of_what_is_offered(tmp_path, offered, first):
    with PopFault(MESSAGES, door=Door(words=sasl(*offered), auth={})) as server:
        Client(tmp_path).run(server.port, "none", retries=0)
        tried = [c.split()[1] for c in server.commands() if c.startswith(b"AUTH")]
        assert tried[0] == first and b"CRAM-MD5" not in tried, tried
        assert sorted(tried) == sorted(set(tried))


@pytest.mark.proves("R4422-02", "R5034-20")
def test_wrong_proof_is_cancelled(tmp_path):
    """The server's signature is wrong: "*", the end, and no weaker way behind it."""
    from test_client_login import LIES, Scram

    one = Scram(**LIES["wrong signature"][0])
    door = Door(words=sasl(b"SCRAM-SHA-256", b"PLAIN", b"LOGIN"), auth={"SCRAM-SHA-256": one.script()})
    with PopFault(MESSAGES, door=door) as server:
        code, out = Client(tmp_path).run(server.port, "none", retries=2)
        assert code == 77, out
        assert server.answers[-1] == b"*" and server.answers.count(b"") == 0
        assert [c for c in server.commands() if c.startswith((b"AUTH", b"USER"))] == [b"AUTH SCRAM-SHA-256"]
        assert len(server.sent) == 1 and len(server.uids()) == 5


@pytest.mark.proves("R6856-LANG-07")
@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_language(tmp_path, pki, tls):
    """LANG is not sent where everybody can change it; what the server says is shown without its control octets."""
    said = b"-ERR [AUTH] \x1b]0;title\x07\x1b[31mnon \xc2\x9b1m\xe2\x80\xae oui \xff\r\n"
    door = Door(tls=tls, certificate=pki.server, words=(b"USER", b"UIDL", b"LANG", b"UTF8"))
    with PopFault(MESSAGES, Fault(says={"PASS": said}), door) as server:
        rows = by_tls(server, pki) if tls == "implicit" else {"retries": 0}
        code, out = Client(tmp_path).run(server.port, "none", args=["-v"], **rows)
        assert code == 77 and b"oui" in out, out
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", out) and b"\xc2\x9b" not in out and b"\xe2\x80\xae" not in out
        out.decode()
        assert tls == "implicit" or "LANG" not in server.verbs()


@pytest.mark.proves("R2384-07")
@pytest.mark.parametrize("words", [(b"USER",), (b"SASL PLAIN LOGIN", b"USER")])
def test_any_mechanism_is_no_leave_for_plain_text(tmp_path, words):
    """";AUTH=*" in the URL: what the server has, but no password in the clear."""
    with PopFault(MESSAGES, door=Door(words=words, greeting=b"+OK " + STAMP + b"\r\n")) as server:
        code, out = Client(tmp_path).run(server.port, "none", server=f'"pop://u;AUTH=*@127.0.0.1:{server.port}"', user='""',
                                         plaintext_auth="no", retries=0)
        assert code == 77 and whole(out), out
        no_secret(server)


# --- names without CNAME -----------------------------------------------------------------------------


@pytest.mark.proves("R7817-02")
@pytest.mark.skipif(not ROOT or not shutil.which("unshare"), reason="mounts a file of hosts of its own")
def test_the_name_that_was_asked_for(tmp_path, pki):
    """The resolver says that pop.lab.test is called real.lab.test: the certificate must be for the former."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 real.lab.test pop.lab.test\n127.0.0.1 localhost\n")
    assert canonical(hosts, "pop.lab.test") == "real.lab.test"
    wrap = ["unshare", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
    for name, good in (("real.lab.test", False), ("pop.lab.test", True)):
        pair = pki.ca.issue("canon-" + name, "x", dns=[name])
        with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pair)) as server:
            client = Client(tmp_path / name)
            rows = {**by_tls(server, pki), "server": f'"pops://pop.lab.test:{server.port}"'}
            code, out = client.run(server.port, "none", wrap=wrap, **rows)
            assert (code == 0) == good, out
            if not good:
                assert code == 77
                no_secret(server)


def canonical(hosts, name):
    """Does the resolver of this system take the first name for the canonical one? Else the test would prove nothing."""
    text = "import socket; print(socket.getaddrinfo(%r, 1, socket.AF_INET, socket.SOCK_STREAM, 0, socket.AI_CANONNAME)[0][3])"
    done = subprocess.run(["unshare", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh", sys.executable,
                           "-c", text % name], capture_output=True, text=True, check=False)
    return done.stdout.strip()
