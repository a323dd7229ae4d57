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
from lab import Client, ledger, mails
from popfault import Door, PopFault
from test_client_hands import command
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


@pytest.mark.proves("R9525-02")
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
