"""Real mail clients, each driven as its users drive it: one run that fetches a whole maildrop.

A Client says what it keeps of a message: stored(message) gives what must be on its side afterwards when
everything went right. Where a client changes octets itself (line ends, mostly), that is written down here,
next to the client, and nowhere else.
"""

from __future__ import annotations

import os
import poplib
import pty
import select
import shutil
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import wiremodel

TREE = Path(__file__).resolve().parents[2]
ROOT = os.geteuid() == 0
NOBODY = 65534  # several of these programs rightly refuse to fetch mail as root


class Missing(Exception):
    """The program is not installed."""


@dataclass
class Job:
    """One run: where the server is, who fetches, where to put it, whether to delete."""

    host: str
    port: int
    mode: str  # "tls", "stls" or "plain"
    user: str
    password: str
    cafile: str
    folder: Path
    delete: bool
    count: int
    auth: str | None = None
    env: dict = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def maildir(self) -> Path:
        box = self.folder / "box"
        for sub in ("tmp", "new", "cur"):
            (box / sub).mkdir(parents=True, exist_ok=True)
        return box

    def give_away(self) -> None:
        """As root: the folder goes to the user that the client runs as."""
        if ROOT:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def run(self, argv: list[str], as_root: bool = False) -> subprocess.CompletedProcess:
        env = {"HOME": str(self.folder), "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]} | self.env
        who = {}
        if ROOT and not as_root:
            self.give_away()
            who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=env,
            cwd=self.folder,
            timeout=50,
            **who,
        )
        assert done.returncode == 0, (
            f"{argv[0]} ended with {done.returncode}\n"
            f"{done.stdout[-1500:].decode(errors='replace')}\n"
            f"{done.stderr[-1500:].decode(errors='replace')}"
        )
        return done


def need(program: str) -> str:
    path = shutil.which(program)
    if not path:
        raise Missing(f"{program} is not installed")
    return path


def lf(message: bytes) -> bytes:
    """The message as its lines with LF: what Unix programs store."""
    return b"".join(line + b"\n" for line in wiremodel.lines(message))


def read_maildir(box: Path) -> list[bytes]:
    out = []
    for sub in ("new", "cur"):
        out += [p.read_bytes() for p in (box / sub).iterdir()]
    return out


class Client:
    """name; modes it can do; delete: can it delete; takes(message): is it a message it can carry."""

    name = ""
    modes = ("tls", "stls")
    delete = True
    sasl: dict[str, str] = {}  # SASL mechanism -> how the client calls it

    def fetch(self, job: Job) -> list[bytes]:
        raise NotImplementedError

    def takes(self, message: bytes) -> bool:
        return True

    def stored(self, message: bytes) -> bytes:
        return wiremodel.plain(message)


class Curl(Client):
    """Writes what RETR sends, un-stuffed, with CRLF: every octet. Of a message without octets it writes the
    CRLF that ended the status line."""

    name = "curl"
    sasl = {"PLAIN": "PLAIN", "LOGIN": "LOGIN", "APOP": "+APOP"}

    def stored(self, message: bytes) -> bytes:
        return wiremodel.plain(message) or b"\r\n"

    def _argv(self, job: Job) -> list[str]:
        scheme = "pop3s" if job.mode == "tls" else "pop3"
        argv = [need("curl"), "-q", "-sS", "--cacert", job.cafile, "--max-time", "40"]
        argv += ["--config", str(job.write("curlrc", f'user = "{job.user}:{job.password}"\n'))]
        if job.mode == "stls":
            argv += ["--ssl-reqd"]
        if job.auth:
            argv += ["--login-options", "AUTH=" + self.sasl[job.auth]]
        self.url = f"{scheme}://{job.host}:{job.port}"
        return argv

    def fetch(self, job: Job) -> list[bytes]:
        argv = self._argv(job)
        listing = job.run([*argv, f"{self.url}/"]).stdout
        numbers = [int(line.split()[0]) for line in listing.splitlines()]
        outs = []
        fetch = []
        for n in numbers:
            outs.append(job.folder / f"m{n}")
            fetch += [f"{self.url}/{n}", "-o", str(outs[-1])]
        job.run([*argv, *fetch])
        if job.delete:
            # One command on one connection: with a request of its own curl expects no body.
            for n in reversed(numbers):
                job.run([*argv, "-I", "-X", f"DELE {n}", f"{self.url}/"])
        return [p.read_bytes() if p.exists() else b"" for p in outs]


class Fetchmail(Client):
    """Hands messages to a delivery program with LF. Ends a header that has no blank line with one, cannot
    carry NUL, breaks lines above 8 KiB, and refuses or repairs headers that are none; so it gets messages
    that a person could have written."""

    name = "fetchmail"
    sasl = {"APOP": "APOP"}

    def takes(self, message: bytes) -> bool:
        head = message.split(b"\n\n")[0].replace(b"\r\n", b"\n")
        return (
            is_mail(message)
            and b"\0" not in message
            and b"\r" not in lf(message)
            and all(len(x) < 8000 for x in wiremodel.lines(message))
            and all(c < 0x80 for c in head)
        )

    def stored(self, message: bytes) -> bytes:
        return lf(message)

    def fetch(self, job: Job) -> list[bytes]:
        box = job.maildir()
        mda = job.write(
            "mda", f'#!/bin/sh\nexec cat >"$(mktemp {box}/new/XXXXXXXX)"\n'
        )
        mda.chmod(0o700)
        tls = {"tls": 'ssl sslproto "TLS1.2+"', "stls": 'sslproto "TLS1.2+"', "plain": 'sslproto ""'}
        verify = f'sslcertck sslcommonname localhost sslcertfile "{job.cafile}" sslcertpath "{job.folder}"'
        rc = job.write(
            "rc",
            f'set no bouncemail\nset invisible\npoll {job.host} service {job.port} protocol {job.auth or "POP3"}\n'
            f'  auth password uidl user "{job.user}" password "{job.password}"\n'
            f"  {tls[job.mode]} {verify if job.mode != 'plain' else ''}\n"
            f"  {'nokeep' if job.delete else 'keep'} fetchall no rewrite pass8bits no dropstatus\n"
            f'  mda "{mda}"\n',
        )
        argv = [need("fetchmail"), "-f", str(rc), "-i", str(job.folder / "ids"), "--nodetach"]
        argv += ["--pidfile", str(job.folder / "pid")]
        job.run(argv)
        return read_maildir(box)


class Getmail(Client):
    """Keeps messages as lists of lines and writes them through Python's mail package, with LF, below a
    Return-Path field of its own when there is none; that package cannot carry what is no proper message.

    Each delivery is a child process, and getmail starts to look out for its end only after the fork: a child that
    ends before that is waited for in vain (60 s, or an AttributeError). So the delivery program takes its time."""

    name = "getmail6"

    def takes(self, message: bytes) -> bool:
        return is_mail(message) and b"\r" not in lf(message) and b"\0" not in message

    def stored(self, message: bytes) -> bytes:
        return b"Return-Path: <unknown>\n" + lf(message)

    def fetch(self, job: Job) -> list[bytes]:
        box = job.maildir()
        kind = {"tls": "SimplePOP3SSLRetriever", "plain": "SimplePOP3Retriever"}
        more = f"ca_certs = {job.cafile}\n" if job.mode == "tls" else ""
        mda = job.write("mda", f'#!/bin/sh\ncat >"$(mktemp {box}/new/XXXXXXXX)" && exec sleep 0.1\n')
        mda.chmod(0o700)
        job.write(
            "getmailrc",
            f"[retriever]\ntype = {kind[job.mode]}\nserver = {job.host}\nport = {job.port}\n"
            f"username = {job.user}\npassword = {job.password}\n{more}"
            f"[destination]\ntype = MDA_external\npath = {mda}\n"
            f"[options]\nread_all = true\ndelete = {str(job.delete).lower()}\nreceived = false\n"
            f"delivered_to = false\nverbose = 0\n",
        )
        job.run([need("getmail"), "--getmaildir", str(job.folder), "--rcfile", "getmailrc"])
        return read_maildir(box)

    modes = ("tls", "plain")


class Mpop(Client):
    """Stores Maildir with LF; carries every octet, NUL too."""

    name = "mpop"
    sasl = {
        "PLAIN": "plain",
        "LOGIN": "login",
        "SCRAM-SHA-1": "scram-sha-1",
        "SCRAM-SHA-256": "scram-sha-256",
        "APOP": "apop",
    }

    def stored(self, message: bytes) -> bytes:
        return lf(message)

    def fetch(self, job: Job) -> list[bytes]:
        box = job.maildir()
        tls = {
            "tls": "tls on\ntls_starttls off",
            "stls": "tls on\ntls_starttls on",
            "plain": "tls off",
        }[job.mode]
        trust = f"tls_trust_file {job.cafile}" if job.mode != "plain" else ""
        auth = f"auth {self.sasl[job.auth]}" if job.auth else "auth on"
        rc = job.write(
            "rc",
            f"account a\nhost {job.host}\nport {job.port}\n{tls}\n{trust}\nuser {job.user}\n"
            f"password {job.password}\n{auth}\nkeep {'off' if job.delete else 'on'}\n"
            f"only_new off\nreceived_header off\nuidls_file {job.folder}/uidls\n"
            f"delivery maildir {box}\naccount default : a\n",
        )
        job.run([need("mpop"), f"--file={rc}", "--quiet"])
        return read_maildir(box)


class Fdm(Client):
    """Stores Maildir with LF. Needs a header with a body behind it."""

    name = "fdm"

    def takes(self, message: bytes) -> bool:
        return is_mail(message) and b"\0" not in message

    def stored(self, message: bytes) -> bytes:
        return lf(message)

    def fetch(self, job: Job) -> list[bytes]:
        box = job.maildir()
        proto = {"tls": "pop3s", "stls": "pop3", "plain": "pop3"}[job.mode]
        more = {"stls": " starttls", "plain": ""}.get(job.mode, "")
        rc = job.write(
            "fdm.conf",
            f'set lock-file "{job.folder}/lock"\nset no-received\nset maximum-size 1G\n'
            f'set unmatched-mail drop\nset verify-certificates\n'
            f'account "a" {proto} server "{job.host}" port {job.port} user "{job.user}"'
            f' pass "{job.password}"{more}{"" if job.delete else " keep"}\n'
            f'action "box" maildir "{box}"\nmatch all action "box"\n',
        )
        job.env["SSL_CERT_FILE"] = job.cafile
        job.run([need("fdm"), "-f", str(rc), "-l", "fetch"])
        return read_maildir(box)


class Neomutt(Client):
    """Opens the maildrop as a folder and copies all messages into a Maildir, LF. It writes the header anew:
    lines that it keeps for itself (Status, Lines, Content-Length) are taken out."""

    name = "neomutt"
    modes = ("tls", "stls")

    def takes(self, message: bytes) -> bool:
        return is_mail(message) and b"\r" not in lf(message) and b"\0" not in message

    def stored(self, message: bytes) -> bytes:
        return lf(message)

    def fetch(self, job: Job) -> list[bytes]:
        box = job.maildir()
        scheme = "pops" if job.mode == "tls" else "pop"
        verb = "save-message" if job.delete else "copy-message"
        rc = job.write(
            "muttrc",
            f'set folder="{job.folder}"\nset mbox_type=Maildir\nset spoolfile=""\n'
            f'set pop_pass="{job.password}"\nset pop_authenticators="user"\n'
            f"set ssl_force_tls=yes\nset ssl_starttls=yes\n"
            f'set certificate_file="{job.cafile}"\nset ssl_ca_certificates_file="{job.cafile}"\n'
            f"set ssl_verify_host=yes\n"
            f"set copy=no\nset confirmappend=no\nset confirmcreate=no\n"
            f"set pop_delete=no\nset delete=yes\nset quit=yes\nset move=no\n"
            f"set pop_checkinterval=0\nset header_cache=\"\"\nset wait_key=no\nset beep=no\n"
            f'set resume_draft_files=no\nset message_cachedir=""\n',
        )
        push = f"<tag-pattern>.<enter><tag-prefix><{verb}>{box}<enter><quit>"
        argv = [need("neomutt"), "-n", "-F", str(rc), "-e", f'push "{push}"']
        argv += ["-f", f"{scheme}://{job.user}@{job.host}:{job.port}"]
        job.give_away()
        in_terminal(argv, {"HOME": str(job.folder), "TERM": "xterm", "LC_ALL": "C.UTF-8"}, job.folder)
        return [_without_mutt_lines(m) for m in read_maildir(box)]


def _without_mutt_lines(message: bytes) -> bytes:
    head, sep, body = message.partition(b"\n\n")
    drop = (b"status:", b"lines:", b"content-length:")
    kept = [x for x in head.split(b"\n") if not x.lower().startswith(drop)]
    return b"\n".join(kept) + sep + body


class Poplib(Client):
    """Python's own. Gives lines without their ends; refuses lines above 2048 octets."""

    name = "poplib"

    def takes(self, message: bytes) -> bool:
        return all(len(x) <= 2040 for x in wiremodel.lines(message)) and b"\r" not in lf(message)

    def fetch(self, job: Job) -> list[bytes]:
        ctx = ssl.create_default_context(cafile=job.cafile)
        if job.mode == "tls":
            pop = poplib.POP3_SSL(job.host, job.port, context=ctx, timeout=20)
        else:
            pop = poplib.POP3(job.host, job.port, timeout=20)
            if job.mode == "stls":
                pop.stls(ctx)
        pop.user(job.user)
        pop.pass_(job.password)
        count, octets = pop.stat()
        sizes = [int(x.split()[1]) for x in pop.list()[1]]
        assert len(sizes) == count and sum(sizes) == octets
        assert len(set(pop.uidl()[1])) == count
        out = []
        for n in range(1, count + 1):
            _, got, octets = pop.retr(n)
            out.append(wiremodel.join(got))
            assert len(out[-1]) == sizes[n - 1]
            if job.delete:
                pop.dele(n)
        pop.quit()
        return out

    modes = ("tls", "stls", "plain")


PERL = r"""
use strict; use warnings; use Mail::POP3Client; use IO::Socket::SSL;
my ($host, $port, $user, $pass, $mode, $ca, $delete, $out, $auth) = @ARGV;
my %common = (HOST => $host, PORT => $port, AUTH_MODE => $auth, TIMEOUT => 20);
my $pop;
if ($mode eq 'tls') {
    my $s = IO::Socket::SSL->new(PeerAddr => $host, PeerPort => $port, SSL_ca_file => $ca,
        SSL_verify_mode => SSL_VERIFY_PEER, SSL_hostname => 'localhost',
        SSL_verifycn_name => 'localhost', SSL_verifycn_scheme => 'smtp', SSL_alpn_protocols => ['pop3'])
        or die "no TLS: $SSL_ERROR";
    $pop = Mail::POP3Client->new(%common);
    $pop->User($user); $pop->Pass($pass); $pop->Socket($s); $pop->Connect() or die $pop->Message();
} else {
    $pop = Mail::POP3Client->new(%common, USER => $user, PASSWORD => $pass);
}
die "login: " . $pop->Message() unless $pop->Alive() && $pop->Count() >= 0;
for my $n (1 .. $pop->Count()) {
    open my $fh, '>:raw', "$out/m$n" or die;
    $pop->RetrieveToFile($fh, $n) or die "retr $n: " . $pop->Message();
    close $fh or die;
    if ($delete) { $pop->Delete($n) or die "dele $n: " . $pop->Message(); }
}
$pop->Close();
"""


class PerlClient(Client):
    """Mail::POP3Client. Writes the lines with CRLF; takes a line of a dot and blanks for the end, and has no
    way to upgrade a connection."""

    name = "Mail::POP3Client"
    modes = ("tls", "plain")
    sasl = {"APOP": "APOP"}

    def takes(self, message: bytes) -> bool:
        return all(x.strip(b" \t\r\f") != b"." for x in wiremodel.stuff_lines(message))

    def fetch(self, job: Job) -> list[bytes]:
        perl = need("perl")
        probe = subprocess.run(
            [perl, "-MMail::POP3Client", "-MIO::Socket::SSL", "-e1"], capture_output=True
        )
        if probe.returncode:
            raise Missing("Mail::POP3Client or IO::Socket::SSL is not installed")
        script = job.write("fetch.pl", PERL)
        out = job.folder / "out"
        out.mkdir()
        args = [job.host, str(job.port), job.user, job.password, job.mode, job.cafile]
        job.run([perl, str(script), *args, "1" if job.delete else "", str(out), job.auth or "PASS"])
        return [(out / f"m{n}").read_bytes() for n in range(1, job.count + 1)]


NODE = r"""
const [, , mod, host, port, user, password, mode, ca, del, out] = process.argv;
const fs = require('fs');
const collect = (s) => new Promise((res, rej) => {
  const parts = []; s.on('data', (b) => parts.push(b)); s.on('error', rej);
  s.on('end', () => res(Buffer.concat(parts)));
});
(async () => {
  const Pop3 = (await import(mod)).default;
  const pop = new Pop3({user, password, host, port: Number(port), tls: mode === 'tls', timeout: 20000,
    servername: 'localhost', tlsOptions: {ca: [fs.readFileSync(ca)], ALPNProtocols: ['pop3']}});
  const list = await pop.LIST();
  for (const [n] of list) {
    const [, stream] = await pop.command('RETR', n);
    fs.writeFileSync(`${out}/m${n}`, await collect(stream));
    if (del) await pop.DELE(n);
  }
  await pop.QUIT();
})().catch((e) => { console.error(e); process.exit(1); });
"""


class Node(Client):
    """node-pop3 from npm. Hands out the octets between status line and terminator as they came, still
    stuffed and without the CRLF before the terminator; an end that arrives in pieces makes it wait for ever,
    so a server must send the terminator in one piece with what precedes it."""

    name = "node-pop3"
    modes = ("tls", "plain")

    def takes(self, message: bytes) -> bool:
        return bool(message)

    def stored(self, message: bytes) -> bytes:
        raw = wiremodel.wire(message)
        return raw[:-2]

    def fetch(self, job: Job) -> list[bytes]:
        node = need("node")
        module = npm_folder() / "node_modules/node-pop3/src/Command.js"
        if not module.exists():
            raise Missing("node-pop3 is not installed (scripts/npm-install)")
        script = job.write("fetch.cjs", NODE)
        out = job.folder / "out"
        out.mkdir()
        args = [str(module), job.host, str(job.port), job.user, job.password, job.mode, job.cafile]
        # Not as another user: the module lies in the build folder, which may be private.
        job.run([node, str(script), *args, "1" if job.delete else "", str(out)], as_root=True)
        return [(out / f"m{n}").read_bytes() for n in range(1, job.count + 1)]


def npm_folder() -> Path:
    import server

    for folder in (server.build_dir() / "npm", TREE / "build" / "npm"):
        if (folder / "node_modules").is_dir():
            return folder
    return TREE / "build" / "npm"


def is_mail(message: bytes) -> bool:
    """A message with proper header fields and a blank line behind them."""
    lines = wiremodel.lines(message)
    if b"" not in lines:
        return False
    head = lines[: lines.index(b"")]
    return bool(head) and all(
        x[:1] in b" \t" or (b":" in x and x[:1].isalpha() and b" " not in x.partition(b":")[0])
        for x in head
    )


def in_terminal(argv: list[str], env: dict, cwd: Path, seconds: float = 40) -> None:
    """Runs a program that wants a terminal, until it ends."""
    pid, fd = pty.fork()
    if pid == 0:
        try:
            if ROOT:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.chdir(cwd)
            os.execve(argv[0], argv, env)
        finally:
            os._exit(127)
    seen = b""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([fd], [], [], 0.2)
            if ready:
                try:
                    chunk = os.read(fd, 65536)
                except OSError:
                    break
                if not chunk:
                    break
                seen += chunk
        else:
            os.kill(pid, 9)
            raise AssertionError(f"{argv[0]} did not end: {seen[-2000:]!r}")
    finally:
        os.close(fd)
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code == 0, f"{argv[0]} ended with {code}: {seen[-2000:]!r}"


CLIENTS = [
    Curl(),
    Fetchmail(),
    Getmail(),
    Mpop(),
    Fdm(),
    Neomutt(),
    Poplib(),
    PerlClient(),
    Node(),
]

if __name__ == "__main__":
    sys.exit("run me through pytest")
