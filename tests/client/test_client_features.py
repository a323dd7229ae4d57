"""What the client does for people beyond fetching: prompts, names to log in with, servers that move, names of hosts.

Does not know: how messages are stored.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time

import pytest
from evil import Fault
from lab import Client, ledger, mails
from popfault import Door, PopFault, challenge
from server import free_ports
from test_client_hands import NameServer, command
from test_client_review import Proxy

MESSAGES = mails(3)

# --- the password prompt ---------------------------------------------------------------------------


class Terminal:
    """The client on a terminal of its own, which outlives it."""

    def __init__(self, client, *words, ignored=()):
        self.main, self.other = pty.openpty()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.main)
            os.login_tty(self.other)
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)
            os.execve(client.program, [str(client.program), *words],
                      {"HOME": str(client.root), "PATH": os.environ["PATH"], "TERM": "dumb",
                       "ASAN_OPTIONS": "exitcode=99"})
        self.seen = b""

    def wait_for(self, text: bytes, seconds=20):
        deadline = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < deadline:
            if select.select([self.main], [], [], 0.1)[0]:
                self.seen += os.read(self.main, 4096)
        assert text in self.seen, self.seen

    def modes(self):
        return termios.tcgetattr(self.other)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)

    def end(self):
        """-> exit code, or minus the signal that ended it"""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"it goes on: {self.seen!r}")

    def close(self):
        os.close(self.other)
        os.close(self.main)


def prompting(root, **how):
    client = Client(root)
    conf = client.config(1, "all", f"maildir:{client.maildir}", client.state, {"password": '""'})
    terminal = Terminal(client, "-c", str(conf), "fetch", **how)
    before = terminal.modes()
    terminal.wait_for(b"Password of u")
    deadline = time.monotonic() + 20
    while terminal.modes() == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert before & termios.ECHO and not terminal.modes() & termios.ECHO
    return terminal, before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT],
                         ids=lambda n: n.name)
def test_signal_at_the_prompt(tmp_path, number):
    """It dies by the signal, as its parent expects, and the terminal echoes again."""
    terminal, before = prompting(tmp_path)
    os.kill(terminal.pid, number)
    assert terminal.end() == -number
    assert terminal.modes() == before
    terminal.close()


def test_ignored_signal_at_the_prompt(tmp_path):
    """nohup's promise holds: the prompt stays."""
    terminal, before = prompting(tmp_path, ignored=[signal.SIGHUP])
    os.kill(terminal.pid, signal.SIGHUP)
    os.write(terminal.main, b"p\n")
    terminal.wait_for(b"failed")    # nobody listens at that port
    assert terminal.end() == 69
    assert terminal.modes() == before
    terminal.close()


# --- two programs of one build ---------------------------------------------------------------------


def test_programs_of_two_versions(tmp_path):
    """Said plainly, before anything is said to the server."""
    client = Client(tmp_path)
    mine = subprocess.run([client.program, "--version"], capture_output=True, check=True).stdout.split()[-1]
    other = b"9" * (len(mine) - 2) + b".9"
    env = {"RESTANTE_LIBEXEC": str(client.program.parent)}
    data = client.program.read_bytes()
    assert mine + b"\n" in data
    client.program = tmp_path / "restante"
    client.program.write_bytes(data.replace(mine + b"\n", other + b"\n"))
    client.program.chmod(0o755)
    with PopFault(MESSAGES) as server:
        code, out = client.run(server.port, "none", env=env, retries=3)
        assert code == 70 and server.log == [], out
        assert b"restante-fetch is version " + mine in out and b"restante is version " + other in out, out
        assert b"install both from one build" in out and b"protocol" not in out and out.count(b"restante-fetch is") == 1


# --- secrets that somebody could read --------------------------------------------------------------


@pytest.mark.proves("R8314-C-04")
@pytest.mark.parametrize("auth,remedy", [("user", b"plaintext-auth = yes"), ("XOAUTH2", b"verify = pin")])
def test_refusal_says_what_to_set(tmp_path, pki, auth, remedy):
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pki.server)) as server:
        code, out = Client(tmp_path).run(server.port, "none", server=f'"pops://localhost:{server.port}"', family='"4"',
                                         tls="implicit", verify="off", plaintext_auth="no", retries=0, auth=f'"{auth}"',
                                         token_command='"echo t"')
        said = out[out.index(b"no way to log in"):]
        assert code == 77 and b"verify = off" in said and b"verify = pin" in said and remedy in said, out
        assert (b"plaintext-auth" in said) == (auth == "user")
    with PopFault(MESSAGES) as server:
        code, out = Client(tmp_path / "b").run(server.port, "none", plaintext_auth="no", auth='"auto"', retries=0)
        assert code == 77 and b"plaintext-auth = yes" in out[out.index(b"no way to log in"):], out


# --- names of hosts --------------------------------------------------------------------------------


@pytest.mark.proves("R9525-02", "R9525-05")
@pytest.mark.parametrize("written", ["b\u00fccher.example", "BU\u0308CHER.example.", "xn--bcher-kva.example"])
@pytest.mark.parametrize("name,code", [("xn--bcher-kva.example", 0), ("bcher.example", 77)])
def test_host_beyond_ascii(tmp_path, pki, written, name, code):
    """Dialled and compared as A-labels, whatever way it was written."""
    certificate = pki.ca.issue("idn-" + name, "x", dns=[name])
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=certificate)) as server, Proxy() as proxy:
        client = Client(tmp_path)
        got, out = client.run(server.port, "none", server=f'"pops://{written}:{server.port}"', tls="implicit", retries=0,
                              ca_file=f'"{pki.ca.pem}"', plaintext_auth="no", proxy=f'"socks5://127.0.0.1:{proxy.port}"')
        assert got == code, out
        assert proxy.asked == [(b"xn--bcher-kva.example", server.port)]
        if code == 0:
            ledger(client, server, MESSAGES, "none")
        else:
            assert server.log == [] and b"bcher.example, not for xn--bcher-kva.example" in out, out


@pytest.mark.parametrize("field,value,why", [
    ("server", "pops://a..b.example", b"empty"), ("server", "x" * 64 + ".example", b"longer than 63"),
    ("server", "-pop.example", b"begins with"), ("server", "\u2100.example", b"no host name"),
    ("server", "pop://\u00fc\u0020.example", b"is too much"), ("discover", "me@a..example", b"empty"),
    ("proxy", "socks5://\u2100.example", b"no host name")])
def test_names_that_are_none(tmp_path, field, value, why):
    """Told by "config check", with the reason."""
    client = Client(tmp_path)
    rows = {"server": '""'} if field == "discover" else {}
    code, out = command(client, 1, "all", "config", "check", tls="auto", plaintext_auth="no", **{**rows, field: f'"{value}"'})
    assert code == 78 and f'"a".{field}: '.encode() in out and why in out, out


# --- servers that a domain names -------------------------------------------------------------------


def discovering(client, names, pki, keep="all", proxy=None, **more):
    """-> exit code, output of a run of an account that is given by a mail address"""
    rows = {"server": '""', "discover": '"me@localhost"', "user": '""', "tls": "auto", "family": '"4"', "retries": 0,
            "ca_file": f'"{pki.ca.pem}"', "plaintext_auth": "no"}
    if proxy:
        rows["proxy"] = f'"socks5://127.0.0.1:{proxy.port}"'
    rows.update(more)
    return client.run(1, keep, env={"RESTANTE_NAMESERVER": f"127.0.0.1:{names.port}"}, **rows)


def implicit(pki, fault=None, certificate=None):
    return PopFault(MESSAGES, fault, Door(tls="implicit", certificate=certificate or pki.server))


@pytest.mark.proves("R6186-09")
def test_server_that_moved(tmp_path, pki):
    """What was remembered is dead: the domain is asked once more, for POP3 alone, and the answer remembered."""
    client = Client(tmp_path)
    with implicit(pki) as old, NameServer("localhost", old.port) as names:
        assert discovering(client, names, pki)[0] == 0
    with implicit(pki) as new, NameServer("localhost", new.port) as names:
        code, out = discovering(client, names, pki)
        assert code == 0 and b"names another server" in out, out
        asked = len(names.asked)
        assert asked and all(b"_pop3" in name for name in names.asked)
        code, out = discovering(client, names, pki, keep="none")
        assert code == 0 and len(names.asked) == asked, out
        ledger(client, new, MESSAGES, "none")
        sessions = len(new.sent)
    with NameServer("localhost", new.port) as names:    # dead, and DNS knows no other
        code, out = discovering(client, names, pki)
        assert code == 69 and b"connecting to localhost" in out and len(names.asked) == asked, out
        assert len(new.sent) == sessions


@pytest.mark.proves("R6186-05", "R6186-09")
def test_server_that_moved_out_of_the_domain(tmp_path, pki):
    client = Client(tmp_path)
    with implicit(pki) as old, NameServer("localhost", old.port) as names:
        assert discovering(client, names, pki)[0] == 0
    with implicit(pki) as new, NameServer("pop.evil.test", new.port) as names:
        code, out = discovering(client, names, pki)
        assert code == 77 and b"pop.evil.test" in out and new.sent == [], out


@pytest.mark.proves("R6186-10", "R6186-09")
def test_moved_server_with_another_certificate(tmp_path, pki):
    """The old host is there and is somebody else's now."""
    client = Client(tmp_path)
    certificate = pki.ca.issue("moved", "x", dns=["new.example.test"])
    with implicit(pki, certificate=certificate) as server, Proxy() as proxy, \
            NameServer("new.example.test", server.port) as names:
        more = {"discover": '"me@example.test"', "proxy": proxy}
        names.target = "old.example.test"
        code, out = discovering(client, names, pki, **more)
        assert code == 77 and server.log == [], out
        names.target = "new.example.test"
        code, out = discovering(client, names, pki, **more)
        assert code == 0, out
        ledger(client, server, MESSAGES, "all")
        assert [host for host, _ in proxy.asked][-2:] == [b"old.example.test", b"new.example.test"]


@pytest.mark.proves("R6186-02")
def test_next_server_of_the_domain(tmp_path, pki):
    """The first one is dead from the beginning: the others have their turn, by rank, and the living one is remembered."""
    client = Client(tmp_path)
    dead = free_ports(2)
    with implicit(pki) as last, NameServer("localhost", *dead, last.port) as names:
        code, out = discovering(client, names, pki)
        assert code == 0 and len(names.asked) == 2, (out, names.asked)
        ledger(client, last, MESSAGES, "all")
        assert discovering(client, names, pki, keep="none")[0] == 0 and len(names.asked) == 2
    with NameServer("localhost", *dead) as names:
        code, out = discovering(client, names, pki, retries=2)
        assert code == 69 and len(names.asked) == 2, out


def test_silent_name_server_changes_nothing(tmp_path, pki):
    client = Client(tmp_path)
    with implicit(pki) as old, NameServer("localhost", old.port) as names:
        assert discovering(client, names, pki)[0] == 0
    code, out = discovering(client, names, pki)    # nobody listens at its port
    assert code == 69 and b"connecting to localhost" in out, out


def test_another_domain_is_asked_for(tmp_path, pki):
    """What one domain named is not the server of another, whatever the account is called."""
    client = Client(tmp_path)
    certificate = pki.ca.issue("two", "x", dns=["pop.one.test", "pop.two.test"])
    with implicit(pki, certificate=certificate) as server, Proxy() as proxy, \
            NameServer("pop.one.test", server.port) as names:
        assert discovering(client, names, pki, proxy=proxy, discover='"me@one.test"')[0] == 0
        names.target = "pop.two.test"
        assert discovering(client, names, pki, proxy=proxy, discover='"me@two.test"')[0] == 0
        assert [host for host, _ in proxy.asked] == [b"pop.one.test", b"pop.two.test"]


@pytest.mark.proves("R9525-02")
def test_domain_beyond_ascii(tmp_path, pki):
    """Asked for, compared and logged in with as A-labels."""
    certificate = pki.ca.issue("idn-srv", "x", dns=["pop.xn--bcher-kva.test"])
    with implicit(pki, certificate=certificate) as server, Proxy() as proxy, \
            NameServer("pop.xn--bcher-kva.test", server.port) as names:
        client = Client(tmp_path)
        code, out = discovering(client, names, pki, proxy=proxy, discover='"me@b\u00fccher.test"')
        assert code == 0, out
        assert names.asked[0] == b"_pop3s._tcp.xn--bcher-kva.test" and b"USER me@xn--bcher-kva.test" in server.commands()
        ledger(client, server, MESSAGES, "all")


def test_probe_discovers(tmp_path, pki):
    with implicit(pki) as server, NameServer("localhost", server.port) as names:
        code, out = command(Client(tmp_path), 1, "all", "probe", "a", server='""', discover='"me@localhost"', tls="auto",
                            family='"4"', ca_file=f'"{pki.ca.pem}"', plaintext_auth="no",
                            env={"RESTANTE_NAMESERVER": f"127.0.0.1:{names.port}"})
        assert code == 0 and b"+OK" not in out and b"sha256//" in out and server.verbs(), out


# --- the name to log in with -----------------------------------------------------------------------


class ByName(dict):
    """What a server says to a verb when the name was another than the right one."""

    def __init__(self, right, refusal=b"-ERR [AUTH] no\r\n", verb="PASS"):
        super().__init__()
        self.right, self.refusal, self.verb, self.names = right, refusal, verb, []

    def get(self, verb, default=None):
        name = self.server.commands()[-1][5:] if verb == "USER" else self.names[-1] if self.names else b""
        if verb == "USER":
            self.names.append(name)
        return self.refusal if verb == self.verb and name != self.right else default


def by_name(pki, right, *how):
    says = ByName(right, *how)
    says.server = implicit(pki, Fault(says=says))
    return says


@pytest.mark.proves("R6186-07")
@pytest.mark.parametrize("verb,refusal", [("PASS", b"-ERR [AUTH] no\r\n"), ("PASS", b"-ERR wrong\r\n"),
                                          ("USER", b"-ERR no such user\r\n")])
def test_local_part_as_the_name(tmp_path, pki, verb, refusal):
    """First the whole address, then the local part, and from then on what was right."""
    client, says = Client(tmp_path), by_name(pki, b"me", refusal, verb)
    with says.server as server, NameServer("localhost", server.port) as names:
        code, out = discovering(client, names, pki)
        assert code == 0 and says.names == [b"me@localhost", b"me"], (out, server.log)
        ledger(client, server, MESSAGES, "all")
        assert discovering(client, names, pki)[0] == 0
        assert says.names[2:] == [b"me"]
        says.right = b"me@localhost"
        assert discovering(client, names, pki)[0] == 0
        assert says.names[3:] == [b"me", b"me@localhost"]
        assert discovering(client, names, pki, keep="none")[0] == 0
        assert says.names[5:] == [b"me@localhost"]


@pytest.mark.proves("R6186-07")
@pytest.mark.parametrize("retries", [0, 4])
def test_neither_name_is_right(tmp_path, pki, retries):
    """Two attempts, never more, and then the user is told what to set."""
    client, says = Client(tmp_path), by_name(pki, b"nobody")
    with says.server as server, NameServer("localhost", server.port) as names:
        code, out = discovering(client, names, pki, retries=retries)
        assert code == 77 and says.names == [b"me@localhost", b"me"], out
        assert b'"me@localhost"' in out and b'"me"' in out and b"set user" in out, out


@pytest.mark.parametrize("refusal", [b"[IN-USE]", b"[LOGIN-DELAY]", b"[SYS/TEMP]", b"[SYS/PERM]", b"locked:"])
def test_trouble_is_not_the_name(tmp_path, pki, refusal):
    client, says = Client(tmp_path), by_name(pki, b"me", b"-ERR " + refusal + b" no\r\n")
    with says.server as server, NameServer("localhost", server.port) as names:
        code, out = discovering(client, names, pki)
        assert code in (70, 75) and says.names == [b"me@localhost"], out


def test_name_that_was_set(tmp_path, pki):
    client, says = Client(tmp_path), by_name(pki, b"me")
    with says.server as server, NameServer("localhost", server.port) as names:
        code, out = discovering(client, names, pki, user='"me@localhost"')
        assert code == 77 and says.names == [b"me@localhost"] and b"set user" not in out, out


# --- mail beyond ASCII -----------------------------------------------------------------------------


class WantsUtf8(dict):
    """Refuses a verb until UTF8 was said in the same session."""

    def __init__(self, verb, word=None):
        super().__init__()
        self.verb, self.word = verb, word

    def get(self, verb, default=None):
        session = len(self.server.sent) - 1
        if verb == "UTF8":
            return self.word or b"+OK\r\n"
        on = b"UTF8" in self.server.commands(session) and not self.word
        return b"-ERR [UTF8] it needs UTF8\r\n" if verb == self.verb and not on else default


@pytest.mark.proves("R6856-07")
@pytest.mark.parametrize("verb", ["PASS", "STAT", "RETR", "AUTH"])
def test_reconnects_with_utf8(tmp_path, verb):
    """CAPA does not list UTF8, and the server asks for it all the same."""
    says = WantsUtf8(verb)
    auth = {"PLAIN": [lambda line: says.get("AUTH", b"+OK\r\n")]} if verb == "AUTH" else {}
    words = (b"UIDL", b"TOP", b"PIPELINING", b"SASL PLAIN" if auth else b"USER")
    says.server = PopFault(MESSAGES, Fault(says=says), Door(words=words, auth=auth))
    with says.server as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", retries=0)
        assert code == 0, (out, server.log)
        ledger(client, server, MESSAGES, "none")
        assert len(server.sent) == 2 and server.verbs(1).index("UTF8") < server.verbs(1).index("STAT")
        assert "UTF8" not in server.verbs(0)


@pytest.mark.proves("R6856-07")
@pytest.mark.parametrize("verb,code", [("PASS", 70), ("RETR", 75)])
def test_utf8_that_cannot_be_had(tmp_path, verb, code):
    """Once, and then it is reported; the mail stays where it is."""
    says = WantsUtf8(verb, b"-ERR what\r\n")
    says.server = PopFault(MESSAGES, Fault(says=says))
    with says.server as server:
        got, out = Client(tmp_path).run(server.port, "none", retries=3, args=["-v"])
        assert got == code and b"it needs UTF8" in out, out
        assert len(server.sent) == 2 and server.uids() == [uid for uid, _ in MESSAGES]


# --- ways to log in that nobody named --------------------------------------------------------------


@pytest.mark.proves("R2195-03")
def test_cram_md5_by_name_alone(tmp_path):
    door = Door(words=(b"SASL CRAM-MD5", b"USER", b"UIDL"), auth={"CRAM-MD5": [challenge(b"<1@h>"), b"+OK\r\n"]})
    with PopFault(MESSAGES, door=door) as server:
        assert Client(tmp_path / "a").run(server.port, "none")[0] == 0
        assert "AUTH" not in server.verbs() and "PASS" in server.verbs()
    with PopFault(MESSAGES, door=door) as server:
        assert Client(tmp_path / "b").run(server.port, "none", auth='"CRAM-MD5"', plaintext_auth="no")[0] == 0
        assert "PASS" not in server.verbs() and server.uids() == []


@pytest.mark.proves("R4422-02")
@pytest.mark.parametrize("offered", ["OAUTHBEARER", "XOAUTH2"])
def test_token_is_used_unasked(tmp_path, pki, offered):
    """auth = auto, with a token-command: the mechanism that is offered; nothing weaker when the token is refused."""
    for said, code in ((b"+OK\r\n", 0), (b"-ERR [AUTH] no\r\n", 77)):
        door = Door(tls="implicit", certificate=pki.server, auth={offered: [b"+ \r\n", said]},
                    words=(b"SASL PLAIN " + offered.encode(), b"USER", b"UIDL"))
        with PopFault(MESSAGES, door=door) as server:
            got, out = Client(tmp_path / str(code)).run(
                server.port, "none", server=f'"pops://localhost:{server.port}"', family='"4"', tls="implicit", retries=0,
                ca_file=f'"{pki.ca.pem}"', plaintext_auth="no", token_command='"echo t0ken"', password='""')
            assert got == code, out
            assert b"auth=Bearer t0ken" in server.answers[0] and not {"USER", "PASS"} & set(server.verbs())
            assert b"AUTH PLAIN" not in server.commands()
