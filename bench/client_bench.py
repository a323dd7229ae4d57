#!/usr/bin/python3
"""client_bench.py - restante beside mpop, fetchmail, getmail and fdm: one server, one machine, one run, in turns.

    bench/client_bench.py --build BUILD [--rounds 5] [--quick] [--write bench/CLIENT.md]

Measures messages per second at round trips of 0, 20 and 100 ms (4 KiB each, delivered to an empty Maildir and deleted
on the server), processor seconds of the client per 1,000 messages, and peak memory with one message of 200 MiB. Rounds
are interleaved; medians count. A client counts only if it delivered all messages. The server (client_server.c) costs
next to nothing; the delay (client_delay.py) is a process of its own. fetchmail has no Maildir: its delivery is the
smallest possible command that makes one file. Does not know: correctness beyond the count (tests/lab, tests/client).
"""

from __future__ import annotations

import argparse
import os
import platform
import pwd
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROUND_TRIPS = ((0, 2000), (20, 500), (100, 200))
LARGE = 200 << 20
LIMIT = 30              # seconds for one run, and four round trips for each message on top
FAILURES = 2            # runs without all messages, then a client is out of the cell


def maildir(home: Path) -> Path:
    box = home / "mail"
    for part in ("tmp", "new", "cur"):
        (box / part).mkdir(parents=True)
    return box


def write(path: Path, text: str, mode=0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def restante(home, port, box, build):
    conf = write(home / "conf", f'''state-dir = "{home}/state"
account "a" {{ server = "pop://127.0.0.1:{port}"
 tls = none
 plaintext-auth = yes
 user = "u"
 password = "p"
 keep = none
 deliver = "maildir:{box}" }}
''')
    return [str(build / "src" / "client" / "restante"), "-c", str(conf), "fetch"]


def mpop(home, port, box, build):
    conf = write(home / "conf", f"""account a
host 127.0.0.1
port {port}
tls off
auth user
user u
password p
keep off
received_header off
uidls_file {home}/uidls
delivery maildir {box}
""")
    return ["mpop", "-q", "-C", str(conf), "a"]


def fetchmail(home, port, box, build):
    deliver = write(home / "deliver", f'#!/bin/sh\nexec cat >"{box}/new/$$.bench"\n', 0o700)
    conf = write(home / "conf", f'''set no syslog
poll 127.0.0.1 service {port} protocol pop3 username "u" password "p" sslproto "" mda "{deliver}"
''')
    return ["fetchmail", "-s", "-f", str(conf), "-i", str(home / "ids"), "--pidfile", str(home / "pid")]


def getmail(home, port, box, build):
    user = pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:  # it refuses to deliver as root
        user = "nobody"
        home.chmod(0o755)
        for folder in (box, *box.iterdir()):
            shutil.chown(folder, user)
    write(home / "conf", f"""[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = {port}
username = u
password = p
[destination]
type = Maildir
path = {box}/
user = {user}
[options]
delete = true
read_all = true
verbose = 0
""")
    return ["getmail", "--getmaildir", str(home), "--rcfile", str(home / "conf")]


def fdm(home, port, box, build):
    conf = write(home / "conf", f"""set maximum-size 1G
set lock-file "{home}/lock"
action "in" maildir "{box}"
account "a" pop3 server "127.0.0.1" port {port} user "u" pass "p"
match all action "in"
""")
    return ["fdm", "-q", "-f", str(conf), "fetch"]


CLIENTS = {"restante": restante, "mpop": mpop, "fetchmail": fetchmail, "getmail": getmail, "fdm": fdm}
PROGRAM = {"restante": None, "mpop": "mpop", "fetchmail": "fetchmail", "getmail": "getmail", "fdm": "fdm"}


class Process:
    """A helper that prints its port."""

    def __init__(self, argv):
        self.child = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.port = int(self.child.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.child.terminate()
        self.child.wait()


class Peak(threading.Thread):
    """The most memory that a process and its descendants hold at the same time, in KiB (shared pages count for each)."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.over = pid, 0, False

    def family(self, pid):
        yield pid
        try:
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                yield from self.family(int(child))
        except OSError:
            pass

    def run(self):
        while not self.over:
            total = 0
            for pid in self.family(self.pid):
                try:
                    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                        if line.startswith("VmRSS:"):
                            total += int(line.split()[1])
                except OSError:
                    pass
            self.most = max(self.most, total)
            time.sleep(0.005)


def once(name, build, port, count, delay=0, watch=False):
    """-> seconds, processor seconds, KiB; seconds None: not all messages came."""
    with tempfile.TemporaryDirectory(prefix="client-bench-") as folder:
        home = Path(folder)
        box = maildir(home)
        argv = CLIENTS[name](home, port, box, build)
        env = dict(os.environ, HOME=folder, XDG_CONFIG_HOME=folder, XDG_STATE_HOME=folder)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.monotonic()
        with open(home / "output", "wb") as output:
            child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                     start_new_session=True)
            peak = Peak(child.pid)
            if watch:
                peak.start()
            try:
                child.wait(LIMIT + 4 * delay * count / 1000)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        seconds = time.monotonic() - begin
        peak.over = True
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        got = len(list((box / "new").iterdir())) + len(list((box / "cur").iterdir()))
        if got != count:
            text = (home / "output").read_text(errors="replace")[-300:]
            print(f"{name}: {got} of {count} messages, exit {child.returncode}: {text}", file=sys.stderr)
            return None, cpu, peak.most
        return seconds, cpu, peak.most


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def speed(names, build, server, rounds, scale):
    """-> {round trip: {client: (messages per second, processor seconds per 1,000)}}"""
    table = {}
    failed = lambda rows: sum(r[0] is None for r in rows) >= FAILURES  # noqa: E731
    for delay, count in ROUND_TRIPS:
        count = max(20, count // scale)
        runs = {name: [] for name in names}
        for _ in range(rounds):
            for name in (n for n in names if not failed(runs[n])):
                with Process([server, str(count), "4096"]) as s:
                    if delay:
                        with Process([sys.executable, str(HERE / "client_delay.py"), str(s.port), str(delay)]) as p:
                            runs[name].append(once(name, build, p.port, count, delay))
                    else:
                        runs[name].append(once(name, build, s.port, count))
        row = {}
        for name in names:
            seconds, cpu = median([r[0] for r in runs[name]]), median([r[1] for r in runs[name] if r[0]])
            row[name] = (count / seconds, cpu * 1000 / count) if seconds else (None, None)
            print(f"{delay:>4} ms  {name:<10} " + (f"{row[name][0]:>9.0f}/s {row[name][1]:>8.3f} s" if seconds else "-"),
                  flush=True)
        table[delay] = row
    return table


def memory(names, build, server, rounds):
    """-> {client: KiB}"""
    peaks = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            with Process([server, "1", str(LARGE)]) as s:
                seconds, _, most = once(name, build, s.port, 1, watch=True)
            peaks[name].append(most if seconds else None)
    for name in names:
        print(f"200 MiB  {name:<10} {(median(peaks[name]) or 0) / 1024:>8.1f} MiB", flush=True)
    return {name: median(values) for name, values in peaks.items()}


def cell(value, form):
    return format(value, form) if value is not None else "-"


def version(name, build):
    if name == "fdm":  # it has no option for that
        argv = ["dpkg-query", "-W", "-f", "fdm ${Version}", "fdm"]
    else:
        argv = [str(build / "src" / "client" / "restante") if name == "restante" else PROGRAM[name], "--version"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=10)
        return ((done.stdout + done.stderr).splitlines() or ["?"])[0].strip()
    except (OSError, subprocess.TimeoutExpired):
        return "?"


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    kind = subprocess.run(["stat", "-f", "-c", "%T", tempfile.gettempdir()], capture_output=True, text=True).stdout.strip()
    return f"{os.cpu_count()} × {cpu}, {gib:.1f} GiB, Linux {platform.release()}, Maildir on {kind}"


def report(names, build, rounds, table, peaks) -> str:
    out = ["# The client beside others", "",
           "Made by `make bench-client` (bench/client_bench.py says what is measured and how). Messages of 4 KiB, taken",
           f"into an empty Maildir and deleted on the server; median of {rounds} interleaved rounds.", "",
           f"Machine: {machine()}.", ""]
    out += [f"* {name}: {version(name, build)}" for name in names] + [""]
    heads = " | ".join(f"{d} ms: messages/s | CPU s/1,000" for d in table)
    out += [f"| client | {heads} | peak RSS, 200 MiB message |", "|---" + "|---:" * (2 * len(table) + 1) + "|"]
    for name in names:
        cells = [f"{cell(table[d][name][0], '.0f')} | {cell(table[d][name][1], '.3f')}" for d in table]
        peak = f"{peaks[name] / 1024:.1f} MiB" if peaks.get(name) else "-"
        out.append(f"| {name} | {' | '.join(cells)} | {peak} |")
    out += ["", "Times as many messages per second as:", ""]
    out += ["| | " + " | ".join(f"{d} ms" for d in table) + " |", "|---" + "|---:" * len(table) + "|"]
    for name in names[1:]:
        ratios = [table[d]["restante"][0] / table[d][name][0] if table[d][name][0] and table[d]["restante"][0] else None
                  for d in table]
        out.append(f"| {name} | {' | '.join(cell(r, '.2f') for r in ratios)} |")
    out += ["", "restante fsyncs files and folders of each batch and writes its journal before it deletes anything; mpop and",
            "getmail fsync each file, but no folder; fetchmail's command here fsyncs nothing; fdm fsyncs each file. \"-\": the",
            "client did not deliver all messages in time, twice (getmail waits a minute for a child that was faster than it)."]
    return "\n".join(out)


def main() -> int:
    parser = argparse.ArgumentParser(description="the client beside others")
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("--only", action="append", choices=CLIENTS)
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    build = args.build.resolve()
    names = [n for n in CLIENTS if (not args.only or n in args.only) and (not PROGRAM[n] or shutil.which(PROGRAM[n]))]
    with tempfile.TemporaryDirectory(prefix="client-bench-") as folder:
        server = str(Path(folder) / "server")
        subprocess.run(["cc", "-O2", "-pthread", "-o", server, str(HERE / "client_server.c")], check=True)
        table = speed(names, build, server, args.rounds, 10 if args.quick else 1)
        peaks = memory(names, build, server, min(args.rounds, 3))
    text = report(names, build, args.rounds, table, peaks)
    print("\n" + text)
    if args.write:
        args.write.write_text(text)
    return 0 if table[0]["restante"][0] else 1


if __name__ == "__main__":
    sys.exit(main())
