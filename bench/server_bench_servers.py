"""The servers of the comparison, each on loopback under a configuration of its own: ours, the floor, Dovecot in
three forms, Courier. All are given the same users, the same password, Maildirs with the same content and the same
certificate; none is started as a service, all are ended by process id.
Does not know: what is measured.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
ROOT = os.geteuid() == 0
PASSWORD = "secret"
MAIL_ID = 54321 if ROOT else os.getuid()  # owner of the throw-away mail
READY_SECONDS = 20


class Missing(Exception):
    """This server cannot be had here; the text says why."""


def free_ports(count):
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def make_certificate(folder: Path):
    """ECDSA P-256, for all servers of a run."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                    str(key), "-out", str(cert)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    key.chmod(0o600)
    return cert, key


class Server:
    """A server of the comparison: start(site) makes it serve the Maildirs site.mail/SET/user%05d."""

    name = "?"
    tls = True
    resumes = True

    def __init__(self):
        self.child = None
        self.port = self.tls_port = 0

    def spawn(self, argv, log, env=None, cwd="/"):
        with open(log, "ab") as out:
            self.child = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          env=env, cwd=cwd, start_new_session=True)
        self.log = self.out = log

    def wait_ready(self):
        """Until a greeting comes."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                    if s.recv(3) == b"+OK":
                        return
            except OSError:
                pass
            time.sleep(0.05)
        text = "".join(log.read_text(errors="replace")[-700:] for log in {Path(self.log), Path(self.out)})
        self.stop()
        raise Missing(f"did not start: {text}")

    @property
    def pid(self):
        return self.child.pid

    def forget(self, box: Path):
        """The Maildir loses what the server keeps beside the mail, so that the next login is the first."""
        for path in box.iterdir():
            if path.name not in ("cur", "new", "tmp"):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def descendants(self):
        parents: dict[int, list[int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    stat = Path(f"/proc/{entry}/stat").read_text()
                except OSError:
                    continue
                parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
        out, todo = [], [self.child.pid]
        while todo:
            for pid in parents.get(todo.pop(), []):
                out.append(pid)
                todo.append(pid)
        return out

    def stop(self):
        if not self.child:
            return
        left = self.descendants() if self.child.poll() is None else []
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.child = None
        for pid in left:
            try:
                if os.readlink(f"/proc/{pid}/exe"):
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass


class Ours(Server):
    name = "restante"

    def __init__(self, build: Path):
        super().__init__()
        self.build = build

    def start(self, site):
        folder = site.folder / "restante"
        folder.mkdir(exist_ok=True)
        (folder / "empty").mkdir(exist_ok=True, mode=0o755)
        self.port, self.tls_port = free_ports(2)
        users = folder / "users"
        ids = f"{MAIL_ID}:{MAIL_ID}" if ROOT else ":"
        users.write_text("".join(f"user{n:05}:{{PLAIN}}{PASSWORD}:{ids}::::\n" for n in site.users()))
        users.chmod(0o600)
        root = f'workers {{ front_user = "daemon"  auth_user = "daemon"  chroot = "{folder}/empty" }}\n' if ROOT else ""
        owner = '  user = "nobody"' if ROOT else ""
        conf = folder / "restante.conf"
        conf.write_text(f"""hostname = "localhost"
listen "pop3" {{ address = {{"127.0.0.1:{self.port}"}}  tls = stls  trusted = {{"127.0.0.0/8"}} }}
listen "pop3s" {{ address = {{"127.0.0.1:{self.tls_port}"}}  tls = implicit }}
tls {{ certificate = "{site.cert}"  key = "{site.key}" }}
mail {{ maildrop = "{site.mail_of(self)}/{{user}}" {owner} }}
users {{ file = "{users}" }}
auth {{ throttle = no }}
limits {{ connections = 40000  not_logged_in = 20000 }}
{root}""")
        self.spawn([self.build / "src/server/restanted", "-c", conf], folder / "log")
        self.wait_ready()

    def version(self):
        done = subprocess.run(["git", "-C", str(TREE), "describe", "--always", "--dirty"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        return f"restante {done.stdout.strip()}"


class Floor(Server):
    """Canned replies: what the kernel and OpenSSL cost anyone."""

    name = "floor"

    def __init__(self, build: Path):
        super().__init__()
        self.build = build

    def start(self, site):
        self.port, self.tls_port = free_ports(2)
        self.spawn([self.build / "bench/floor-server", str(self.port), str(self.tls_port), site.cert, site.key,
                    f"{site.mail_of(self)}/user%05d", *(f"{s.first}+{s.users}" for s in site.sets if s.floor)],
                   site.folder / "floor.log")
        self.wait_ready()

    def version(self):
        return "bench/floor_server.c"


class Dovecot(Server):
    """tuned: login processes serve many clients, one process for each core (its documented high-performance mode), and
    pop3 processes one after another; multi: a pop3 process serves many clients at once; default: as it comes."""

    program = Path("/usr/sbin/dovecot")

    def __init__(self, form):
        super().__init__()
        self.form, self.name = form, f"dovecot {form}"
        self.resumes = form != "default"  # a login process per connection keeps no ticket keys

    def start(self, site):
        if not self.program.exists() or not Path("/usr/lib/dovecot/pop3").exists():
            raise Missing("dovecot-pop3d is not installed (scripts/install-deps bench)")
        if not ROOT:
            raise Missing("Dovecot's master is started by root only")
        folder = site.folder / self.name.replace(" ", "-")
        folder.mkdir(exist_ok=True)
        (folder / "run").mkdir(exist_ok=True, mode=0o755)
        self.port, self.tls_port = free_ports(2)
        users = folder / "users"
        users.write_text("".join(f"user{n:05}:{{PLAIN}}{PASSWORD}:{MAIL_ID}:{MAIL_ID}::{folder}::\n"
                                 for n in site.users()))
        users.chmod(0o644)
        conf = folder / "dovecot.conf"
        conf.write_text(self.configuration(folder, users, site))
        self.spawn([self.program, "-F", "-c", conf], folder / "log")
        self.log = folder / "dovecot.log"
        self.log.touch()
        self.wait_ready()

    def services(self):
        login, pop3 = "", ""
        if self.form != "default":
            login = f"service_count = 0\n  client_limit = 11000\n  process_min_avail = {os.cpu_count()}\n"
        if self.form == "multi":
            pop3 = "service_count = 0\n  client_limit = 200\n"
        elif self.form == "tuned":
            pop3 = "service_count = 0\n  process_min_avail = 16\n"
        limit = "  process_limit = 12000\n" if self.form != "multi" else "  process_limit = 200\n"
        login_limit = "process_limit = 12000\n" if self.form == "default" else ""
        return f"""service pop3-login {{
  {login}  {login_limit}  inet_listener pop3 {{
    address = 127.0.0.1
    port = {self.port}
  }}
  inet_listener pop3s {{
    address = 127.0.0.1
    port = {self.tls_port}
    ssl = yes
  }}
}}
service pop3 {{
  {pop3}{limit}}}
service anvil {{
  client_limit = 15000
}}
service auth {{
  client_limit = 15000
}}
"""

    def configuration(self, folder, users, site):
        return f"""protocols = pop3
base_dir = {folder}/run
log_path = {folder}/dovecot.log
state_dir = {folder}
ssl = yes
ssl_cert = <{site.cert}
ssl_key = <{site.key}
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{site.mail_of(self)}/%u
mail_max_userip_connections = 0
default_client_limit = 15000
default_vsz_limit = 4G
auth_cache_size = 10M
auth_cache_ttl = 1 hour
{self.services()}passdb {{
  driver = passwd-file
  args = {users}
}}
userdb {{
  driver = passwd-file
  args = {users}
}}
"""

    def version(self):
        done = subprocess.run([str(self.program), "--version"], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        return f"Dovecot {done.stdout.split()[0]} ({self.form})"


class Courier(Server):
    """couriertcpd, authdaemond and courierpop3login from unpacked packages. They look for their files in fixed places,
    so they live in a mount namespace where /usr and /etc have these files too; nothing of the system is changed. And
    in a process namespace: some of them outlive their parents, and their time would be lost to the count."""

    name = "courier"

    def __init__(self, build: Path):
        super().__init__()
        self.peers = build / "peers"

    def start(self, site):
        if not ROOT or not shutil.which("unshare"):
            raise Missing("needs a mount namespace, which root may have")
        done = subprocess.run([str(TREE / "scripts/install-deps"), "--unpack", str(self.peers)], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode or not (self.peers / "root/usr/sbin/couriertcpd").exists():
            raise Missing(f"its packages cannot be had: {done.stderr[-200:]}")
        folder = site.folder / "courier"
        etc = folder / "etc/courier"
        etc.mkdir(parents=True, exist_ok=True)
        self.port, self.tls_port = free_ports(2)
        (etc / "authdaemonrc").write_text("""authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=5
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
""")
        secret = base64.b64encode(hashlib.sha256(PASSWORD.encode()).digest()).decode()
        userdb = etc / "userdb"
        userdb.write_text("".join(
            f"user{n:05}\tuid={MAIL_ID}|gid={MAIL_ID}|home={folder}|mail={site.mail_of(self)}/user{n:05}"
            f"|pop3pw={{SHA256}}{secret}\n" for n in site.users()))
        userdb.chmod(0o600)
        pem = etc / "pop3d.pem"
        pem.write_bytes(site.key.read_bytes() + site.cert.read_bytes())
        shutil.chown(pem, "nobody")
        pem.chmod(0o600)
        script = folder / "start"
        script.write_text(self.script(folder))
        self.spawn(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", script], folder / "log")
        self.wait_ready()

    def stop(self):
        if self.child:
            self.child.kill()  # the namespace ends with its first process
        super().stop()

    def script(self, folder):
        login = "/usr/lib/courier/courier/courierpop3login /usr/lib/courier/courier/courierpop3d Maildir"
        tcpd = "/usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs=12000 -maxperip=12000 -nodnslookup -noidentlookup"
        return f"""set -e
mount -t overlay overlay -o lowerdir={self.peers.resolve()}/root/usr:/usr /usr
mount -t overlay overlay -o lowerdir={folder}/etc:/etc /etc
mount --bind {folder}/etc/courier /etc/courier
mount -t tmpfs tmpfs /run
mkdir -p /run/courier/authdaemon
export LD_LIBRARY_PATH=/usr/lib:/usr/lib/courier-authlib
export POP3AUTH= POP3AUTH_TLS= POP3_PROXY=0 MAILDIRPATH=Maildir TLS_CERTFILE=/etc/courier/pop3d.pem TLS_VERIFYPEER=NONE
perl /usr/sbin/makeuserdb
/usr/lib/courier/courier-authlib/authdaemond &
{tcpd} {self.port} {login} &
POP3_TLS=1 {tcpd} {self.tls_port} /usr/bin/couriertls -server -tcpd -user=nobody {login} &
set +e
wait
"""

    def version(self):
        return "Courier, Debian's packages unpacked"
