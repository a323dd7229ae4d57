"""The client under test, and the ledger of its mail: each message once, octet for octet, and nothing beside it.

Does not know: what went wrong on the server.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import server as srv

FAULTY = re.compile(rb"AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed")
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
FULL = bool(os.environ.get("RESTANTE_FULL"))


class Client:
    """The program with one account, "a"."""

    def __init__(self, root: Path):
        self.root = root
        self.root.mkdir(parents=True, exist_ok=True)
        self.program = srv.build_dir() / "src" / "client" / "restante"
        if not self.program.exists():
            if os.environ.get("RESTANTE_BUILD"):
                raise FileNotFoundError(self.program)
            pytest.skip(f"{self.program} is not built")
        self.maildir, self.state = root / "mail", root / "state"

    def config(self, port, keep, deliver, state, settings) -> Path:
        rows = {"server": f'"pop://127.0.0.1:{port}"', "tls": "none", "plaintext-auth": "yes", "user": '"u"',
                "password": '"p"', "deliver": f'"{deliver}"', "keep": f'"{keep}"', "retries": "1",
                "reply-timeout": "5s", "read-timeout": "5s", "connect-timeout": "5s"}
        rows.update({name.replace("_", "-"): str(value) for name, value in settings.items()})
        path = self.root / "restante.conf"
        path.unlink(missing_ok=True)
        text = f'state-dir = "{state}"\naccount "a" {{\n' + "".join(f"  {n} = {v}\n" for n, v in rows.items()) + "}\n"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
        return path

    def argv(self, port, keep, deliver, state, settings) -> list:
        return [str(self.program), "-c", str(self.config(port, keep, deliver, state, settings)), "fetch"]

    def start(self, port, keep, deliver=None, state=None, wrap=(), env=(), args=(), **settings) -> subprocess.Popen:
        state = state or self.state
        argv = self.argv(port, keep, deliver or f"maildir:{self.maildir}", state, settings)
        # Nothing of this user's own configuration, and a sanitizer's finding is an exit code of its own.
        environ = dict(os.environ, HOME=str(self.root), XDG_STATE_HOME=str(self.root), XDG_CONFIG_HOME=str(self.root),
                       ASAN_OPTIONS="exitcode=99", UBSAN_OPTIONS="print_stacktrace=1")
        environ.update(env)
        return subprocess.Popen([*wrap, *argv, *args], env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, cwd=self.root)

    def on_terminal(self, conf, typed=b"", timeout=60):
        """Runs with a terminal on all three descriptors -> exit code, what was seen there"""
        main, other = pty.openpty()
        child = subprocess.Popen([str(self.program), "-c", str(conf)], stdin=other, stdout=other, stderr=other, cwd=self.root,
                                 env=dict(os.environ, HOME=str(self.root), TERM="xterm", ASAN_OPTIONS="exitcode=99"))
        os.close(other)
        os.write(main, typed)
        seen, piece = b"", b"?"
        while piece and select.select([main], [], [], timeout)[0]:
            try:
                piece = os.read(main, 65536)
            except OSError:  # the last one has closed the other end
                break
            seen += piece
        os.close(main)
        return child.wait(20), seen

    def run(self, port, keep, deliver=None, state=None, timeout=30, **how):
        """-> exit code, output"""
        child = self.start(port, keep, deliver, state, **how)
        try:
            out = child.communicate(timeout=timeout)[0]
        except BaseException:
            child.kill()
            out = child.communicate()[0]
            print(out.decode(errors="replace"))
            raise
        assert sound(out, child.returncode)
        return child.returncode, out


def sound(out: bytes, code: int) -> bool:
    """Neither a sanitizer nor an assertion had anything to say."""
    assert not FAULTY.search(out), out.decode(errors="replace")
    return code != 99


def stored(maildir: Path) -> list:
    return sorted(p.read_bytes() for part in ("new", "cur") for p in (maildir / part).glob("*") if p.is_file())


def as_stored(data: bytes) -> bytes:
    """What a message becomes on disk."""
    if data and not data.endswith(b"\r\n"):
        data += b"\r\n"
    return data.replace(b"\r\n", b"\n")


def ledger(client: Client, server, originals, keep: str, what="") -> None:
    """Each of originals once here; there, all or none."""
    want = Counter(as_stored(data) for _, data in originals)
    got = Counter(stored(client.maildir))
    brief = lambda c: [(n, m[:60]) for m, n in c.items()]  # noqa: E731
    assert got == want, f"{what}: lost {brief(want - got)}, too many {brief(got - want)}"
    rest = list((client.maildir / "tmp").glob("*"))
    assert not rest, f"{what}: left over {rest}"
    there = server.uids()
    assert there == ([] if keep == "none" else [uid for uid, _ in originals]), f"{what}: on the server {there}"


def mails(n: int, size=60) -> list:
    body = b"Subject: number %d\r\n\r\n.dot\r\n%s\r\n"
    return [(b"uid-%d" % i, body % (i, b"%d" % i * size)) for i in range(1, n + 1)]
