"""What servers do wrong, one fault at a time: afterwards, and after a run where nothing goes wrong, each message is
here once, octet for octet, and on the server as "keep" says."""

from __future__ import annotations

import time

import pytest
from evil import Evil, Fault
from lab import Client, as_stored, ledger, mails, stored

MESSAGES = mails(10, size=600)
SMALL = mails(4)
SHORT = {"reply_timeout": "2s", "read_timeout": "2s"}


def recovers(root, messages, fault, keep, codes=None, **settings):
    """A run with the fault, a run without it. -> exit code, output, the server"""
    with Evil(messages, fault) as server:
        client = Client(root)
        code, out = client.run(server.port, keep, **settings)
        assert codes is None or code in codes, f"exit {code}\n{out}"
        server.settle()
        server.heal()
        again, text = client.run(server.port, keep)
        assert again == 0, text
        ledger(client, server, messages, keep)
        return code, out, server


@pytest.mark.proves("XCL-01", "XCL-02", "R1939-RETR-09", "R2449-PIPE-08")
@pytest.mark.parametrize("rst", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("keep", ["none", "all"])
def test_cut_inside_the_sixth_message(tmp_path, keep, rst):
    with Evil(MESSAGES) as server:
        assert Client(tmp_path / "clean").run(server.port, "all")[0] == 0
        middle = server.sent[0] * 11 // 20
    recovers(tmp_path, MESSAGES, Fault(cut=middle, rst=rst, sessions={0}), keep)


@pytest.mark.proves("R1939-QUIT-10", "R1939-QUIT-11")
@pytest.mark.parametrize("rst", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("how", ["commit", "forget", "err"])
@pytest.mark.parametrize("keep", ["none", "all"])
def test_quit_not_answered(tmp_path, keep, how, rst):
    """C-23: no message twice, none left behind: deletions are repeated when the server forgot them."""
    with Evil(SMALL, Fault(lost_quit=how, rst=rst)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, keep, retries=0)
        assert keep == "all" or code != 0, out
        server.settle()
        server.heal()
        before = len(server.log)
        code, out = client.run(server.port, keep)
        assert code == 0, out
        ledger(client, server, SMALL, keep)
        later = [line for _, line in server.log[before:]]
        assert not any(line.startswith(b"RETR") for line in later)
        if keep == "none" and how != "commit":
            assert sum(line.startswith(b"DELE") for line in later) == len(SMALL)


@pytest.mark.proves("XCL-02")
@pytest.mark.parametrize("n", range(1, 18))
def test_dropped_before_a_command(tmp_path, n):
    recovers(tmp_path, SMALL, Fault(drop_before=n, sessions={0}), "none")


@pytest.mark.proves("XCL-06")
@pytest.mark.limit(60)
@pytest.mark.parametrize("n", range(0, 16))
def test_silent_after_a_command(tmp_path, n):
    """C-17: the time limit ends it."""
    recovers(tmp_path, SMALL, Fault(silent_after=n, sessions={0}), "none", retries=0, **SHORT)


@pytest.mark.parametrize("keep", ["none", "all"])
def test_one_message_that_never_comes(tmp_path, keep):
    """C-44: -ERR to one RETR does not stop the others; the message comes once it can be read."""
    with Evil(MESSAGES, Fault(retr_err={4: "always"})) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, keep)
        assert code != 0, out
        assert len(stored(client.maildir)) == 9
        assert server.uids() == ([b"uid-4"] if keep == "none" else [u for u, _ in MESSAGES])
        server.heal()
        code, out = client.run(server.port, keep)
        assert code == 0, out
        ledger(client, server, MESSAGES, keep)


@pytest.mark.parametrize("keep", ["none", "all"])
def test_one_message_that_comes_late(tmp_path, keep):
    recovers(tmp_path, MESSAGES, Fault(retr_err={4: "once"}), keep)


def test_deletion_refused(tmp_path):
    recovers(tmp_path, SMALL, Fault(dele_err=True), "none")


@pytest.mark.proves("XCL-11")
@pytest.mark.parametrize("what", ["half", "empty"])
@pytest.mark.parametrize("keep", ["none", "all"])
def test_listing_with_holes(tmp_path, keep, what):
    """A listing that lacks messages is no reason to forget them."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        server.fault = Fault(half_once=what == "half", empty_once=what == "empty")
        server.spent.clear()
        assert client.run(server.port, keep)[0] == 0
        server.heal()
        before = len(server.log)
        code, out = client.run(server.port, keep)
        assert code == 0, out
        ledger(client, server, MESSAGES, keep)
        assert not any(line.startswith(b"RETR") for _, line in server.log[before:])


@pytest.mark.proves("R1939-UIDL-13")
def test_all_unique_ids_changed(tmp_path):
    """Each message is recognised by its content: nothing is stored twice."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        server.fault = Fault(rename=lambda uid: b"new-" + uid)
        code, out = client.run(server.port, "all")
        ledger(client, server, MESSAGES, "all", out)
        code, out = client.run(server.port, "all")
        assert code == 0, out
        ledger(client, server, MESSAGES, "all")


@pytest.mark.proves("R1939-RETR-10")
@pytest.mark.parametrize("size", ["more", "less", "zero", "rounded"])
def test_sizes_that_are_wrong(tmp_path, size):
    said = {"more": lambda n, o: b"%d" % (o + 5000), "less": lambda n, o: b"%d" % max(1, o - 1500),
            "zero": lambda n, o: b"0", "rounded": lambda n, o: b"%d" % (o // 1024 * 1024)}[size]
    recovers(tmp_path, MESSAGES, Fault(size=said, retr_status=b"+OK 17 octets"), "none", codes=(0,))


@pytest.mark.proves("R1939-UIDL-09")
def test_one_unique_id_for_several_messages(tmp_path):
    """C-09: each is fetched, and none goes away before it is here."""
    messages = [(b"same", data) for _, data in SMALL[:3]] + SMALL[3:]
    with Evil(messages) as server:
        client = Client(tmp_path)
        for _ in range(2):
            code, out = client.run(server.port, "none")
            assert code == 0, out
        assert stored(client.maildir) == sorted(as_stored(d) for _, d in messages)


ODD = {"long": b"x" * 200, "very long": b"y" * 900, "spaces": b"a b  c", "8-bit": b"caf\xe9\xff\x80",
       "path": b"../../x", "absolute": b"/etc/passwd", "dots": b"..", "percent": b"%2e%2e%s%n", "case": b"UID-2"}


@pytest.mark.proves("R1939-UIDL-10", "XCL-08")
@pytest.mark.parametrize("uid", ODD)
@pytest.mark.parametrize("keep", ["none", "all"])
def test_odd_unique_ids(tmp_path, keep, uid):
    """C-06, C-07: fetched once, and nothing is written outside of the folders."""
    root = tmp_path / "in"
    messages = [(ODD[uid], SMALL[0][1])] + SMALL[1:]
    recovers(root, messages, Fault(), keep, codes=(0,))
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
    for part in ("new", "cur"):
        for path in (root / "mail" / part).glob("*"):
            assert path.name.isascii() and "x" * 80 not in path.name and "passwd" not in path.name


@pytest.mark.proves("XCL-11")
@pytest.mark.parametrize("keep", ["none", "all"])
def test_gmail(tmp_path, keep):
    """A server that shows its oldest messages and hides what was fetched: all come in the end."""
    messages = mails(30)
    with Evil(messages, Fault(gmail=8)) as server:
        client = Client(tmp_path)
        for _ in range(5):
            assert client.run(server.port, keep)[0] == 0
        ledger(client, server, messages, keep)


@pytest.mark.proves("R1939-UIDL-11")
def test_keeping_without_uidl(tmp_path):
    """Nothing is fetched twice, and nothing is guessed by number."""
    with Evil(SMALL, Fault(uidl=False)) as server:
        client = Client(tmp_path)
        for _ in range(2):
            client.run(server.port, "all")
        here = stored(client.maildir)
        assert len(here) == len(set(here))
        assert server.uids() == [u for u, _ in SMALL]


@pytest.mark.parametrize("how", [{"uidl": False}, {"top": False}, {"capa": "no"}, {"capa": "drop"}, {"late_capa": True},
                                 {"uidl": False, "top": False, "capa": "no", "pipelining": False}],
                         ids=["uidl", "top", "capa", "capa drops", "late", "nothing"])
def test_draining_a_poor_server(tmp_path, how):
    with Evil(SMALL, Fault(**how)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none")
        assert code == 0, out
        ledger(client, server, SMALL, "none")


@pytest.mark.proves("R2449-PIPE-06")
@pytest.mark.parametrize("capa", ["yes", "no"])
def test_each_reply_is_awaited_without_pipelining(tmp_path, capa):
    with Evil(MESSAGES, Fault(pipelining=False, capa=capa)) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "none")[0] == 0
        ledger(client, server, MESSAGES, "none")
        assert max(server.waits) == 0, list(zip(server.commands(), server.waits))


@pytest.mark.proves("R2449-PIPE-08", "XCL-01")
def test_nothing_is_deleted_before_it_is_stored(tmp_path):
    """At each DELE that the server sees, the message is in new/."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        seen = []
        log = server.log

        class Watch(list):
            def append(self, row):
                if row[1].startswith(b"DELE"):
                    data = MESSAGES[int(row[1].split()[1]) - 1][1]
                    seen.append(as_stored(data) in stored(client.maildir))
                super().append(row)

        server.log = Watch(log)
        assert client.run(server.port, "none")[0] == 0
        assert len(seen) == len(MESSAGES) and all(seen)


@pytest.mark.proves("R2449-RC-07")
@pytest.mark.parametrize("code", ["IN-USE", "LOGIN-DELAY", "SYS/TEMP"])
def test_login_refused_for_now(tmp_path, code):
    fault = Fault(says={"PASS": b"-ERR [%s] later\r\n" % code.encode()})
    recovers(tmp_path, SMALL, fault, "none", codes=(75,), retries=0)


@pytest.mark.proves("XCL-09")
@pytest.mark.parametrize("order", [1, 2])
def test_two_runs_exclude_each_other(tmp_path, order):
    """C-25: the second one says so at once and sends nothing; a run that was killed leaves no lock behind."""
    with Evil(SMALL, Fault(silent_after=4, sessions={0})) as server:
        client = Client(tmp_path)
        first = client.start(server.port, "none")
        try:
            for _ in range(200):
                if len(server.log) > 4:
                    break
                assert first.poll() is None
                time.sleep(0.05)
            sessions = len(server.sent)
            code, out = client.run(server.port, "none", timeout=10)
            assert code == 75, out
            assert len(server.sent) == sessions
        finally:
            first.kill()
            first.communicate()
        server.heal()
        assert client.run(server.port, "none")[0] == 0
        ledger(client, server, SMALL, "none")
