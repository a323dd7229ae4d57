"""restantectl as the tests run it: a site of its own, and commands with their answers."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest
import server as srv

EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_NOUSER = 64, 65, 66, 67
EX_CANTCREAT, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 73, 75, 77, 78

ROOT = os.geteuid() == 0
OWNER = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.geteuid())

DOOR = 'listen "x" { address = {"127.0.0.1:1110"} tls = none }\n'


def own(path: Path) -> None:
    if ROOT:
        os.chown(path, OWNER.pw_uid, OWNER.pw_gid)


def tool() -> Path:
    try:
        return srv.program("restantectl")
    except srv.Unavailable as e:
        if os.environ.get("RESTANTE_BUILD"):
            raise
        pytest.skip(str(e))


class Site:
    """A configuration, a users file and maildrops in a folder that every uid can walk through."""

    def __init__(self, extra: str = ""):
        self.tool = tool()
        self.base = srv.temp_root("restante-cli-")
        self.mail = self.base / "mail"
        self.mail.mkdir()
        own(self.mail)
        self.conf = self.base / "restante.conf"
        self.users = self.base / "users"
        owner = f'user = "{OWNER.pw_name}"' if ROOT else ""
        self.conf.write_text(
            DOOR + f'mail {{ maildrop = "{self.mail}/{{user}}" {owner} min_uid = 1 }}\n'
            + "auth { scram_iterations = 4096 }\n" + extra)

    def run(self, *words: str | bytes, data: bytes = b"", **how) -> subprocess.CompletedProcess:
        env = {"PATH": os.environ["PATH"], "RESTANTE_CONF": str(self.conf), "LC_ALL": "C.UTF-8"}
        how.setdefault("env", env)
        return subprocess.run([self.tool, *words], input=data, capture_output=True, timeout=50, **how)

    def ok(self, *words: str | bytes, data: bytes = b"") -> bytes:
        done = self.run(*words, data=data)
        assert done.returncode == 0, (words, done)
        assert b"ERROR: AddressSanitizer" not in done.stderr
        return done.stdout

    def fails(self, code: int, *words: str | bytes, data: bytes = b"") -> str:
        """The command fails with that code and says one line why, on standard error alone."""
        done = self.run(*words, data=data)
        assert done.returncode == code, (words, done)
        assert done.stdout == b"", done
        text = done.stderr.decode()
        assert text.endswith("\n") and "Sanitizer" not in text, done
        return text

    def json(self, *words: str):
        return json.loads(self.ok(*words, "--json"))

    def add(self, name: str, *words: str, password: bytes = b"s3cret") -> None:
        self.ok("user", "add", name, "--password-stdin", *words, data=password + b"\n")

    def files(self, user: str, folder: str = "new") -> list[Path]:
        path = self.mail / user / folder
        return sorted(path.iterdir()) if path.exists() else []

    def close(self) -> None:
        for path in [self.base, *self.base.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(self.base)
