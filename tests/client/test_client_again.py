"""What an attempt leaves for the next: no second copy, no second try of what failed, honest sums."""

from __future__ import annotations

import re

import pytest
from evil import Evil, Fault
from lab import Client, ledger, mails, stored

MESSAGES = mails(5)


def count(server, verb, since=0):
    return sum(line.startswith(verb) for _, line in server.log[since:])


def test_comparing_that_fails_forgets_nothing(tmp_path):
    """A stored message is looked at again (another size) and RETR is refused: it stays known as stored."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        server.fault = Fault(size=lambda n, octets: b"%d" % (octets + 7), retr_err={n: "always" for n in range(1, 6)})
        assert client.run(server.port, "all")[0] == 75
        server.heal()
        assert client.run(server.port, "all")[0] == 0
        ledger(client, server, MESSAGES, "all")


@pytest.mark.proves("XCL-05")
def test_too_large_is_tried_once_a_run(tmp_path):
    """A message that does not end is fetched once in a run; those behind it come in the same run."""
    fault = Fault(raw={2: b"Subject: x\r\n\r\n" + b"y" * 200_000}, size=lambda n, octets: b"10")
    with Evil(MESSAGES, fault) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", max_message=100_000, retries=0)
        assert code == 75, out
        assert count(server, b"RETR 2") == 1
        assert len(stored(client.maildir)) == 4 and server.uids() == [MESSAGES[1][0]]
        server.heal()
        assert client.run(server.port, "none")[0] == 0
        ledger(client, server, MESSAGES, "none")


def test_sums_of_several_attempts(tmp_path):
    """A lost line in the middle: what was planned twice is not counted twice."""
    with Evil(MESSAGES, Fault(sessions={0}, drop_before=9)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", pipelining='"no"')
        assert code == 0, out
        assert re.search(rb"\b5 new\b", out) and re.search(rb"\b5 deleted\b", out), out
        ledger(client, server, MESSAGES, "none")


def test_refused_here_is_deleted_there_for_the_others(tmp_path):
    """A command that refuses one message: it is offered once, the others leave the server in the same run."""
    script = tmp_path / "take"
    script.write_text('#!/bin/sh\ngrep -q "^Subject: number 3$" && exit 65\nexit 0\n')
    script.chmod(0o755)
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", deliver=f"command:{script}")
        assert code == 75 and b"QUIT" not in out, out
        assert count(server, b"RETR 3") == 1
        assert server.uids() == [MESSAGES[2][0]]


def test_rule_that_changed_before_the_deletion_took_effect(tmp_path):
    """Deletions that were lost with the line are not repeated when the rule no longer wants them."""
    with Evil(MESSAGES, Fault(lost_quit="forget")) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "none", retries=0)[0] == 75
        server.heal()
        assert client.run(server.port, "14d")[0] == 0
        ledger(client, server, MESSAGES, "14d")
