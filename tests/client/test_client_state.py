"""What the client remembers and where it puts mail: destinations that fail, disks that are full, journals that are
damaged, rules of keeping, runs that are stopped."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from evil import Evil, Fault
from lab import Client, as_stored, ledger, mails, stored
from listening import Listening
from popfault import Door, PopFault, whole

MESSAGES = mails(6, size=300)
ROOT = os.geteuid() == 0


def lines(server, verb):
    return [line for line in server.commands() if line.startswith(verb)]


# --- commands as destinations ----------------------------------------------------------------------


def command(root, text):
    script = root / "deliver"
    root.mkdir(parents=True, exist_ok=True)
    (root / "got").mkdir(exist_ok=True)
    script.write_text("#!/bin/sh\n" + text)
    script.chmod(0o755)
    return f"command:{script}"


TAKE = 'cat > "$(mktemp {got}/XXXXXXXX)"\n'


def got(root):
    return sorted(p.read_bytes() for p in (root / "got").iterdir())


@pytest.mark.proves("XCL-04")
@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("code,left,there", [("75", {1}, {2, 3}), ("65", {1, 3}, {2}), ("0", {1, 2, 3}, set())])
def test_exit_codes_of_a_command(tmp_path, code, left, there, pipelining):
    """75: later, so the run stops there; 65: this message is refused, and the others go on."""
    messages = mails(3)
    text = f'f=$(mktemp {tmp_path}/XXXXXXXX); cat > $f\nif grep -q "Subject: number 2" $f; then\n  [ {code} = 0 ] || ' \
           f'{{ rm $f; exit {code}; }}\nfi\nmv $f {tmp_path}/got/\n'
    with Evil(messages, Fault(pipelining=pipelining)) as server:
        client = Client(tmp_path)
        exit_code, out = client.run(server.port, "none", deliver=command(tmp_path, text))
        assert (exit_code == 0) == (code == "0"), out
        assert whole(out)
        server.settle()
        assert got(tmp_path) == sorted(as_stored(messages[n - 1][1]) for n in left)
        assert server.uids() == [messages[n - 1][0] for n in sorted(there)]


@pytest.mark.parametrize("text", ["exit 77\n", "kill -9 $$\n", "exec /nonexistent/program\n", "exit 1\n"])
def test_command_that_fails(tmp_path, text):
    """C-21, C-29: nothing is deleted that nobody took."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", deliver=command(tmp_path, text))
        assert code != 0 and whole(out)
        assert server.uids() == [u for u, _ in MESSAGES] and not lines(server, b"DELE")


def test_command_gets_whole_messages_only(tmp_path):
    """A message that is cut never reaches the command."""
    with Evil(MESSAGES, Fault(cut=900)) as server:
        client = Client(tmp_path)
        deliver = command(tmp_path, TAKE.format(got=tmp_path / "got"))
        for _ in range(3):
            client.run(server.port, "none", deliver=deliver, retries=0)
            assert all(m in [as_stored(d) for _, d in MESSAGES] for m in got(tmp_path))
        server.settle()
        server.heal()
        assert client.run(server.port, "none", deliver=deliver)[0] == 0
        assert got(tmp_path) == sorted(as_stored(d) for _, d in MESSAGES) and server.uids() == []


# --- LMTP ------------------------------------------------------------------------------------------


class Lmtp(Listening):
    """One LMTP server; reply(verb, message) -> octets instead of the usual reply, or None. "." is the end of DATA."""

    def __init__(self, reply=None):
        self.reply = reply or (lambda verb, n: None)
        self.mail = []
        self.listen()

    def serve(self, sock):
        usual = {"": b"220 lab LMTP\r\n", "LHLO": b"250 lab\r\n", "DATA": b"354 go\r\n", ".": b"250 2.0.0 taken\r\n",
                 "QUIT": b"221 bye\r\n"}
        file = sock.makefile("rb")

        def say(verb):
            special = self.reply(verb, body)
            known = b"250 ok\r\n" if verb in ("MAIL", "RCPT", "RSET", "NOOP") else b"500 what\r\n"
            sock.sendall(usual.get(verb, known) if special is None else special)
            return special is None

        body: list = []
        try:
            say("")
            for line in file:
                verb = line.split()[0].decode().upper() if line.split() else ""
                if verb == "DATA" and say("DATA"):
                    body.clear()
                    for row in file:
                        if row == b".\r\n":
                            break
                        body.append(row[1:] if row.startswith(b".") else row)
                    if say("."):
                        self.mail.append(b"".join(body))
                elif verb != "DATA":
                    say(verb)
        except OSError:
            pass
        finally:
            sock.close()


@pytest.fixture
def lmtp():
    made = []

    def make(reply=None):
        made.append(Lmtp(reply))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_lmtp(tmp_path, lmtp):
    peer = lmtp()
    with Evil(MESSAGES) as server:
        code, out = Client(tmp_path).run(server.port, "none", deliver=f"lmtp:127.0.0.1:{peer.port}",
                                         recipient='"me@example.org"')
        assert code == 0 and server.uids() == [], out
        assert sorted(peer.mail) == sorted(d for _, d in MESSAGES)


LMTP_FAULTS = {
    "greeting 421": ("", b"421 busy\r\n"), "greeting empty": ("", b"\r\n"), "greeting huge": ("", b"220-" + b"x" * 200000),
    "RCPT 450": ("RCPT", b"450 later\r\n"), "RCPT 550": ("RCPT", b"550 nobody\r\n"), "DATA 334": ("DATA", b"334 \r\n"),
    "end 452": (".", b"452 full\r\n"), "end 554": (".", b"554 no\r\n"), "end garbage": (".", b"taken\r\n"),
    "end silence": (".", b""), "greeting silence": ("", b""),
}


@pytest.mark.limit(60)
@pytest.mark.parametrize("what", LMTP_FAULTS)
def test_lmtp_that_does_not_take_it(tmp_path, lmtp, what):
    """C-29: bounded, and the message stays on the server."""
    verb, said = LMTP_FAULTS[what]
    peer = lmtp(lambda v, n: said if v == verb else None)
    with Evil(MESSAGES) as server:
        code, out = Client(tmp_path).run(server.port, "none", deliver=f"lmtp:127.0.0.1:{peer.port}", timeout=50,
                                         recipient='"me@example.org"', reply_timeout="3s", read_timeout="3s")
        assert code != 0 and whole(out)
        assert server.uids() == [u for u, _ in MESSAGES] and not lines(server, b"DELE")


def test_lmtp_that_refuses_one(tmp_path, lmtp):
    """The others go on, and the refused one stays where it is."""
    peer = lmtp(lambda verb, body: b"552 too odd\r\n" if verb == "." and b"Subject: number 3\r\n" in body else None)
    with Evil(MESSAGES) as server:
        code, out = Client(tmp_path).run(server.port, "none", deliver=f"lmtp:127.0.0.1:{peer.port}",
                                         recipient='"me@example.org"')
        assert code != 0 and whole(out)
        assert server.uids() == [b"uid-3"]
        assert sorted(peer.mail) == sorted(d for u, d in MESSAGES if u != b"uid-3")


# --- disks -----------------------------------------------------------------------------------------


FULL_DISK = {"disk_reserve": '"1024G"'}      # a reserve that cannot be kept


@pytest.mark.proves("XCL-04")
@pytest.mark.parametrize("keep", ["none", "all"])
def test_no_room_left(tmp_path, keep):
    """C-21: nothing is stored, deleted or ended by QUIT after it was fetched; later all comes."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, keep, **FULL_DISK)
        assert code in (73, 74, 75) and whole(out), out
        assert not lines(server, b"DELE")
        for session in range(len(server.sent)):
            verbs = server.verbs(session)
            assert not ("RETR" in verbs and "QUIT" in verbs), verbs
        assert stored(client.maildir) == []
        code, out = client.run(server.port, keep)
        assert code == 0, out
        ledger(client, server, MESSAGES, keep)


@pytest.mark.parametrize("octets", [20000, 60000, 120000])
def test_files_may_not_grow(tmp_path, octets):
    """A limit on file sizes hits mail and journal anywhere: no loss, no duplicate, nothing half."""
    messages = mails(6, size=6000)
    with Evil(messages) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", wrap=["prlimit", f"--fsize={octets}"], retries=0,
                               env={"ASAN_OPTIONS": "exitcode=99:detect_leaks=0"})
        server.settle()
        here = stored(client.maildir)
        for uid, data in messages:
            assert uid in server.uids() or as_stored(data) in here
        code, out = client.run(server.port, "none")
        assert code == 0, out
        ledger(client, server, messages, "none")


@pytest.mark.skipif(not ROOT or not shutil.which("unshare"), reason="mounts a file system of its own")
@pytest.mark.parametrize("size", ["120k", "200k"])
@pytest.mark.parametrize("keep", ["none", "all"])
def test_full_file_system(tmp_path, keep, size):
    """C-21: a real ENOSPC under mail and journal."""
    messages = mails(8, size=20000)
    disk, keeper = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    with Evil(messages) as server:
        client = Client(tmp_path / "c")
        script = f'mount -t tmpfs -o size={size} none {disk} && "$@"; code=$?; cp -a {disk} {keeper}; exit $code'
        code, out = client.run(server.port, keep, deliver=f"maildir:{disk}/mail", state=disk / "state", retries=0,
                               wrap=["unshare", "-m", "sh", "-c", script, "sh"], disk_reserve="0")
        server.settle()
        assert code not in (0, 99), out
        here = stored(keeper / "mail")
        for uid, data in messages:
            assert uid in server.uids() or as_stored(data) in here, f"lost {uid}"
        # With room again.
        shutil.copytree(keeper, disk, dirs_exist_ok=True)
        client.maildir = disk / "mail"
        code, out = client.run(server.port, keep, deliver=f"maildir:{disk}/mail", state=disk / "state")
        assert code == 0, out
        ledger(client, server, messages, keep)


@pytest.mark.skipif(ROOT and not shutil.which("setpriv"), reason="root may write everywhere")
@pytest.mark.parametrize("what", ["file", "dangling"])
def test_maildir_that_cannot_be(tmp_path, what):
    """Found out before anything is fetched; the exit code says so."""
    place = tmp_path / "mail"
    if what == "file":
        place.write_text("not a folder")
    else:
        place.symlink_to(tmp_path / "not" / "there")
    with Evil(MESSAGES) as server:
        code, out = Client(tmp_path).run(server.port, "none")
        assert code in (73, 74, 75, 77, 78), out
        assert not lines(server, b"RETR") and not lines(server, b"DELE")


# --- the journal -----------------------------------------------------------------------------------


def test_other_name_of_the_host(tmp_path):
    """State belongs to the account, not to the host: nothing is fetched again."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        before = len(server.log)
        code, out = client.run(server.port, "all", server=f'"pop://localhost:{server.port}"', family='"4"')
        assert code == 0, out
        assert not [line for _, line in server.log[before:] if line.startswith(b"RETR")]
        ledger(client, server, MESSAGES, "all")


@pytest.mark.limit(120)
@pytest.mark.parametrize("how", ["flip", "truncate"])
def test_damaged_journal(tmp_path, how):
    """C-42: it works on, says so, and deletes nothing that is not here."""
    rng = random.Random(how)
    with Evil(MESSAGES) as server:
        first = Client(tmp_path / "first")
        assert first.run(server.port, "all")[0] == 0
        files = [p for p in first.state.rglob("*journal*") if p.is_file() and p.stat().st_size]
        assert files
        for turn in range(6):
            root = tmp_path / f"{how}{turn}"
            shutil.copytree(tmp_path / "first", root, symlinks=True)
            client = Client(root)
            path = client.state / files[0].relative_to(first.state)
            data = bytearray(path.read_bytes())
            if how == "truncate":
                del data[rng.randrange(len(data)) :]
            else:
                for _ in range(20):
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
            code, out = client.run(server.port, "all")
            assert whole(out) and code >= 0, out
            if code == 0:
                here = stored(client.maildir)
                assert {as_stored(d) for _, d in MESSAGES} <= set(here)
            assert server.uids() == [u for u, _ in MESSAGES]


@pytest.mark.parametrize("rubbish", [b"", b"0\n", b"99999999\n", b"\0" * 100], ids=["empty", "0", "pid", "zeros"])
def test_stale_locks(tmp_path, rubbish):
    """C-26: whatever lies there, a lock is held by a living process or by nobody."""
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        for path in client.state.rglob("*lock*"):
            path.write_bytes(rubbish)
        for name in ("a.lock", "a.pid", "a.journal-lock"):
            if not (client.state / name).exists():
                (client.state / name).write_bytes(rubbish)
        code, out = client.run(server.port, "none")
        assert code == 0, out
        ledger(client, server, MESSAGES, "none")


@pytest.mark.proves("R1939-UIDL-12")
def test_cut_listing_forgets_nothing(tmp_path):
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        assert client.run(server.port, "all")[0] == 0
        server.fault = Fault(says={"UIDL": b"+OK\r\n1 uid-1\r\n2 uid"}, silent_after=7)
        for _ in range(2):
            assert client.run(server.port, "all", retries=0, reply_timeout="1s", read_timeout="1s",
                              forget_days="0", forget_listings="1")[0] != 0
        for c in server.connections:
            c.shut()
        server.heal()
        before = len(server.log)
        assert client.run(server.port, "all", forget_days="0", forget_listings="1")[0] == 0
        assert not [line for _, line in server.log[before:] if line.startswith(b"RETR")]
        ledger(client, server, MESSAGES, "all")


# --- signals ---------------------------------------------------------------------------------------


@pytest.mark.limit(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("keep", ["none", "all"])
def test_signals(tmp_path, keep, number):
    """C-40: at any time it ends soon; what is half is nowhere, and nothing is fetched twice."""
    for turn in range(4):
        with Evil(MESSAGES, Fault(drip=0.0003, sessions={0})) as server:
            client = Client(tmp_path / str(turn))
            child = client.start(server.port, keep, retries=0)
            time.sleep(0.15 + 0.25 * turn)
            child.send_signal(number)
            out = child.communicate(timeout=20)[0]
            assert whole(out) and child.returncode != 99, out
            server.settle()
            done = stored(client.maildir)
            server.heal()
            code, out = client.run(server.port, keep)
            assert code == 0, out
            ledger(client, server, MESSAGES, keep)
            assert len(set(done)) == len(done)


# --- rules -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep,left", [("newest 2", 2), ("newest 100", 6), ("14d", 6)])
def test_keeping_some(tmp_path, keep, left):
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        for _ in range(2):
            code, out = client.run(server.port, keep)
            assert code == 0, out
        assert server.uids() == [u for u, _ in MESSAGES][6 - left :]
        assert stored(client.maildir) == sorted(as_stored(d) for _, d in MESSAGES)


@pytest.mark.proves("XCL-05")
def test_larger_ones_stay(tmp_path):
    messages = [*MESSAGES, (b"large", b"Subject: large\r\n\r\n" + b"x" * 70 * 3000 + b"\r\n")]
    with Evil(messages) as server:
        client = Client(tmp_path)
        client.run(server.port, "none", skip_larger='"100k"')
        assert server.uids() == [b"large"] and not lines(server, b"RETR 7")
        assert stored(client.maildir) == sorted(as_stored(d) for _, d in MESSAGES)


def test_quarantine(tmp_path):
    """A message that always fails is left alone after so many tries, is said, and comes when asked for."""
    with Evil(MESSAGES, Fault(retr_err={2: "always"})) as server:
        client = Client(tmp_path)
        for _ in range(4):
            client.run(server.port, "all", quarantine_after=2)
        before = len(server.log)
        code, out = client.run(server.port, "all", quarantine_after=2)
        assert not [line for _, line in server.log[before:] if line.startswith(b"RETR")], server.log[before:]
        server.heal()
        code, out = client.run(server.port, "all", quarantine_after=2, args=("--retry",))
        assert code == 0, out
        ledger(client, server, MESSAGES, "all")


@pytest.mark.proves("XCL-12")
@pytest.mark.parametrize("on", [False, True])
def test_received_line(tmp_path, on):
    with Evil(MESSAGES) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", received_line="yes" if on else "no")
        assert code == 0, out
        for data in stored(client.maildir):
            head = data.split(b"\n\n")[0]
            assert head.count(b"Received:") == on and data.startswith(b"Received:") == on
            rest = data
            if on:
                rest = data.split(b"\n", 1)[1]
                while rest[:1] in b" \t":
                    rest = rest.split(b"\n", 1)[1]
            assert rest in [as_stored(d) for _, d in MESSAGES]


@pytest.mark.proves("R1939-OPS-04", "R2449-EXP-06")
@pytest.mark.parametrize("words,warned", [((b"EXPIRE 0",), True), ((b"EXPIRE 5",), True), ((b"EXPIRE NEVER",), False)])
def test_server_that_lets_mail_go(tmp_path, words, warned):
    door = Door(words=(b"USER", b"UIDL", b"TOP", *words))
    with PopFault(MESSAGES, door=door) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "14d", args=("-v",))
        assert code == 0 and (b"xpire" in out or b"EXPIRE" in out) == warned, out
        code, out = client.run(server.port, "none")
        assert code == 0, out
        assert len(lines(server, b"DELE")) == len(MESSAGES)
        ledger(client, server, MESSAGES, "none")


@pytest.mark.proves("R2449-IMPL-02")
def test_traffic_does_not_depend_on_the_implementation(tmp_path):
    seen = []
    for i, text in enumerate((b"IMPLEMENTATION Dovecot", b"IMPLEMENTATION Microsoft-Exchange-2007", b"IMPLEMENTATION " + b"x" * 400)):
        with PopFault(MESSAGES, door=Door(words=(b"USER", b"UIDL", b"TOP", text))) as server:
            client = Client(tmp_path / str(i))
            assert client.run(server.port, "none")[0] == 0
            seen.append(server.commands())
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.proves("R1939-TOP-11", "R2449-CAPA-09")
def test_basic_server(tmp_path):
    """No CAPA, no TOP, no UIDL: fetched and deleted all the same."""
    with Evil(MESSAGES, Fault(capa="no", uidl=False, top=False, pipelining=False)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none")
        assert code == 0, out
        ledger(client, server, MESSAGES, "none")
        assert not lines(server, b"TOP")


@pytest.mark.limit(120)
@pytest.mark.proves("R1939-RETR-09")
@pytest.mark.parametrize("keep", ["none", "all"])
def test_lost_line_is_never_success(tmp_path, keep):
    """Whichever of the two processes sees the end first: a run without QUIT's reply is not a good one. Many runs, since
    the order is a matter of luck."""
    with Evil(MESSAGES) as server:
        assert Client(tmp_path / "clean").run(server.port, keep)[0] == 0
        length = server.sent[0]
    for turn in range(30):
        octet = length // 4 + turn * (length // 2) // 30
        with Evil(MESSAGES, Fault(cut=octet)) as server:
            code, out = Client(tmp_path / str(turn)).run(server.port, keep, retries=0)
            assert code != 0, f"after {octet} octets of {length}: exit 0\n{out}"


@pytest.mark.limit(120)
@pytest.mark.proves("XCL-02")
@pytest.mark.parametrize("octets", [400, 4096])
@pytest.mark.parametrize("keep", ["none", "all"])
def test_fast_server_with_many_messages(tmp_path, keep, octets):
    """More orders and deletions than the pipe between the two processes holds, from a server that answers at once."""
    server = tmp_path / "server"
    source = os.path.join(os.path.dirname(__file__), "..", "..", "bench", "client_server.c")
    subprocess.run(["cc", "-O1", "-pthread", "-o", str(server), source], check=True)
    count = 1200
    peer = subprocess.Popen([str(server), str(count), str(octets)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        port = int(peer.stdout.readline())
        client = Client(tmp_path / "c")
        code, out = client.run(port, keep, timeout=100)
        assert code == 0, out
        here = stored(client.maildir)
        assert len(here) == count and len(set(here)) == count
    finally:
        peer.kill()
        peer.wait()
        peer.stdout.close()
