"""Servers of other people, on loopback, each with one user "u" and a maildrop of its own making.

Dovecot runs as it is installed, under a configuration of the test. The others serve one session on standard input
and output, so a listener here starts them as inetd would; Courier's login needs a daemon, so the listener does USER
and PASS and Courier everything after them. Those that look users up in the system see a passwd, shadow and /var/mail
of the test: a mount namespace of their own (root only). Nothing of the system is changed, no service is started.
Does not know: the client.
"""

from __future__ import annotations

import crypt
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import server as srv
from listening import Listening

TREE = Path(__file__).resolve().parents[2]
ROOT = os.geteuid() == 0
PASSWORD = "p"


class Missing(Exception):
    """This server cannot be had here."""


def unpacked(build: Path) -> Path:
    """Where the packages lie that cannot be installed beside each other."""
    root = build / "peers"
    if not (root / "complete").exists():
        done = subprocess.run([str(TREE / "scripts" / "install-deps"), "--unpack", str(root)], capture_output=True,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Missing(f"packages of the peers: {done.stderr.decode(errors='replace')[-200:]}")
    return root / "root"


def need(path: Path) -> Path:
    if not path.exists():
        raise Missing(f"{path} does not exist")
    return path


class Inetd(Listening):
    """Starts argv for each connection, the socket as its standard input and output."""

    def __init__(self, argv, env, greet=False):
        self.argv, self.env, self.greet = [str(a) for a in argv], env, greet
        self.children: list = []
        self.listen()

    def serve(self, sock):
        with sock:
            if self.greet and not self.login(sock):
                return
            child = subprocess.Popen(self.argv, env=self.env, stdin=sock, stdout=sock, stderr=subprocess.DEVNULL)
            self.children.append(child)
            child.wait()

    def login(self, sock):
        """An octet at a time: what follows PASS is the server's."""
        sock.sendall(b"+OK ready\r\n")
        while True:
            line = b""
            while not line.endswith(b"\n"):
                one = sock.recv(1)
                if not one:
                    return False
                line += one
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"PASS":
                return True
            sock.sendall({b"USER": b"+OK\r\n", b"CAPA": b"+OK\r\nUSER\r\nUIDL\r\nTOP\r\n.\r\n"}.get(verb, b"-ERR\r\n"))

    def settle(self):
        for child in list(self.children):
            child.wait(10)

    def close(self):
        super().close()
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()


class Maildir:
    """A maildrop in a Maildir."""

    def fill(self, messages):
        for part in ("tmp", "new", "cur"):
            (self.box / part).mkdir(parents=True)
        for i, m in enumerate(messages):
            (self.box / "new" / f"17000000{i:02}.M{i}P1.lab").write_bytes(m)
        for path in (self.box.parent, self.box, *self.box.rglob("*")):
            if ROOT:
                os.chown(path, self.uid, self.uid)

    def left(self):
        return sum(1 for part in ("new", "cur") for _ in (self.box / part).iterdir())


class Courier(Maildir):
    name = "courier"
    uid = 0

    def __init__(self, base: Path, build: Path, messages):
        root = unpacked(build)
        self.box = base / "home" / "Maildir"
        self.fill(messages)
        env = dict(os.environ, AUTHENTICATED="u", AUTHADDR="u", HOME=str(base / "home"), TCPREMOTEIP="127.0.0.1",
                   LD_LIBRARY_PATH=str(root / "usr/lib"))
        self.inetd = Inetd([need(root / "usr/lib/courier/courier/courierpop3d"), self.box], env, greet=True)
        self.port, self.settle, self.close = self.inetd.port, self.inetd.settle, self.inetd.close


class Dovecot(Maildir):
    name = "dovecot"
    uid = 65534

    def __init__(self, base: Path, build: Path, messages):
        if not ROOT:
            raise Missing("started by root only")
        program = need(Path("/usr/sbin/dovecot"))
        need(Path("/usr/lib/dovecot/pop3"))
        self.box = base / "home" / "Maildir"
        self.fill(messages)
        self.port = srv.free_ports(1)[0]
        run = base / "run"
        run.mkdir(mode=0o755)
        conf = base / "dovecot.conf"
        conf.write_text(f"""protocols = pop3
base_dir = {run}
log_path = {base}/dovecot.log
ssl = no
disable_plaintext_auth = no
listen = 127.0.0.1
first_valid_uid = 1
mail_location = maildir:{self.box}
service pop3-login {{
  inet_listener pop3 {{
    port = {self.port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={base}/home
}}
""")
        self.child = subprocess.Popen([str(program), "-F", "-c", str(conf)], stdin=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        self.close()
        raise AssertionError((base / "dovecot.log").read_text())

    def settle(self):
        time.sleep(0.2)

    def close(self):
        self.child.terminate()
        self.child.wait(20)


class Mbox:
    """A maildrop in an mbox that the server finds in /var/mail, in a name space where that is the test's."""

    def __init__(self, base: Path, build: Path, messages):
        if not ROOT or not shutil.which("unshare"):
            raise Missing("needs a mount name space, which root may have")
        self.spool = base / "spool"
        self.spool.mkdir(mode=0o1777)
        self.spool.chmod(0o1777)
        self.file = self.spool / "u"
        text = b"".join(b"From lab@example.org Fri Jan  2 03:04:05 2026\n" + m + b"\n" for m in messages)
        self.file.write_bytes(text)
        os.chown(self.file, 65533, 65533)
        self.file.chmod(0o600)
        extra = f"popa3d:x:65532:65532::/:/bin/false\nu:x:65533:65533::{base}:/bin/sh\n"
        self.write(base / "passwd", Path("/etc/passwd").read_text() + extra, 0o644)
        self.write(base / "group", Path("/etc/group").read_text() + "popa3d:x:65532:\nu:x:65533:\n", 0o644)
        secret = crypt.crypt(PASSWORD, crypt.METHOD_SHA512)
        self.write(base / "shadow", f"root:*:1::::::\nu:{secret}:19000:0:99999:7:::\n", 0o600)
        script = "".join(f"mount --bind {base}/{n} /etc/{n} && " for n in ("passwd", "group", "shadow"))
        script += f"mount --bind {self.spool} /var/mail && mount -t tmpfs none /var/lib && mkdir -m 755 /var/lib/popa3d && "
        argv = ["unshare", "-m", "sh", "-c", script + 'exec "$@"', "sh", *self.program(base, build)]
        self.inetd = Inetd(argv, dict(os.environ))
        self.port, self.settle, self.close = self.inetd.port, self.inetd.settle, self.inetd.close

    @staticmethod
    def write(path, text, mode):
        path.write_text(text)
        path.chmod(mode)

    def left(self):
        data = self.file.read_bytes() if self.file.exists() else b""
        return data.count(b"From lab@example.org")


class Popa3d(Mbox):
    name = "popa3d"

    def program(self, base, build):
        return [need(unpacked(build) / "usr/sbin/popa3d")]


class Mailutils(Mbox):
    name = "mailutils"

    def program(self, base, build):
        conf = base / "mailutils.conf"
        conf.write_text("acl { allow any; };\n")
        return [need(Path("/usr/sbin/pop3d")), "-i", "--no-site-config", f"--config-file={conf}"]


PEERS = [Dovecot, Courier, Mailutils, Popa3d]
