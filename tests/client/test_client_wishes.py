"""What users of other fetchers asked for, each from the outside: rules of keeping, plans, status, coming from another
program, several accounts, events for programs, exit codes, faults of a configuration.

Does not know: what goes wrong on servers; that is the business of tests/lab and of the others here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
from evil import Evil, Fault
from lab import Client, as_stored, ledger, mails, sound, stored
from popfault import Door, PopFault
from test_client_hands import command

MESSAGES = mails(5)


def told(out: bytes) -> list:
    """What --json said, each line an object; warnings of the configuration stand before."""
    rows = [line for line in out.splitlines() if not re.match(rb"\S+restante\.conf:\d+: warning: ", line)]
    return [json.loads(row) for row in rows]


# --- rules and plans --------------------------------------------------------------------------------


@pytest.mark.parametrize("keep,left", [("until 80% of 1000", 800 // 89), ("until 50% of 1000", 500 // 89),
                                       ("until 100% of 2G", 12), ("until 1% of 1000", 0)])
def test_until_a_share_of_the_quota(tmp_path, keep, left):
    """The oldest leave until the rest is below; each is here before it leaves there."""
    messages = [(u, d + b"." * (89 - len(d))) for u, d in mails(12, size=20)]
    messages = [(u, d[:87] + b"\r\n") for u, d in messages]
    assert {len(d) for _, d in messages} == {89}
    with Evil(messages) as server:
        client = Client(tmp_path)
        for _ in range(2):
            code, out = client.run(server.port, keep)
            assert code == 0, out
        assert server.uids() == [u for u, _ in messages][12 - left:]
        assert stored(client.maildir) == sorted(as_stored(d) for _, d in messages)


def test_plan_in_words_and_for_programs(tmp_path):
    """-n: "would fetch 5, delete 37", and then neither is done."""
    messages = mails(37)
    with Evil(messages) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        server.messages += [(b"new-%d" % n, b"Subject: new\r\n\r\nnew %d\r\n" % n) for n in range(5)]
        before, here = len(server.log), stored(client.maildir)
        code, out = command(client, server.port, "newest 5", "--dry-run")
        assert code == 0 and re.search(rb"would fetch 5 .*delete 37\b", out), out
        code, out = command(client, server.port, "newest 5", "--dry-run", "--json")
        done = told(out)[-1]
        assert code == 0 and done["event"] == "done" and done["dry"] is True
        assert done["new"] == 5 and done["deleted"] == 37
        assert not {b"RETR", b"DELE", b"TOP"} & {line.split()[0] for _, line in server.log[before:]}
        assert stored(client.maildir) == here and len(server.uids()) == 42
        code, out = client.run(server.port, "newest 5")
        assert code == 0 and re.search(rb"\b5 new\b.*\b37 deleted\b", out), out
        assert len(server.uids()) == 5 and len(stored(client.maildir)) == 42


# --- status -----------------------------------------------------------------------------------------


def test_status_of_an_account(tmp_path):
    """Last success, what was new, what is known, deletions that are not confirmed, quarantine, the last error; for
    people and for programs; the exit code is the account's health."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        code, out = command(client, server.port, "all", "status", "--json")
        assert told(out)[0]["last_success"] is None
        assert client.run(server.port, "all")[0] == 0
        code, out = command(client, server.port, "all", "status", "--json")
        one = told(out)[0]
        assert code == 0 and one["account"] == "a" and one["last_success"] == one["last_try"] > 0
        assert (one["last_exit"], one["failures"], one["last_new"], one["stored"]) == (0, 0, 5, 5)
        assert (one["pending_deletes"], one["quarantined"]) == (0, 0)
        success = one["last_success"]
        server.messages.append((b"bad", b"Subject: bad\r\n\r\nbad\r\n"))
        server.fault = Fault(retr_err={6: "always"}, lost_quit="forget")
        for _ in range(2):
            assert client.run(server.port, "none", retries=0, quarantine_after=1)[0] == 75
        code, out = command(client, server.port, "none", "status", "--json")
        one = told(out)[0]
        assert code == 1 and one["last_success"] == success and one["failures"] == 2
        assert (one["pending_deletes"], one["quarantined"], one["stored"]) == (5, 1, 0) and one["last_error"], one
        code, out = command(client, server.port, "none", "status")
        row = next(line for line in out.splitlines() if line.startswith(b"a "))
        assert code == 1 and re.search(rb"ago +0 +0 +5 +1 +\S", row), out


# --- coming from another program ----------------------------------------------------------------------


def imports(port):
    """What other programs would have left behind after fetching MESSAGES as u at 127.0.0.1."""
    uids = [u for u, _ in MESSAGES]
    return {
        "fetchmail": b"".join(b"u@127.0.0.1 " + u + b"\n" for u in uids),
        "getmail": b"".join(u + b"\x001700000000\n" for u in uids),
        "mpop": b" 5 127.0.0.1 u\n" + b"".join(u + b"\n" for u in uids),
        "thunderbird": b"# POP3 State File\n# This is a generated file!  Do not edit.\n\n*127.0.0.1 u\n"
                       + b"".join(b"k " + u + b" 1700000000\n" for u in uids),
    }


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("program", ["fetchmail", "getmail", "mpop", "thunderbird"])
def test_switching_fetches_nothing_again(tmp_path, program, named):
    """The state of the other program is taken over: only what is new since comes, and nothing without a copy here is
    deleted there, whatever "keep" says."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        (tmp_path / "theirs").write_bytes(imports(server.port)[program])
        words = ["state", "import", "a", str(tmp_path / "theirs"), *(["--format", program] if named else [])]
        for _ in range(2):  # twice is as good as once
            code, out = command(client, server.port, "all", *words)
            assert code == 0, out
        server.messages.append((b"new", b"Subject: new\r\n\r\nnew\r\n"))
        before = len(server.log)
        code, out = client.run(server.port, "none")
        assert code == 0 and b"1 new" in out, out
        assert [line for _, line in server.log[before:] if line.startswith((b"RETR", b"TOP"))] == [b"RETR 6"]
        assert server.uids() == [u for u, _ in MESSAGES]
        assert stored(client.maildir) == [b"Subject: new\n\nnew\n"]


def test_import_of_a_damaged_file_takes_nothing(tmp_path):
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        (tmp_path / "theirs").write_bytes(imports(server.port)["mpop"][:-12])
        code, out = command(client, server.port, "all", "state", "import", "a", str(tmp_path / "theirs"))
        assert code == 65, out
        assert client.run(server.port, "all")[0] == 0
        ledger(client, server, MESSAGES, "all")


# --- several accounts ---------------------------------------------------------------------------------


def accounts(client, rows) -> object:
    """A configuration of several accounts: {name: settings}"""
    text = ""
    for name, (port, keep, deliver, more) in rows.items():
        part = client.config(port, keep, deliver, client.state, more).read_text()
        head, _, body = part.partition('account "a"')
        text = (text or head) + f'account "{name}"' + body
    conf = client.root / "restante.conf"
    conf.write_text(text)
    return conf


def run(client, conf, *words, **how):
    environ = dict(os.environ, HOME=str(client.root), ASAN_OPTIONS="exitcode=99")
    done = subprocess.run([client.program, "-c", conf, *words], env=environ, stdin=subprocess.DEVNULL, cwd=client.root,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    assert sound(done.stdout, done.returncode)
    return done.returncode, done.stdout


@pytest.mark.parametrize("pipelining", [True, False])
def test_several_accounts_into_one_maildir(tmp_path, pipelining):
    """Six at once, with the same unique-ids and the same messages among them: each message once for each account."""
    servers, client = [], Client(tmp_path)
    try:
        for n in range(6):
            own = [(u, d.replace(b"\r\n\r\n", b"\r\nX-Account: %d\r\n\r\n" % n, 1)) for u, d in mails(20)]
            servers.append(Evil([*own, (b"same", b"Subject: same\r\n\r\nsame\r\n")], Fault(pipelining=pipelining)))
            servers[-1].__enter__()
        rows = {f"a{n}": (s.port, "none", f"maildir:{client.maildir}", {}) for n, s in enumerate(servers)}
        all_mail = sorted(as_stored(d) for s in servers for _, d in s.messages)
        code, out = run(client, accounts(client, rows), "fetch")
        assert code == 0, out
        assert stored(client.maildir) == all_mail and not list((client.maildir / "tmp").iterdir())
        assert not any(s.uids() for s in servers)
        assert len(re.findall(rb"^a\d +21 new", out, re.M)) == 6, out
    finally:
        for s in servers:
            s.__exit__()


def test_one_account_that_fails(tmp_path):
    """The others come in; the code of the run is the failed one's, and 75 when several fail in ways of their own."""
    with Evil(MESSAGES) as good, Evil(MESSAGES, Fault(says={"PASS": b"-ERR [AUTH] no\r\n"})) as wrong, \
            Evil(MESSAGES, Fault(says={"": b"220 smtp\r\n"})) as other:
        client = Client(tmp_path)
        rows = {"good": (good.port, "none", f"maildir:{tmp_path}/good", {}),
                "wrong": (wrong.port, "none", f"maildir:{tmp_path}/wrong", {"retries": 0})}
        code, out = run(client, accounts(client, rows), "fetch")
        assert code == 77 and stored(tmp_path / "good") == sorted(as_stored(d) for _, d in MESSAGES), out
        rows["other"] = (other.port, "none", f"maildir:{tmp_path}/other", {"retries": 0})
        conf = accounts(client, rows)
        assert run(client, conf, "fetch")[0] == 75
        assert run(client, conf, "fetch", "other")[0] == 76
        assert run(client, conf, "fetch", "good")[0] == 0


# --- what is said ---------------------------------------------------------------------------------------


def test_events_for_programs(tmp_path):
    """--json: one object a line, from begin to done; the sums are those of the ledger, and server text is harmless."""
    messages = [(b"\x1b[31m\"\\\xff", b"Subject: odd\r\n\r\nodd\r\n"), *MESSAGES]
    with Evil(messages, Fault(retr_err={3: "always"})) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", args=["--json"], retries=0)
        events = told(out)
        assert code == 75 and events[0]["event"] == "begin" and events[-1]["event"] == "done"
        assert {e["account"] for e in events} == {"a"}
        stages = [e["stage"] for e in events if e["event"] == "stage"]
        assert stages.index("connected") < stages.index("logging in") < stages.index("listing")
        done = events[-1]
        assert (done["exit"], done["new"], done["fetched"], done["deleted"], done["failed"]) == (75, 6, 5, 5, 1)
        assert done["fetched_octets"] == sum(len(d) for i, (_, d) in enumerate(messages) if i != 2)
        assert sum(e["event"] == "message" and e["what"] == "stored" for e in events) == 5
        assert b"\x1b" not in out


@pytest.mark.parametrize("args", [(), ("-q",), ("-v",), ("--no-progress",)])
def test_no_terminal_no_painting(tmp_path, args):
    """Without a terminal: no line is repainted; -q says nothing at all unless something failed."""
    with Evil(mails(40, size=500)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", args=args, tls="none")
        assert code == 0 and b"\r" not in out and b"\x1b" not in out, out
        assert (out == b"") == (args == ("-q",)), out
        server.fault = Fault(says={"PASS": b"-ERR [AUTH] no\r\n"})
        code, out = client.run(server.port, "none", args=args)
        assert code == 77 and out != b""


def test_faults_of_a_configuration_all_at_once(tmp_path):
    """Each with its file and line, and nothing is begun."""
    client = Client(tmp_path)
    with Evil(MESSAGES) as server:
        conf = client.config(server.port, "sometimes", f"maildir:{client.maildir}", client.state,
                             {"reply_timeout": '"soon"', "retries": '"-1"', "colour": '"red"', "deliver": '"pigeon:x"'})
        text = conf.read_text().splitlines()
        for words in ((), ("config", "check", str(conf))):
            code, out = run(client, conf, *words)
            assert code == 78, out
            for name in ("keep", "reply-timeout", "retries", "colour", "deliver"):
                line = next(n for n, row in enumerate(text, 1) if row.startswith(f"  {name} ="))
                assert re.search(rf"{re.escape(str(conf))}:{line}: .*", out.decode()), (name, line, out)
        assert server.log == [] and not client.maildir.exists()


CODES = {
    "word": 64, "option": 64, "no account of that name": 64, "faulty configuration": 78, "no configuration": 78,
    "no such host": 68, "nobody listens": 69, "not POP3": 76, "wrong password": 77, "busy": 75, "file in the way": 77,
    "destination that cannot be made": 73,
    "nothing to import": 66, "rubbish to import": 65, "all well": 0,
}


@pytest.mark.parametrize("what", CODES)
def test_exit_codes(tmp_path, what):
    """Those of the manual page."""
    client = Client(tmp_path)
    says = {"not POP3": {"": b"220 smtp\r\n"}, "wrong password": {"PASS": b"-ERR [AUTH] no\r\n"},
            "busy": {"PASS": b"-ERR [IN-USE] busy\r\n"}}.get(what, {})
    words = {"word": ["fetsch"], "option": ["--colour"], "no account of that name": ["fetch", "b"],
             "nothing to import": ["state", "import", "a", f"{tmp_path}/none"],
             "rubbish to import": ["state", "import", "a", f"{tmp_path}/rubbish"]}.get(what, ["fetch"])
    (tmp_path / "rubbish").write_bytes(b"\x7fELF\0\0")
    settings = {"retries": 0}
    with Evil(MESSAGES, Fault(says=says)) as server:
        if what == "no such host":
            settings["server"] = '"pop://nobody.invalid"'
        elif what == "faulty configuration":
            settings["retries"] = '"never"'
        elif what == "file in the way":
            client.maildir.write_text("not a folder")
        elif what == "destination that cannot be made":
            client.maildir = tmp_path / ("x" * 300)
        port = server.port
        if what == "nobody listens":
            server.__exit__()
        if what == "no configuration":
            code, out = run(client, tmp_path / "absent.conf", "fetch")
        else:
            code, out = command(client, port, "none", *words, **settings)
    assert code == CODES[what], f"exit {code}\n{out}"
    assert code == 0 or re.search(rb"\S", out)


def test_the_same_run_goes_on(tmp_path):
    """The line is lost four times, each time somewhere else: one call of the program brings everything in."""
    messages = mails(40)
    with Evil(messages, Fault(sessions={0, 1, 2, 3}, drop_before=13)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", retries=6, pipelining='"no"', timeout=55)
        assert code == 0, out
        assert len(server.sent) == 5 and server.verbs().count("RETR") <= 40 + 4
        ledger(client, server, messages, "none")


def test_probe_needs_no_account(tmp_path, pki):
    """A host alone: what it says and can do, its certificate and pin; nobody logs in."""
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pki.server)) as server:
        client = Client(tmp_path)
        conf = tmp_path / "empty.conf"
        conf.write_text("")
        code, out = run(client, conf, "probe", "--ca-file", str(pki.ca.pem), f"pops://localhost:{server.port}")
        assert code == 0 and b"sha256//" in out and b"PIPELINING" in out and b"TLSv1.3" in out, out
        assert not {"USER", "PASS", "AUTH", "APOP"} & set(server.verbs())
        code, out = run(client, conf, "probe", f"pops://localhost:{server.port}")
        assert code == 77, out
