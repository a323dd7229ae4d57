"""Every transcript against a running server: plaintext, STLS, implicit TLS."""

from __future__ import annotations

import collections
import fcntl
import time
from pathlib import Path

import pytest
import server as srv
import transcript as tr
import wiremodel as wm
from wire import client_context

FOLDER = Path(__file__).resolve().parents[1] / "transcripts"

LISTEN = {
    "none": {"tls": "none", "trusted": ["127.0.0.0/8", "::1"]},
    "stls": {"tls": "stls", "trusted": ["127.0.0.0/8", "::1"]},
    "strict": {"tls": "stls", "trusted": []},
    "needs": {"tls": "stls", "trusted": ["127.0.0.0/8", "::1"], "auth_needs_tls": True},
    "implicit": {"tls": "implicit"},
}
USERS = [
    ("bob", "secret", ""),
    ("alice", " wonder  land ", ""),
    ("carol", "secret", "disabled"),
    ("dave", "secret", "require_tls"),
    ("IX", "IX", ""),
]
LISTS = {"auth.mechanisms", "auth.throttle_exempt", "users.masters"}


def cases():
    found = []
    for path in sorted(FOLDER.rglob("*.pop")):
        try:
            t = tr.parse(path)
        except (tr.Malformed, ValueError, KeyError) as e:
            found.append(((), pytest.param(None, str(e), id=f"{path.parent.name}/{path.stem}")))
            continue
        if t.only == "pure" or t.fault:
            continue
        for door in t.doors():
            name = f"{path.parent.name}/{path.stem}-{door}"
            mark = pytest.mark.proves(*t.ids)
            found.append((t.key(), pytest.param(t, door, id=name, marks=mark)))
    # Those with the same server next to each other.
    return [p for _, p in sorted(found, key=lambda x: (x[0], x[1].id))]


class Farm:
    """Servers by configuration; the least recently used one is stopped."""

    ROOM = 3

    def __init__(self, pki):
        self.pki = pki
        self.running: collections.OrderedDict[tuple, srv.Server] = collections.OrderedDict()

    def get(self, t: tr.Transcript) -> srv.Server:
        key = t.key()
        if key in self.running:
            self.running.move_to_end(key)
            return self.running[key]
        while len(self.running) >= self.ROOM:
            self.running.popitem(last=False)[1].close()
        conf: dict = {}
        listen = {k: dict(v) for k, v in LISTEN.items()}
        for name, value in t.conf.items():
            if name.startswith("listen."):
                for settings in listen.values():
                    settings[name.partition(".")[2]] = value
            else:
                conf[name] = value.split() if name in LISTS else value
        if t.tls == "broken":
            listen = {"broken": LISTEN["stls"]}
        s = srv.Server(self.pki, start=False, listen=listen, conf=conf)
        if t.tls == "broken":
            s.key.write_text("this is no key\n")
        users = {name: (password, flags) for name, password, flags in USERS}
        users |= {name: (password, flags) for name, password, flags in t.users}
        for name, (password, flags) in users.items():
            s.add_user(name, wm.MAILDROP_A, password=password, extra=flags, write=False)
        s.write_users()
        self.running[key] = s
        s.start()
        return s

    def close(self):
        errors = []
        while self.running:
            try:
                self.running.popitem()[1].close()
            except AssertionError as e:
                errors.append(str(e))
        assert not errors, "\n".join(errors)


@pytest.fixture(scope="module")
def farm(pki):
    try:
        srv.program("restanted")
    except srv.Unavailable as e:
        pytest.skip(str(e))
    farm = Farm(pki)
    yield farm
    farm.close()


def wait_free(box: srv.Maildrop, seconds: float = 5.0) -> None:
    """Waits until no session holds the maildrop."""
    lock = box.path / "restante-lock"
    deadline = time.monotonic() + seconds
    while lock.exists():
        with open(lock, "r+b") as f:
            try:
                fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                assert time.monotonic() < deadline, "the maildrop is still locked"
        time.sleep(0.01)


@pytest.mark.parametrize("t,door", cases())
def test_live(t, door, farm):
    if t is None:
        pytest.fail(door)
    s = farm.get(t)
    box = srv.Maildrop(s.mail / "bob").make()
    wait_free(box)
    box.clear()
    for p in box.path.iterdir():
        if p.name.startswith("restante-") and p.is_file():
            p.unlink()
    box.fill(t.mailbox)
    if door == "inside":
        w = s.wire("strict")
        w.stls()
        if t.start == "GREETING":
            w.buf = w.greeting + b"\r\n"
    else:
        w = s.wire(
            door,
            greet=t.start != "GREETING",
            tls=client_context() if door == "implicit" else None,
        )
    with w:
        if t.start == "TX":
            w.login("bob", "secret")
        tr.play(t, w)
    wait_free(box)
    if t.after is not None:
        left = box.contents()
        assert left == [m for i, m in enumerate(t.mailbox, 1) if i in t.after], f"{t.path}: after"
