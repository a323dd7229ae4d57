"""Servers that mean harm: whatever they send, the client ends in time, within bounds of memory, tells no DELE that it
should not, shows no control octet, and works again with an honest server."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from evil import Evil, Fault
from lab import CONTROL, Client, as_stored, ledger, mails, sound, stored

MESSAGES = mails(3)
SHORT = {"reply_timeout": "2s", "read_timeout": "2s", "retries": 0}
ROOM = 400 * 1024       # KiB over what a run needs anyway; a sanitizer's own memory comes on top
ESC = b"\x1b]52;c;cHduZWQ=\x07\x1b[2J\x9b31m\xe2\x80\xae\x08\x00"



class Memory(threading.Thread):
    """The most that a process and its children hold, in KiB."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.stop = pid, 0, False

    def run(self):
        while not self.stop:
            try:
                children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
                total = 0
                for pid in [str(self.pid), *children]:
                    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                        if line.startswith("VmRSS:"):
                            total += int(line.split()[1])
                self.most = max(self.most, total)
            except OSError:
                pass
            time.sleep(0.02)


def attacked(root, fault, keep="none", deletes=False, seconds=25, after=(), **settings):
    """A run against the fault, then an honest server. -> exit code, output, what was stored under attack"""
    with Evil(MESSAGES, fault) as server:
        client = Client(root)
        child = client.start(server.port, keep, **{**SHORT, **settings})
        memory = Memory(child.pid)
        memory.start()
        try:
            out = child.communicate(timeout=seconds)[0]
        finally:
            child.kill()
            child.wait()
            memory.stop = True
        assert sound(out, child.returncode) and child.returncode >= 0, out.decode(errors="replace")
        assert memory.most < ROOM, f"{memory.most} KiB"
        assert not CONTROL.search(out.replace(b"\r\n", b"\n")), out
        here = stored(client.maildir)
        if not deletes:
            assert not any(line.upper().startswith(b"DELE") for line in server.commands()), server.commands()
            assert server.uids() == [u for u, _ in MESSAGES]
        assert not list((client.maildir / "tmp").glob("*")) or child.returncode != 0
        for c in server.connections:
            c.shut()
        server.settle()
        server.heal()
        code, text = client.run(server.port, keep, args=after)
        assert code == 0, text
        if not deletes and not here:
            ledger(client, server, MESSAGES, keep)
        return child.returncode, out, here


ENDLESS = {
    "greeting": {"": (b"+OK ", b"x")},
    "greeting of line ends": {"": (b"", b"\r\n")},
    "greeting without LF": {"": (b"", b"\r")},
    "CAPA lines": {"CAPA": (b"+OK\r\n", b"X-CAPA y\r\n")},
    "CAPA line": {"CAPA": (b"+OK\r\n", b"X")},
    "STAT line": {"STAT": (b"+OK 3 ", b"1")},
    "LIST lines": {"LIST": (b"+OK\r\n", b"1 100\r\n")},
    "LIST line": {"LIST": (b"+OK\r\n1 ", b"1")},
    "UIDL lines": {"UIDL": (b"+OK\r\n", b"1 abc\r\n")},
    "UIDL line": {"UIDL": (b"+OK\r\n1 ", b"u")},
    "RETR status": {"RETR": (b"+OK ", b"x")},
}


@pytest.mark.proves("XCL-07")
@pytest.mark.limit(60)
@pytest.mark.parametrize("where", ENDLESS)
def test_endless(tmp_path, where):
    """C-01, C-02, C-03, C-11"""
    code, out, here = attacked(tmp_path, Fault(endless=ENDLESS[where]))
    assert here == [] and (code != 0 or where.startswith("CAPA")), out


@pytest.mark.proves("XCL-05", "XCL-07")
@pytest.mark.limit(60)
@pytest.mark.parametrize("piece", [b"x" * 70 + b"\r\n", b"y"], ids=["lines", "one line"])
def test_endless_body(tmp_path, piece):
    """C-19: the limit counts what comes, not what LIST said; nothing of it stays."""
    fault = Fault(endless={"RETR": (b"+OK\r\nSubject: x\r\n\r\n", piece)})
    code, out, here = attacked(tmp_path, fault, max_message=4 << 20, after=("--retry",))
    assert here == [] and code != 0, out


GARBAGE = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+ERR no\r\n", b"ok\r\n", b"\r\n", b"\x15\x03\x01\0\x02\x02\x28",
           b"+OKAY\r\n", b"\0\0\0\r\n"]


@pytest.mark.proves("R1939-GEN-26")
@pytest.mark.parametrize("verb", ["", "USER", "PASS", "STAT", "LIST", "UIDL", "RETR"])
@pytest.mark.parametrize("line", range(len(GARBAGE)))
def test_neither_ok_nor_err(tmp_path, verb, line):
    fault = Fault(says={verb: GARBAGE[line]})
    code, out, here = attacked(tmp_path, fault)
    assert code != 0 and here == [], out


LISTS = {
    "number 0": b"0 10\r\n", "above the count": b"4 10\r\n", "4294967297": b"4294967297 10\r\n", "-1": b"-1 10\r\n",
    "twice": b"1 10\r\n1 10\r\n", "more than the count": b"1 1\r\n2 1\r\n3 1\r\n4 1\r\n", "letters": b"one ten\r\n",
    "2^64": b"18446744073709551617 1\r\n",
}


@pytest.mark.proves("R1939-LIST-09")
@pytest.mark.parametrize("rows", LISTS)
@pytest.mark.parametrize("verb", ["LIST", "UIDL"])
def test_numbers_of_a_listing(tmp_path, verb, rows):
    """C-04: nothing is deleted by a number that cannot be."""
    code, out, here = attacked(tmp_path, Fault(says={verb: b"+OK\r\n" + LISTS[rows] + b".\r\n"}))
    assert code != 0, out


@pytest.mark.parametrize("stat", [b"2147483648 1", b"5000000000 1", b"18446744073709551616 1", b"-1 5", b"1.5 7", b"",
                                  b"x y"])
def test_counts_of_stat(tmp_path, stat):
    """C-03, C-05: ends in time whatever STAT says; LIST and UIDL may still be believed."""
    attacked(tmp_path, Fault(says={"STAT": b"+OK " + stat + b"\r\n"}), deletes=True)


@pytest.mark.parametrize("size", [b"1000000000000000000", b"18446744073709551621", b"-5", b"", b"x", b"0"])
def test_sizes_of_list(tmp_path, size):
    """C-10: no memory is taken for what was only announced."""
    attacked(tmp_path, Fault(size=lambda n, o: size), deletes=True)


@pytest.mark.proves("XCL-08")
@pytest.mark.parametrize("how", [
    {"says": {"": b"+OK " + ESC + b"\r\n"}}, {"says": {"": b"-ERR " + ESC + b"\r\n"}},
    {"says": {"USER": b"-ERR " + ESC + b"\r\n"}},
    {"says": {"PASS": b"-ERR " + ESC + b"\r\n"}}, {"says": {"STAT": b"-ERR " + ESC + b"\r\n"}},
    {"says": {"LIST": b"-ERR " + ESC + b"\r\n"}}, {"says": {"RETR": b"-ERR " + ESC + b"\r\n"}},
    {"says": {"QUIT": b"-ERR " + ESC + b"\r\n"}}, {"says": {"CAPA": b"+OK\r\n" + ESC + b"\r\n.\r\n"}},
    {"rename": lambda uid: uid + ESC}, {"rename": lambda uid: uid + b"\rok"}, {"retr_status": b"+OK " + ESC},
], ids=["greeting", "refusal", "USER", "PASS", "STAT", "LIST", "RETR", "QUIT", "CAPA", "UIDL", "CR in UIDL", "status"])
def test_control_octets_stay_off_the_terminal(tmp_path, how):
    """C-15"""
    attacked(tmp_path, Fault(**how), deletes=True)


@pytest.mark.parametrize("verb", ["", "CAPA", "USER", "PASS", "STAT", "LIST", "UIDL"])
def test_unsolicited_reply(tmp_path, verb):
    """C-20: replies are out of step; no message is lost or deleted unseen."""
    attacked(tmp_path, Fault(extra={verb: b"+OK\r\n"}), deletes=True)
    # The honest run above must have completed the drain: each message is here at least once.
    here = stored(tmp_path / "mail")
    assert {as_stored(d) for _, d in MESSAGES} <= set(here)


def test_unsolicited_reply_after_a_message(tmp_path):
    """With nothing asked ahead, it is seen before anything else is stored, and before any DELE."""
    code, out, here = attacked(tmp_path, Fault(extra={"RETR": b"+OK\r\n"}, pipelining=False))
    assert code != 0 and set(here) <= {as_stored(d) for _, d in MESSAGES}, out


def test_unsolicited_reply_among_pipelined_messages(tmp_path):
    """It cannot be told from the next reply, whose status line becomes text of the message: no octet is lost."""
    attacked(tmp_path, Fault(extra={"RETR": b"+OK\r\n"}), deletes=True)
    here = b"".join(stored(tmp_path / "mail"))
    assert all(as_stored(d) in here for _, d in MESSAGES)


def test_two_replies_to_each_command(tmp_path):
    attacked(tmp_path, Fault(double=True), deletes=True)
    assert {as_stored(d) for _, d in MESSAGES} <= set(stored(tmp_path / "mail"))


@pytest.mark.proves("XCL-06")
@pytest.mark.limit(60)
def test_one_octet_at_a_time(tmp_path):
    """An octet each 0.2 s keeps every pause short; the time limit of a reply ends it all the same."""
    code, out, here = attacked(tmp_path, Fault(drip=0.2), seconds=45)
    assert code != 0 and here == [], out


@pytest.mark.proves("XCL-03")
def test_numbers_change_between_sessions(tmp_path):
    """C-43: only the message whose unique-id was stored is deleted."""
    with Evil(MESSAGES, Fault(lost_quit="forget")) as server:
        client = Client(tmp_path)
        client.run(server.port, "none", retries=0)
        server.settle()
        server.heal()
        extra = (b"uid-new", b"Subject: new\r\n\r\nfresh\r\n")
        server.messages = [extra] + list(reversed(server.messages))
        before = len(server.log)
        code, out = client.run(server.port, "none")
        assert code == 0, out
        ledger(client, server, [*MESSAGES, extra], "none")
        assert [line for _, line in server.log[before:] if line.startswith(b"RETR")] == [b"RETR 1"]


def test_many_small_messages(tmp_path):
    """C-14: none is lost among many."""
    messages = mails(3000, size=3)
    with Evil(messages) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", timeout=50)
        assert code == 0, out
        ledger(client, server, messages, "none")
