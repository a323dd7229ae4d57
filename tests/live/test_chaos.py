"""200 mixed sessions at once, with disconnects, resets and kills, while mail comes in: the ledger holds.

Every message carries a token. Afterwards each token is in the maildrop exactly once, or it was deleted by a
session that sent DELE for it and then QUIT in full. What a QUIT with +OK deleted is gone.
"""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time

import pytest
import server as srv
import wiremodel as wm

SESSIONS = 200
USERS = 50
SECONDS = 25
TOKEN = re.compile(rb"X-Token: ([0-9a-z-]+)")


def message(token: str, rng: random.Random) -> bytes:
    body = rng.choice((b"", b"short\n", b".\n..\n.x\n", b"x" * 5000 + b"\n", b"line\n" * rng.randint(1, 3000), b"end"))
    return f"Subject: chaos\nX-Token: {token}\n\n".encode() + body


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.content: dict[str, bytes] = {}
        self.asked: set[str] = set()  # DELE and a whole QUIT were sent
        self.promised: set[str] = set()  # and +OK came
        self.faults: list[str] = []
        self.counts: dict[str, int] = {}

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def fault(self, text: str) -> None:
        with self.lock:
            self.faults.append(text)


def one_session(s, box, ledger: Ledger, rng: random.Random) -> None:
    """One session of some kind, ended in some way. What goes wrong on the connection is expected; wrong octets
    are a fault."""
    mode = rng.choice(("plain", "plain", "stls", "tls"))
    w = None
    try:
        w = s.open(mode, timeout=20)
        if rng.random() < 0.05:
            w.rst() if rng.random() < 0.5 else w.close()
            return ledger.count("gone before login")
        w.ok(f"USER {box.name}")
        reply = w.cmd(f"PASS {box.password}")
        if not reply.startswith(b"+OK"):
            if not reply.startswith((b"-ERR [IN-USE]", b"-ERR [SYS/TEMP]")):
                ledger.fault(f"login: {reply!r}")
            return ledger.count("refused")
        count, octets = w.stat()
        sizes = w.list()
        if len(sizes) != count or sum(sizes.values()) != octets:
            ledger.fault(f"STAT {count} {octets} but LIST {len(sizes)} {sum(sizes.values())}")
        w.uidl()
        tokens: dict[int, str] = {}
        numbers = list(sizes)
        rng.shuffle(numbers)
        marked: list[str] = []
        for n in numbers[: rng.randint(0, 12)]:
            if rng.random() < 0.06:
                w.send(f"RETR {n}\r\n".encode())
                w.rst() if rng.random() < 0.5 else w.close()
                return ledger.count("gone in RETR")
            got = w.retr(n)
            if len(got) != sizes[n]:
                ledger.fault(f"RETR {n}: {len(got)} octets, LIST says {sizes[n]}")
            m = TOKEN.search(got)
            token = m[1].decode() if m else "none"
            if wm.plain(ledger.content.get(token, b"?")) != got:
                ledger.fault(f"wrong octets of {token}")
            tokens[n] = token
            if rng.random() < 0.6:
                w.ok(f"DELE {n}")
                marked.append(token)
        if rng.random() < 0.1:
            w.ok("RSET")
            marked.clear()
        end = rng.random()
        if end < 0.15:
            w.rst()
            return ledger.count("reset")
        if end < 0.3:
            w.close()
            return ledger.count("closed")
        if end < 0.35:
            w.send(b"QUI")
            w.close()
            return ledger.count("half a QUIT")
        with ledger.lock:
            ledger.asked.update(marked)
        w.send(b"QUIT\r\n")
        if end < 0.45:
            w.close()
            return ledger.count("QUIT and gone")
        reply = w.status()
        if reply.startswith(b"+OK"):
            with ledger.lock:
                ledger.promised.update(marked)
            return ledger.count("QUIT")
        ledger.count("QUIT refused")
    except (OSError, AssertionError) as e:
        # A worker that was killed: the connection ends, or a reply says that it is for now.
        expected = "closed" in str(e) or "-ERR [SYS/TEMP]" in str(e)
        if isinstance(e, AssertionError) and not expected:
            ledger.fault(f"{mode}: {e!r}")
        ledger.count("broken off")
    finally:
        if w is not None:
            w.close()


@pytest.mark.proves(
    "R1939-QUIT-03", "R1939-QUIT-05", "R1939-QUIT-07", "R1939-AUTHZ-07", "R1939-AUTHZ-08", "R1939-DELE-01", "X3.5", "M-01",
)
@pytest.mark.limit(240)
def test_ledger(own_server):
    seed = int(os.environ.get("RESTANTE_SEED", "20261124"))
    rng = random.Random(seed)
    s = own_server(conf={"workers.fronts": 2, "pop3.login_tries": 50})
    s.allow_deaths = True
    ledger = Ledger()
    boxes = []
    for u in range(USERS):
        box = s.add_user(f"chaos{u:02d}", write=False)
        boxes.append(box)
        for i in range(30):
            token = f"{u}-{i}"
            ledger.content[token] = message(token, rng)
            box.drop.put(ledger.content[token])
    s.write_users()
    s.start()
    until = time.monotonic() + SECONDS
    stop = threading.Event()

    def client(number: int) -> None:
        mine = random.Random(seed + number)
        while time.monotonic() < until:
            one_session(s, boxes[mine.randrange(USERS)], ledger, mine)

    def killer() -> None:
        mine = random.Random(seed - 1)
        while not stop.wait(mine.uniform(0.8, 3.0)):
            role = mine.choice(("front", "store", "front", "store", "auth", "hash"))
            pids = s.workers(role)
            if pids:
                try:
                    os.kill(mine.choice(pids), signal.SIGKILL)
                    ledger.count(f"killed {role}")
                except ProcessLookupError:
                    pass

    def postman() -> None:
        mine = random.Random(seed - 2)
        serial = 0
        while not stop.wait(0.01):
            u = mine.randrange(USERS)
            token = f"new-{u}-{serial}"
            serial += 1
            data = message(token, mine)
            with ledger.lock:
                ledger.content[token] = data
            boxes[u].drop.put(data, sizes=serial % 2 == 0)
            ledger.count("delivered")

    threads = [threading.Thread(target=client, args=(i,)) for i in range(SESSIONS)]
    helpers = [threading.Thread(target=killer), threading.Thread(target=postman)]
    for t in threads + helpers:
        t.start()
    for t in threads:
        t.join(120)
    stop.set()
    for t in helpers:
        t.join(20)
    assert not any(t.is_alive() for t in threads)

    # The dust settles: every maildrop can be opened, and says what is on disk.
    present: dict[str, int] = {}
    for box in boxes:
        with box.login_soon(30) as w:
            count, octets = w.stat()
            stored = box.drop.contents()
            assert count == len(stored) and octets == sum(wm.size(m) for m in stored)
            w.quit()
        for m in stored:
            token = TOKEN.search(m)[1].decode()
            assert ledger.content[token] == m, f"{token} was altered"
            present[token] = present.get(token, 0) + 1
    print(f"seed {seed}:", dict(sorted(ledger.counts.items())))
    assert not ledger.faults, (len(ledger.faults), ledger.faults[:5])
    assert all(n == 1 for n in present.values())
    gone = set(ledger.content) - set(present)
    assert gone <= ledger.asked, f"deleted without QUIT: {sorted(gone - ledger.asked)[:10]}"
    assert not ledger.promised & set(present), "promised as deleted, but still there"
    assert ledger.counts.get("QUIT", 0) > 50 and ledger.counts.get("killed front") and ledger.counts.get("killed store")
