"""C-42: a clock that is wrong, leaps, or was wrong when the journal was written: no mail is lost, comes twice or leaves
the server before its time; and with a clock that goes right, mail leaves when "keep" says so.

Does not know: monotonic time; deadlines are others' matter.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from evil import Evil, Fault
from lab import Client, ledger, mails, stored

MESSAGES = mails(6)
DAY = 86400
YEAR = 365 * DAY


@pytest.fixture(scope="session")
def wrongclock(tmp_path_factory):
    library = tmp_path_factory.mktemp("clock") / "wrongclock.so"
    source = Path(__file__).resolve().parents[1] / "lib" / "wrongclock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.fixture
def at(wrongclock):
    """at(client, server, keep, seconds): a run whose clock is wrong by so many seconds. -> output"""

    def run(client, server, keep, wrong, **settings):
        # The library stands before the sanitizer's, which must then not insist on being first.
        env = {"LD_PRELOAD": str(wrongclock), "WRONG_CLOCK": str(wrong),
               "ASAN_OPTIONS": "exitcode=99:verify_asan_link_order=0:detect_leaks=0"}
        code, out = client.run(server.port, keep, env=env, **settings)
        assert code == 0, out
        return out

    return run


def fetched(server, since=0):
    return sum(line.startswith(b"RETR") for _, line in server.log[since:])


def test_the_clock_of_the_test_is_wrong(tmp_path, at):
    """What the others stand on: names of files tell the wrong time."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        at(client, server, "all", YEAR)
        seconds = {int(re.match(r"\d+", p.name)[0]) for p in (client.maildir / "new").iterdir()}
        at(Client(tmp_path / "b"), server, "all", 0)
        now = {int(re.match(r"\d+", p.name)[0]) for p in (tmp_path / "b" / "mail" / "new").iterdir()}
        assert min(seconds) - max(now) > YEAR - DAY


def test_age_counts_with_a_right_clock(tmp_path, at):
    """"14d": it stays for thirteen days and leaves after fourteen, whenever the copy was read or moved."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        for day in range(14):
            at(client, server, "14d", (day - 30) * DAY)
            assert server.uids() == [u for u, _ in MESSAGES], f"deleted on day {day}"
        server.messages.append((b"young", b"Subject: young\r\n\r\nyoung\r\n"))
        at(client, server, "14d", (14 - 30) * DAY + 60)
        assert server.uids() == [b"young"]
        assert fetched(server) == 7 and len(stored(client.maildir)) == 7


def test_age_counts_for_who_comes_seldom(tmp_path, at):
    """Once a week, or after a long journey: one run later at most."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        at(client, server, "14d", -60 * DAY)
        at(client, server, "14d", -30 * DAY)
        assert len(server.uids()) == 6
        at(client, server, "14d", -29 * DAY)
        assert server.uids() == [] and len(stored(client.maildir)) == 6


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, 10 * YEAR, 15 * DAY])
def test_wrong_for_one_run(tmp_path, at, wrong):
    """Nothing is old because one clock said so; nothing is fetched again; the run after it counts right again."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        at(client, server, "14d", 0)
        at(client, server, "14d", wrong)
        ledger(client, server, MESSAGES, "14d", "with the wrong clock")
        at(client, server, "14d", 0)
        ledger(client, server, MESSAGES, "14d", "after it")
        assert fetched(server) == 6
        at(client, server, "none", 0)
        ledger(client, server, MESSAGES, "none")


@pytest.mark.parametrize("keep", ["none", "all", "14d", "newest 3", "until 50% of 1G"])
def test_journal_from_the_future(tmp_path, at, keep):
    """Written under a clock that was a year ahead: known is known."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        at(client, server, "all", YEAR)
        for _ in range(2):
            at(client, server, keep, 0)
        assert fetched(server) == 6 and len(stored(client.maildir)) == 6
        assert len(server.uids()) == {"none": 0, "newest 3": 3}.get(keep, 6)


@pytest.mark.parametrize("wrong", [YEAR, -YEAR])
def test_missing_from_a_listing_under_a_wrong_clock(tmp_path, at, wrong):
    """A year is not enough to forget a message: listings count, too. It does not come twice."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        at(client, server, "all", 0)
        server.fault = Fault(half_once=True)
        at(client, server, "all", wrong)
        server.heal()
        at(client, server, "all", 2 * wrong)
        at(client, server, "all", 0)
        assert fetched(server) == 6
        ledger(client, server, MESSAGES, "all")


@pytest.mark.parametrize("keep", ["none", "14d"])
@pytest.mark.parametrize("wrong", [YEAR, -YEAR])
def test_leaps_within_a_run(tmp_path, at, keep, wrong):
    """Every other look at the clock is a year off: names stay unique, deletion is the rule's."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        at(client, server, keep, f"leap {wrong}")
        assert len(stored(client.maildir)) == 6
        if keep == "none":
            ledger(client, server, MESSAGES, keep)
        at(client, server, "none", 0)
        ledger(client, server, MESSAGES, "none")
        assert fetched(server) == 6


@pytest.mark.parametrize("wrong", [YEAR, -YEAR])
def test_mbox_under_a_wrong_clock(tmp_path, at, wrong):
    """Its lock's age is told by the clock, too."""
    box = tmp_path / "box"
    with Evil(MESSAGES) as server:
        client = Client(tmp_path / "c")
        at(client, server, "all", 0, deliver=f"mbox:{box}")
        server.messages.append((b"new", b"Subject: new\r\n\r\nnew\r\n"))
        at(client, server, "none", wrong, deliver=f"mbox:{box}")
        assert server.uids() == []
        text = box.read_bytes()
        assert len(re.findall(rb"^Subject: ", text, re.M)) == 7 and len(re.findall(rb"^From ", text, re.M)) == 7
