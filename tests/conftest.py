"""What every pytest suite of the tree shares: fixtures, time limits, and the record of what was proven.

    @pytest.mark.proves("R1939-STAT-01", "B13")     rows of the requirement matrix this test proves
    @pytest.mark.limit(120)                         seconds the test may take (default 60)

Results go to $RESTANTE_RESULTS (default build/results/pytest.tsv): ID, test, pass|fail|skip.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in ("lib", "live"):
    sys.path.insert(0, str(HERE / folder))

import server as srv  # noqa: E402
from pki import Pki  # noqa: E402

DEFAULT_LIMIT = 60
_outcomes: dict[str, dict] = {}


def pytest_configure(config):
    config.addinivalue_line("markers", "proves(*ids): rows of the requirement matrix")
    config.addinivalue_line("markers", "limit(seconds): how long the test may take")


def pytest_collection_modifyitems(items):
    for item in items:
        ids: list[str] = []
        for mark in item.iter_markers("proves"):
            ids += mark.args
        item.user_properties.append(("proves", ",".join(dict.fromkeys(ids))))


class TooSlow(Exception):
    pass


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    mark = item.get_closest_marker("limit")
    seconds = mark.args[0] if mark else DEFAULT_LIMIT

    def expired(signum, frame):
        raise TooSlow(f"the test took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(int(seconds))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pytest_runtest_logreport(report):
    row = _outcomes.setdefault(report.nodeid, {"ids": "", "result": "pass"})
    for key, value in report.user_properties:
        if key == "proves":
            row["ids"] = value
    if report.failed:
        row["result"] = "fail"
    elif report.skipped and row["result"] == "pass":
        row["result"] = "skip"


def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput") or not _outcomes:
        return
    path = os.environ.get("RESTANTE_RESULTS")
    path = Path(path) if path else srv.build_dir() / "results" / "pytest.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as out:
        for test, row in sorted(_outcomes.items()):
            for ident in row["ids"].split(",") if row["ids"] else ["-"]:
                out.write(f"{ident}\t{test}\t{row['result']}\n")


# --- fixtures ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    folder = srv.temp_root("restante-pki-")
    yield Pki(folder)
    for p in folder.iterdir():
        p.unlink()
    folder.rmdir()


class Pool:
    """The server that most tests share, with users in stock: a test takes one and has it for itself."""

    STOCK = 400

    def __init__(self, pki):
        self.server = srv.Server(pki, start=False)
        self.left = []
        for i in range(self.STOCK):
            self.left.append(self.server.add_user(f"u{i:03d}", write=False))
        self.server.write_users()
        self.left.reverse()
        self.server.start()

    def account(self, messages=()):
        account = self.left.pop()
        account.drop.fill(list(messages))
        return account


@pytest.fixture(scope="session")
def pool(pki):
    try:
        pool = Pool(pki)
    except srv.Unavailable as e:
        if os.environ.get("RESTANTE_BUILD"):
            raise
        pytest.skip(str(e))
    yield pool
    pool.server.close()


@pytest.fixture
def server(pool):
    """The shared server."""
    return pool.server


@pytest.fixture
def account(pool):
    """account(messages): a fresh user of the shared server with these messages."""
    return pool.account


@pytest.fixture
def drop_a(pool):
    """A fresh user whose maildrop is fixture A: +OK 3 118."""
    import wiremodel

    return pool.account(wiremodel.MAILDROP_A)


@pytest.fixture
def own_server(pki):
    """own_server(**settings): a server for this test alone; stopped and checked at its end."""
    made: list = []

    def make(**how):
        try:
            s = srv.Server(pki, start=False, **how)
        except srv.Unavailable as e:
            if os.environ.get("RESTANTE_BUILD"):
                raise
            pytest.skip(str(e))
        made.append(s)
        return s

    yield make
    errors = []
    for s in made:
        print(f"--- end of the server's log\n{s.log()[-4000:]}")  # shown when the test failed
        try:
            s.close()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)
