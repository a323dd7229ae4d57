"""What servers of the field do: each oddity alone, and the drain still comes out whole."""

from __future__ import annotations

import time

import pytest
from evil import Evil, Fault
from lab import Client, as_stored, ledger, mails, stored
from popfault import Door, PopFault, whole

MESSAGES = mails(5)
SHORT = {"reply_timeout": "2s", "read_timeout": "2s"}


def listing(verb, rows):
    return {"says": {verb: b"+OK\r\n" + rows + b".\r\n"}}


UIDS = [u for u, _ in MESSAGES]
DRAINED = {
    "1 CAPA is refused": {"capa": "no"},
    "1 CAPA ends the line": {"capa": "drop"},
    "2 UIDL and PIPELINING after the login": {"late_capa": True},
    "3 CAPA without UIDL, which works": {"says": {"CAPA": b"+OK\r\nUSER\r\nTOP\r\n.\r\n"}},
    "7 lower case": {"says": {"CAPA": b"+OK\r\nuser\r\nuidl\r\npipelining\r\ntop\r\nx-foo 1\r\n.\r\n"}},
    "7 bare +OK": {"says": {"": b"+OK\r\n", "USER": b"+OK\r\n", "PASS": b"+OK\r\n"}},
    "7 odd texts": {"says": {"": b"+OK <>[]\t{}%s\r\n", "USER": b"+OK [x\r\n", "PASS": b"+OK -ERR no\r\n"}},
    "13 sizes of -1": {"size": lambda n, o: b"-1"},
    "13 sizes in blocks": {"size": lambda n, o: b"%d" % ((o + 1023) // 1024 * 1024)},
    "13 text behind sizes": {"size": lambda n, o: b"%d foo bar" % o},
    "13 STAT of less": {"says": {"STAT": b"+OK 5 -4\r\n"}},
    "13 STAT and more": {"says": {"STAT": b"+OK 5 320 extra words\r\n"}},
    "14 several spaces": listing("UIDL", b"".join(b"%d    %s\r\n" % (n, u) for n, u in enumerate(UIDS, 1))),
    "14 slash, at, eight bits": {"rename": lambda uid: b"<a/b@c>\xe9" + uid},
    "14 200 octets": {"rename": lambda uid: uid * 40},
    "17 any order": listing("UIDL", b"".join(b"%d %s\r\n" % (n, UIDS[n - 1]) for n in (3, 1, 5, 2, 4))),
    "20 no TOP": {"top": False},
    "19 a dot before names": {"says": {"CAPA": b"+OK\r\n..UIDL\r\nUSER\r\n.\r\n"}},
    "no pipelining": {"pipelining": False},
    "slow": {"drip": 0.0002},
}


@pytest.mark.proves("R1957-02", "R1939-GEN-25", "R2449-CAPA-06", "R2449-CAPA-07", "R1939-STAT-06", "R1939-LIST-08")
@pytest.mark.parametrize("what", DRAINED)
def test_drained(tmp_path, what):
    with Evil(MESSAGES, Fault(**DRAINED[what])) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none")
        assert code == 0 and whole(out), out
        ledger(client, server, MESSAGES, "none", what)


def test_15_equal_ids_for_equal_messages(tmp_path):
    """A server that makes unique-ids of contents: two equal messages are two messages."""
    messages = [(b"same", MESSAGES[0][1]), (b"same", MESSAGES[0][1]), MESSAGES[1]]
    with Evil(messages) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        assert len(stored(client.maildir)) == 3
        server.messages.append((b"same", MESSAGES[0][1]))
        assert client.run(server.port, "all")[0] == 0
        assert len(stored(client.maildir)) == 4
        assert client.run(server.port, "none")[0] == 0
        assert server.uids() == [] and len(stored(client.maildir)) == 4


@pytest.mark.parametrize("share", [10, 6])
def test_16_new_ids_after_a_move(tmp_path, share):
    """Most ids change at once and new mail is among it: the old is recognised, the new comes."""
    messages = mails(10)
    with Evil(messages) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        server.messages = [(b"moved-" + u if i < share else u, d) for i, (u, d) in enumerate(messages)]
        server.messages.append((b"moved-new", b"Subject: new\r\n\r\nfresh\r\n"))
        code, out = client.run(server.port, "all")
        assert code == 0, out
        ledger(client, server, list(server.messages), "all")


@pytest.mark.proves("XCL-03")
def test_17_inserted_in_the_middle(tmp_path):
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        server.messages.insert(2, (b"between", b"Subject: b\r\n\r\nbetween\r\n"))
        before = len(server.log)
        assert client.run(server.port, "none")[0] == 0
        assert [line for _, line in server.log[before:] if line.startswith(b"RETR")] == [b"RETR 3"]
        ledger(client, server, [*MESSAGES, (b"between", b"Subject: b\r\n\r\nbetween\r\n")], "none")


@pytest.mark.parametrize("size", [b"rewritten", b"shown"])
def test_13_sizes_change_between_sessions(tmp_path, size):
    """A server that counts anew, or adds a Status: field once mail was seen: same ids, so no second copy."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        if size == b"shown":
            server.fault = Fault(size=lambda n, octets: b"%d" % (octets + 1000))
        else:
            server.messages = [(u, d.replace(b"\r\n\r\n", b"\r\nStatus: RO\r\n\r\n", 1)) for u, d in MESSAGES]
        assert client.run(server.port, "all")[0] == 0
        assert stored(client.maildir) == sorted(as_stored(d) for _, d in MESSAGES)


def test_18_uidl_refused_for_once(tmp_path):
    """The state stays; nothing comes twice."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        server.fault = Fault(says={"UIDL": b"-ERR temporary trouble\r\n"})
        client.run(server.port, "all")
        server.heal()
        assert client.run(server.port, "all")[0] == 0
        ledger(client, server, MESSAGES, "all")


def test_21_no_line_end_before_the_dot(tmp_path):
    """It never ends, as far as the protocol goes: an error, and no message with a dot too many."""
    with Evil(MESSAGES, Fault(raw={2: b"Subject: x\r\n\r\nlast.\r\n"}, pipelining=False)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", retries=0, **SHORT)
        assert code != 0 and whole(out)
        for c in server.connections:
            c.shut()
        server.settle()
        server.heal()
        assert client.run(server.port, "none")[0] == 0
        assert {as_stored(d) for _, d in MESSAGES} <= set(stored(client.maildir)) and server.uids() == []


@pytest.mark.proves("XCL-11")
def test_23_fetched_is_hidden(tmp_path):
    """A session whose message was not stored ends without QUIT: the server must not take it for read."""
    messages = mails(6)
    with Evil(messages, Fault(gmail=4)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "all", disk_reserve='"1024G"')
        assert code != 0
        server.settle()
        assert server.hidden == set(), server.log
        for _ in range(3):
            assert client.run(server.port, "all")[0] == 0
        ledger(client, server, messages, "all")


@pytest.mark.parametrize("text", [b"-ERR Download exceed\r\n", b"-ERR can not load\r\n", b"-ERR Message 2 expunged\r\n"])
def test_24_one_message_is_refused(tmp_path, text):
    with Evil(MESSAGES, Fault(retr_err={2: "always"})) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none")
        assert code != 0 and server.uids() == [b"uid-2"], out
        server.heal()
        assert client.run(server.port, "none")[0] == 0
        ledger(client, server, MESSAGES, "none")


def test_28_bare_answer_to_dele(tmp_path):
    with Evil(MESSAGES, Fault(says={"DELE": b"+OK\r\n"})) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "none")[0] == 0
        ledger(client, server, MESSAGES, "none")


@pytest.mark.limit(120)
def test_gmail_with_hundreds(tmp_path):
    """Batches of the oldest: one run brings them all, session after session."""
    messages = mails(700, size=2)
    with Evil(messages, Fault(gmail=250)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "all", timeout=100)
        assert code == 0, out
        ledger(client, server, messages, "all")
        assert len(server.sent) >= 3


@pytest.mark.proves("R2449-LD-03")
@pytest.mark.limit(60)
def test_login_delay_is_kept(tmp_path):
    """The server said twenty seconds: the next login of --daemon is not before them, though the interval is shorter."""
    door = Door(words=(b"USER", b"UIDL", b"TOP", b"LOGIN-DELAY 20"))
    with PopFault(MESSAGES, door=door) as server:
        client = Client(tmp_path)
        child = client.start(server.port, "all", args=("--daemon",), interval="10s")
        try:
            time.sleep(16)
            assert child.poll() is None
            assert len(server.sent) == 1, server.log
        finally:
            child.terminate()
            out = child.communicate(timeout=20)[0]
        assert whole(out)
        ledger(client, server, MESSAGES, "all")
