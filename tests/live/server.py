"""Starts and stops a restanted of its own for a test: root directory, configuration, users, maildrops.

Everything is on loopback, on ports that were free a moment ago. Processes are ended by their ids. When a
server stops its log is held against what must never be in one: sanitizer reports, workers that died
without being killed by the test, secrets.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import wiremodel
from wire import Wire

ROOT = os.geteuid() == 0
# Owner of the throw-away maildrops: ourselves, or as root a number that belongs to nobody.
MAIL_UID = 54321 if ROOT else os.getuid()
MAIL_GID = 54321 if ROOT else os.getgid()
TREE = Path(__file__).resolve().parents[2]
READY_SECONDS = 30.0

_counter = itertools.count(1)


class Unavailable(RuntimeError):
    """The server has not been built."""


def build_dir() -> Path:
    given = os.environ.get("RESTANTE_BUILD")
    if given:
        return Path(given).resolve()
    for name in ("build", "build-asan", "build-lead"):
        if (TREE / name / "src/server/restanted").exists():
            return TREE / name
    return TREE / "build"


def program(name: str) -> Path:
    build = build_dir()
    for folder in ("src/server", "src/admin"):
        path = build / folder / name
        if path.exists():
            return path
    raise Unavailable(f"{name} is not built in {build.name}")


def sanitized() -> bool:
    """Is the server built with sanitizers?"""
    with open(program("restanted"), "rb") as f:
        return b"__asan_init" in f.read()


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    socks = []
    for _ in range(count):
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        s.bind((host, 0))
        socks.append(s)
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def temp_root(prefix: str = "restante-") -> Path:
    """A directory that other uids can walk through (pytest's own are private to root)."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=os.environ.get("RESTANTE_TMP")))
    path.chmod(0o755)
    return path


def own(path: Path | str) -> None:
    if ROOT:
        os.chown(path, MAIL_UID, MAIL_GID, follow_symlinks=False)


class Maildrop:
    """A Maildir and what is in it, seen from outside the server."""

    def __init__(self, path: Path):
        self.path = path
        self._clock = 1_700_000_000

    def make(self) -> "Maildrop":
        for folder in (self.path, *(self.path / s for s in ("tmp", "new", "cur"))):
            folder.mkdir(mode=0o700, exist_ok=True)
            own(folder)
        return self

    def name(self, data: bytes | None = None, sizes: bool = False) -> str:
        """The next unique name; later ones sort later."""
        self._clock += 1
        text = f"{self._clock}.M{next(_counter)}P{os.getpid()}.test"
        if sizes:
            text += f",S={len(data)},W={wiremodel.size(data)}"
        return text

    def put(
        self,
        data: bytes,
        name: str | bytes | None = None,
        sub: str = "new",
        *,
        flags: str | None = None,
        sizes: bool = False,
        mtime: float | None = None,
    ) -> Path:
        """Delivers as any mail transport does: tmp, then rename. In cur the name gets an info part."""
        name = name if name is not None else self.name(data, sizes)
        name = os.fsdecode(name)
        if sub == "cur" and ":2," not in name:
            name += ":2," + (flags or "")
        tmp, end = self.path / "tmp" / name, self.path / sub / name
        tmp.write_bytes(data)
        own(tmp)
        if mtime is not None:
            os.utime(tmp, (mtime, mtime))
        tmp.rename(end)
        return end

    def fill(self, messages: list[bytes], **how) -> list[Path]:
        return [self.put(m, **how) for m in messages]

    def files(self) -> list[Path]:
        """The message files in the order of their names' times."""
        found = []
        for sub in ("new", "cur"):
            folder = self.path / sub
            if folder.is_dir():
                found += [p for p in folder.iterdir() if not p.name.startswith(".")]
        return sorted(found, key=lambda p: (_numbers(p.name), p.name))

    def contents(self) -> list[bytes]:
        return [p.read_bytes() for p in self.files()]

    def __len__(self) -> int:
        return len(self.files())

    def clear(self) -> None:
        for sub in ("new", "cur", "tmp"):
            for p in (self.path / sub).iterdir():
                if p.is_dir() and not p.is_symlink():
                    shutil.rmtree(p)
                else:
                    p.unlink()


def _numbers(name: str) -> tuple[int, int]:
    m = re.match(r"(\d+)(?:\.M(\d+))?", name)
    return (int(m[1]), int(m[2] or 0)) if m else (1 << 62, 0)


def quote(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(quote(v) for v in value) + "}"
    if isinstance(value, int):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Server:
    """One restanted. conf: {"section.name": value} over the defaults of the tests; a value None leaves a
    setting out. listen: names of the listeners to open, out of LISTENERS, or {name: {setting: value}}."""

    LISTENERS = {
        "plain": {"tls": "stls", "trusted": ["127.0.0.0/8", "::1"]},
        "strict": {"tls": "stls", "trusted": []},
        "tls": {"tls": "implicit"},
    }
    NO_TLS = {"plain": {"tls": "none", "trusted": ["127.0.0.0/8"]}}

    def __init__(
        self,
        pki,
        *,
        listen=("plain", "strict", "tls"),
        conf: dict | None = None,
        users: dict[str, str] | None = None,
        certificates: dict[str, tuple[str, str]] | None = None,
        start: bool = True,
        env: dict | None = None,
        prefix: list[str] | None = None,
        base: Path | None = None,
    ):
        self.pki = pki
        self.base = base or temp_root()
        self.mail = self.base / "mail"
        self.mail.mkdir(mode=0o755, exist_ok=True)
        own(self.mail)
        self.log_path = self.base / "log"
        self.conf_path = self.base / "restante.conf"
        self.users_path = self.base / "users"
        self.tls_dir = self.base / "tls"
        self.tls_dir.mkdir(exist_ok=True)
        self.certificate = self.tls_dir / "cert.pem"
        self.key = self.tls_dir / "key.pem"
        self.install_certificate(pki.server)
        self.certificates = certificates or {}
        if isinstance(listen, dict):
            self.listen = {k: dict(v) for k, v in listen.items()}
        else:
            self.listen = {k: dict(self.LISTENERS[k]) for k in listen}
        self.ports: dict[str, int] = {}
        self.conf = {
            "hostname": "mail.example.org",
            "tls.certificate": str(self.certificate),
            "tls.key": str(self.key),
            "mail.maildrop": str(self.mail) + "/{user}",
            "users.file": str(self.users_path),
            "auth.throttle": False,
        }
        if ROOT:
            empty = self.base / "empty"
            empty.mkdir(mode=0o755, exist_ok=True)
            self.conf |= ROOT_CONF | {"workers.chroot": str(empty)}
        self.conf |= conf or {}
        self.users: dict[str, str] = {}
        self.secrets: set[str] = set()
        self.proc: subprocess.Popen | None = None
        self.env = env or {}
        self.prefix = prefix or []
        self.allow_deaths = False
        self.known_reports: list[str] = []
        for name, fields in (users or {}).items():
            self.users[name] = fields
        self.write_users()
        if start:
            self.start()

    # --- files -----------------------------------------------------------------------------------

    def install_certificate(self, pair: tuple[str, str]) -> None:
        """Puts a certificate and its key in place, each by rename."""
        for source, target in zip(pair, (self.certificate, self.key)):
            fresh = target.with_suffix(".new")
            shutil.copyfile(source, fresh)
            fresh.chmod(0o644 if target is self.certificate else 0o600)
            fresh.rename(target)

    def write_users(self) -> None:
        fresh = self.base / "users.new"
        text = "".join(f"{n}:{f}\n" for n, f in self.users.items())
        fresh.write_bytes(text.encode("utf-8", "surrogateescape"))
        fresh.chmod(USERS_MODE)
        fresh.rename(self.users_path)

    def add_user(
        self,
        name: str,
        messages: list[bytes] | None = None,
        *,
        password: str | None = None,
        secret: str | None = None,
        extra: str = "",
        write: bool = True,
    ) -> "Account":
        """A user with a maildrop. secret: the users-file field when it is not {PLAIN}password."""
        password = password if password is not None else f"pw-{name}-s3cret"
        field = secret if secret is not None else "{PLAIN}" + password
        ids = f"{MAIL_UID}:{MAIL_GID}" if ROOT else ":"
        self.users[name] = f"{field}:{ids}::::{extra}"
        if len(password) >= 8:
            self.secrets.add(password)
        if write:
            self.write_users()
        drop = Maildrop(self.mail / name).make()
        for m in messages or []:
            drop.put(m)
        return Account(self, name, password, drop)

    def write_conf(self) -> None:
        out = []
        sections: dict[str, list[str]] = {}
        for key, value in self.conf.items():
            if value is None:
                continue
            section, _, name = key.rpartition(".")
            sections.setdefault(section, []).append(f"{name} = {quote(value)}")
        out += sections.pop("", [])
        for name, settings in self.listen.items():
            hosts = settings.get("hosts") or ["127.0.0.1"] + (["::1"] if has_ipv6() else [])
            address = [f"[{h}]:{self.ports[name]}" if ":" in h else f"{h}:{self.ports[name]}"
                       for h in hosts]
            rows = [f"address = {quote(address)}"]
            rows += [f"{k} = {quote(v)}" for k, v in settings.items() if k != "hosts"]
            out.append(f'listen "{name}" {{ ' + "\n  ".join(rows) + " }")
        for name, (cert, key) in self.certificates.items():
            out.append(f'certificate "{name}" {{ certificate = {quote(cert)}\n key = {quote(key)} }}')
        for section, rows in sections.items():
            out.append(f"{section} {{\n  " + "\n  ".join(rows) + "\n}")
        self.conf_path.write_text("\n".join(out) + "\n")

    # --- life ------------------------------------------------------------------------------------

    def start(self, expect_ready: bool = True) -> "Server":
        last = ""
        for _ in range(3):
            names = list(self.listen)
            for name, port in zip(names, free_ports(len(names))):
                self.ports[name] = port
            self.write_conf()
            if self._launch(expect_ready):
                return self
            last = self.log()[-3000:]
            if "in use" not in last and "EADDRINUSE" not in last:
                break
        raise AssertionError(f"restanted did not get ready:\n{last}")

    def restart(self) -> None:
        """The same configuration and ports again."""
        self.stop()
        assert self._launch(True), self.log()[-3000:]

    def _launch(self, expect_ready: bool) -> bool:
        env = dict(os.environ) | {
            "ASAN_OPTIONS": ASAN,
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=98",
        } | self.env
        self.log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(
                [*self.prefix, str(program("restanted")), "-c", str(self.conf_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd=self.base,
                start_new_session=True,
            )
        if not expect_ready:
            return True
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.events("ready"):
                return True
            if self.proc.poll() is not None:
                return False
            time.sleep(0.02)
        self.kill()
        return False

    def stop(self, seconds: float = 15.0) -> int | None:
        """SIGTERM, and the wait for it. Checks the log."""
        if not self.proc:
            return None
        children = self.descendants()
        code = self.proc.poll()
        if code is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                code = self.proc.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(
                    f"restanted did not stop within {seconds} s:\n{self.log()[-2000:]}"
                ) from None
        self.proc = None
        deadline = time.monotonic() + 5
        left = [p for p in children if alive(p)]
        while left and time.monotonic() < deadline:
            time.sleep(0.02)
            left = [p for p in left if alive(p)]
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        assert not left, f"workers outlived their supervisor: {left}"
        self.check_log()
        return code

    def kill(self) -> None:
        """SIGKILL to the supervisor and everything under it."""
        if not self.proc:
            return
        pids = [self.proc.pid, *self.descendants()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.proc.wait(10)
        self.proc = None
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and any(alive(p) for p in pids):
            time.sleep(0.02)

    def close(self) -> None:
        try:
            self.stop()
        finally:
            if not os.environ.get("RESTANTE_KEEP"):
                shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind, *exc) -> None:
        if kind is None:
            self.close()
            return
        # The test failed already: stop quietly, but show the log's end.
        print(f"--- end of the server's log\n{self.log()[-4000:]}")
        try:
            self.close()
        except AssertionError as e:
            print(f"--- and at its stop: {e}")

    def reload(self) -> None:
        """SIGHUP, and the wait until the new configuration stands."""
        self.write_conf()
        before = len(self.events("reloaded"))
        self.proc.send_signal(signal.SIGHUP)
        self.wait_event("reloaded", before + 1)

    # --- processes ---------------------------------------------------------------------------------

    def descendants(self) -> list[int]:
        if not self.proc:
            return []
        parents: dict[int, list[int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                ppid = _parent(int(entry))
                if ppid is not None:
                    parents.setdefault(ppid, []).append(int(entry))
        out, todo = [], [self.proc.pid]
        while todo:
            for pid in parents.get(todo.pop(), []):
                out.append(pid)
                todo.append(pid)
        return out

    def workers(self, role: str) -> list[int]:
        """Process ids of restante-<role>."""
        out = []
        for pid in self.descendants():
            try:
                argv0 = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
            except OSError:
                continue
            if os.path.basename(argv0) == f"restante-{role}".encode():
                out.append(pid)
        return sorted(out)

    def kill_worker(self, role: str, which: int = 0) -> int:
        """SIGKILL to one worker; returns when another has taken its place (or 10 s have passed)."""
        self.allow_deaths = True
        before = self.workers(role)
        assert before, f"no restante-{role} runs"
        pid = before[which % len(before)]
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and alive(pid):
            time.sleep(0.01)
        return pid

    def rss(self, pid: int) -> int:
        """Resident octets of a process."""
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    # --- log -------------------------------------------------------------------------------------

    def log(self) -> str:
        if not self.log_path.exists():
            return ""
        data = self.log_path.read_bytes()
        return data[getattr(self, "log_from", 0):].decode("utf-8", "backslashreplace")

    def events(self, name: str, **fields) -> list[dict[str, str]]:
        out = []
        for line in self.log().splitlines():
            if f"event={name}" not in line:
                continue
            ev = parse_event(line)
            if ev.get("event") == name and all(ev.get(k) == str(v) for k, v in fields.items()):
                out.append(ev)
        return out

    def wait_event(self, name: str, count: int = 1, seconds: float = 10.0, **fields):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.events(name, **fields)
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"no event {name} {fields} within {seconds} s:\n{self.log()[-2000:]}")

    def check_log(self) -> None:
        text = self.log_path.read_text("utf-8", "backslashreplace")
        for bad in ("AddressSanitizer", "runtime error:", "LeakSanitizer", "MemorySanitizer"):
            assert bad not in text, around(text, bad)
        if not self.allow_deaths:
            assert "event=worker-died" not in text, around(text, "event=worker-died")
        for secret in self.secrets:
            assert secret not in text, f"a secret in the log: {around(text, secret)}"
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text), "control octets in the log"

    # --- connections -------------------------------------------------------------------------------

    def address(self, listener: str = "plain", host: str = "127.0.0.1") -> tuple[str, int]:
        return (host, self.ports[listener])

    def wire(self, listener: str = "plain", host: str = "127.0.0.1", **how) -> Wire:
        if listener in self.listen and self.listen[listener].get("tls") == "implicit":
            how.setdefault("tls", True)
        return Wire(self.address(listener, host), **how)

    def open(self, how: str = "plain", **kw) -> Wire:
        """how: plain, stls or tls."""
        if how == "stls":
            w = self.wire("strict", **kw)
            w.stls()
            return w
        return self.wire(how, **kw)


class Account:
    def __init__(self, server: Server, name: str, password: str, drop: Maildrop):
        self.server, self.name, self.password, self.drop = server, name, password, drop

    def login(self, how: str = "plain", **kw) -> Wire:
        w = self.server.open(how, **kw)
        try:
            return w.login(self.name, self.password)
        except BaseException:
            w.close()
            raise

    def login_soon(self, seconds: float = 5.0, how: str = "plain", **kw) -> Wire:
        """Logs in as soon as the maildrop is free and the server serves: for after drops and kills."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.login(how, **kw)
            except (AssertionError, OSError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ESRCH):
            return False
        raise


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def parse_event(line: str) -> dict[str, str]:
    out = {}
    for m in re.finditer(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)', line):
        value = m[2]
        out[m[1]] = value[1:-1] if value.startswith('"') else value
    return out


def around(text: str, what: str) -> str:
    at = text.find(what)
    return text[max(0, at - 500) : at + 2500]


def sh(command: str, **kw) -> subprocess.CompletedProcess:
    return subprocess.run(shlex.split(command), capture_output=True, timeout=60, check=True, **kw)


# What root must say besides: workers run under uids of their own.
ROOT_CONF: dict = {
    "mail.user": "nobody",
    "workers.front_user": "daemon",
    "workers.auth_user": "daemon",
}
USERS_MODE = 0o600

ASAN = "detect_leaks=0:abort_on_error=0:exitcode=99:handle_abort=1"
# For tests that measure memory: a sanitizer keeps freed memory back, which is not what is measured.
LEAN = {"ASAN_OPTIONS": ASAN + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=16"}
