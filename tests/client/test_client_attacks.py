"""Attacks and misfortunes that have a number of their own: C-13 huge fields and broken characters, C-27 root and links,
C-45 commands ahead of replies.

Does not know: what is played by the tests of login, TLS and the lab.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import evil
import pytest
from evil import Evil, Fault
from lab import Client, as_stored, ledger, mails, stored
from popfault import whole

MESSAGES = mails(5)
ROOT = os.geteuid() == 0


@pytest.mark.limit(180)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("args", [("-vv",), ("--json",), ("-v",)], ids=str)
def test_c13_huge_header_and_broken_characters(tmp_path, locale, args):
    """C-13: ten MiB in one field, octets that are no characters in every text: stored as sent; the log stays short, is
    UTF-8, and holds nothing that a terminal obeys."""
    bad = b"\xff\xfe\xc3\x28\xe2\x82\xf0\x9f\x98\x00\x1b[2J\x9b"
    huge = b"Subject: " + b"\xc3\xff" * (5 << 20) + b"\r\nX-Y: " + bad + b"\r\n\r\nbody\r\n"
    messages = [(b"\xe9\xff-1", huge), (b"x", b"\xff" * 70000 + b": a\r\n\r\n"), *MESSAGES]
    says = {"": b"+OK " + bad + b"\r\n", "PASS": b"+OK " + bad * 20 + b"\r\n", "STAT": b"+OK 7 1 " + bad + b"\r\n"}
    with Evil(messages, Fault(says=says, retr_err={4: "always"})) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", args=args, timeout=150, env={"LC_ALL": locale, "LANG": locale},
                               quarantine_after=1, retries=0)
        assert code == 75 and whole(out), out[-2000:]
        assert len(out) < 200_000
        out.decode("utf-8")
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", out)
        assert stored(client.maildir) == sorted(as_stored(d) for i, (_, d) in enumerate(messages) if i != 3)
        assert server.uids() == [messages[3][0]]


@pytest.mark.skipif(not ROOT, reason="C-27 is about root")
@pytest.mark.limit(120)
@pytest.mark.parametrize("what", ["home", "mail", "new"])
def test_c27_root_and_a_folder_of_somebody(tmp_path, what):
    """C-27: root delivers into a place that a user owns and changes all the time: refused before anything is fetched,
    and nothing is written through the link."""
    home, victim = tmp_path / "home", tmp_path / "victim"
    mail = home / "Mail"
    for folder in (mail, victim):
        for part in ("tmp", "new", "cur"):
            (folder / part).mkdir(parents=True)
    os.chown({"home": home, "mail": mail, "new": mail / "new"}[what], 65534, 65534)
    swapped = {"home": mail, "mail": mail / "new", "new": None}[what]
    target = victim if what == "home" else victim / "new"
    script = f"""
import os
a, b, c = {str(swapped)!r}, {str(swapped)!r} + ".real", {str(target)!r}
while True:
    os.rename(a, b); os.symlink(c, a); os.unlink(a); os.rename(b, a)
"""
    racer = subprocess.Popen([sys.executable, "-c", script]) if swapped else None
    try:
        with Evil(MESSAGES) as server:
            client = Client(tmp_path / "c")
            for _ in range(12):
                code, out = client.run(server.port, "none", deliver=f"maildir:{mail}", retries=0)
                assert code in (73, 74, 77) and whole(out), out
            assert not {"RETR", "DELE"} & set(server.verbs()) and len(server.uids()) == 5
            assert not [p for p in victim.rglob("*") if p.is_file()]
    finally:
        if racer:
            racer.kill()
            racer.wait()


@pytest.mark.parametrize("how", ["slow", "drops"])
def test_c45_pipelining_by_force(tmp_path, monkeypatch, how):
    """C-45: commands ahead of replies to a server that does not announce it: one that is slow loses nothing and nobody
    waits for ever; one that ends the line for it loses nothing either."""
    kept = evil.Connection.one

    def one(self, line):
        if how == "slow":
            time.sleep(0.02)
        elif self.input.count(b"\n") and self.server.fault.pipelining is False:
            raise evil.Gone
        kept(self, line)

    monkeypatch.setattr(evil.Connection, "one", one)
    messages = mails(30, size=3000)
    with Evil(messages, Fault(pipelining=False)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", pipelining='"yes"', retries=1)
        assert whole(out) and (code == 0) == (how == "slow"), out
        assert max(server.waits) > 0 or how == "drops"
        server.settle()
        here = stored(client.maildir)
        assert all(u in server.uids() or as_stored(d) in here for u, d in messages)
        server.heal()
        assert client.run(server.port, "none")[0] == 0
        ledger(client, server, messages, "none")
