"""The connection ends after each octet of a session, by FIN and by RST: the next run completes it, exactly once."""

from __future__ import annotations

import random

import pytest
from evil import Evil, Fault
from lab import FULL, Client, ledger, mails, stored

SHARDS = 4
SAMPLE = 5          # points of each shard
MESSAGES = mails(4)


def clean_length(root, keep, **how) -> int:
    """Octets that the server sends in a session where nothing goes wrong."""
    with Evil(MESSAGES, Fault(**how)) as server:
        client = Client(root)
        code, out = client.run(server.port, keep)
        assert code == 0, out
        ledger(client, server, MESSAGES, keep)
        return server.sent[0]


def one_cut(root, keep, octet, rst, late) -> None:
    what = f"{'RST' if rst else 'FIN'} after {octet} octets, keep {keep}{', late commit' if late else ''}"
    with Evil(MESSAGES, Fault(cut=octet, rst=rst, commit_late=late)) as server:
        client = Client(root)
        code, out = client.run(server.port, keep, retries=0)
        server.settle()
        assert code != 0 or server.verbs(len(server.sent) - 1)[-1:] == ["QUIT"], f"{what}: exit 0\n{out}"
        # Nothing half is visible, and nothing was deleted that is not here.
        here = stored(client.maildir)
        whole = [m.replace(b"\r\n", b"\n") for _, m in MESSAGES]
        assert all(m in whole for m in here) and len(set(here)) == len(here), what
        for uid, data in MESSAGES:
            assert uid in server.uids() or data.replace(b"\r\n", b"\n") in here, f"{what}: lost {uid}"
        server.heal()
        code, out = client.run(server.port, keep)
        assert code == 0, f"{what}: {out}"
        ledger(client, server, MESSAGES, keep, what)


@pytest.mark.proves("XCL-01", "XCL-02", "R1939-RETR-09", "R1939-QUIT-11")
@pytest.mark.limit(1800 if FULL else 150)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("keep", ["none", "all"])
def test_cut_at_octet(tmp_path, keep, how, shard):
    length = clean_length(tmp_path / "clean", keep)
    points = list(range(length + 1))[shard::SHARDS]
    if not FULL:
        points = sorted(random.Random(f"{keep} {how} {shard}").sample(points, SAMPLE))
    for octet in points:
        one_cut(tmp_path / str(octet), keep, octet, how == "rst", late=False)


@pytest.mark.proves("R1939-QUIT-11", "XCL-02")
@pytest.mark.limit(120)
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_cut_in_the_reply_to_quit(tmp_path, how):
    """The end of the session, where deletions are committed, octet by octet; a server that commits before its reply,
    and one that commits after."""
    length = clean_length(tmp_path / "clean", "none")
    tail = len(b"+OK bye\r\n")
    for late in (False, True):
        for octet in range(length - tail, length, 1 if FULL else 3):
            one_cut(tmp_path / f"{octet}{late}", "none", octet, how == "rst", late)
