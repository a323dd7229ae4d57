#!/usr/bin/python3
"""server_bench.py - our server beside others and beside the floor of the machine; behind "make bench".

    bench/server_bench.py [--build DIR] [--rounds N] [--quick] [--only PART[,PART...]] [--write FILE]

Parts: poll storm big drain memory growth. Rounds are interleaved over the servers, so that a noisy minute hits all
alike; cells are medians. A server that cannot run here is left out, and the report says why.
Does not know: how a server is started (server_bench_servers.py), how a report looks (server_bench_report.py).
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
import server_bench_report as report  # noqa: E402
import server_bench_servers as servers  # noqa: E402
from server_bench_mail import Site  # noqa: E402

TREE = Path(__file__).resolve().parents[1]
PARTS = ("poll", "storm", "big", "drain", "memory", "growth")
# Seconds after which a part begins no other round; the whole takes about 20 minutes, or 4 (--quick: one round).
SECONDS = {"poll": 330, "storm": 120, "big": 150, "drain": 300, "memory": 150, "growth": 150}


class Bench:
    """Measures; self.cells[part][row][server] is a list of runs as restante-bench printed them."""

    def __init__(self, options):
        self.options = options
        self.build = Path(options.build).resolve()
        self.tool = self.build / "bench/restante-bench"
        self.cells: dict = {}
        self.left_out: dict[str, str] = {}
        self.turns: dict[str, int] = {}
        self.faults: list[str] = []
        self.site = Site(options, self.tool)
        forms = [servers.Dovecot(form) for form in ("multi", "tuned", "default")]
        self.servers = [servers.Ours(self.build), servers.Floor(self.build), *forms, servers.Courier(self.build)]
        if options.servers:
            self.servers = [s for s in self.servers if s.name in options.servers.split(",")]

    # --- running ---------------------------------------------------------------------------------

    def run(self, server, mode, *argv, tls="none", set_name=None, users=None, limit=60):
        """One run of the generator: its JSON, or None when it could not run."""
        box = self.site.set(set_name)
        port = server.tls_port if tls == "implicit" else server.port
        argv = [self.tool, mode, "--json", "--server", f"127.0.0.1:{port}", "--tls", tls, "--server-pid", server.pid,
                "--sources", 200, "--limit", limit, "--first", box.first, "--users", users or box.users,
                "--password", servers.PASSWORD, "--manifest", self.site.manifest(set_name), *argv]
        try:
            done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                  timeout=limit + 30, check=False)
        except subprocess.TimeoutExpired:
            self.fault(server, mode, "the generator did not end in time")
            return None
        if done.returncode not in (0, 1):
            self.fault(server, mode, done.stderr.strip()[:200])
            return None
        got = json.loads(done.stdout)["runs"][0]
        if got["error_count"]:
            kinds = ", ".join(f"{k} {n:.0f} ({got['first_errors'][k][:80]})" for k, n in got["errors"].items())
            self.fault(server, f"{mode} {' '.join(str(a) for a in argv[-6:] if '/' not in str(a))}", kinds)
        return got

    def fault(self, server, what, text):
        line = f"{server.name}, {what}: {text}"
        if line not in self.faults:
            self.faults.append(line)
        print(f"    ! {line}", file=sys.stderr, flush=True)

    def keep(self, part, row, server, got):
        if got is not None:
            self.cells.setdefault(part, {}).setdefault(row, {}).setdefault(server.name, []).append(got)

    def start(self, server):
        try:
            server.start(self.site)
            return True
        except (servers.Missing, OSError, subprocess.SubprocessError) as e:
            self.left_out[server.name] = str(e)
            server.stop()
            return False

    def restart(self, server):
        server.stop()
        return self.start(server)

    def alive(self):
        return [s for s in self.servers if s.name not in self.left_out]

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", file=sys.stderr, flush=True)

    def rounds(self, part, most=99):
        """The turns of a part, as many as were asked for and as time allows, at least one."""
        end = time.monotonic() + SECONDS[part]
        for turn in range(min(self.options.rounds, most)):
            if turn and time.monotonic() > end:
                return
            self.turns[part] = turn + 1
            yield turn

    # --- parts -----------------------------------------------------------------------------------

    def poll(self):
        rows = [("empty", "empty", "none", []), ("10 messages", "ten", "none", []),
                ("1,000 messages", "thousand", "none", []), ("empty, STLS", "empty", "stls", []),
                ("empty, TLS, full handshake", "empty", "implicit", []),
                ("empty, TLS, resumed", "empty", "implicit", ["--resume"])]
        seconds = 1
        for turn in self.rounds("poll"):
            for row, name, tls, extra in rows:
                for server in self.alive():
                    if row == "empty, STLS" and (server.name == "floor" or server.name == "courier"):
                        continue  # the floor speaks no STLS; couriertls would need a handshake of its own
                    warm = 16 if "default" in server.name or server.name == "courier" else 48
                    self.keep("poll", row, server,
                              self.run(server, "poll", "--seconds", seconds, "--warmup", warm, "-c", 16, *extra, tls=tls,
                                       set_name=name, users=64 if name == "empty" else None))
            self.say(f"poll, round {turn + 1}")

    def storm(self):
        size = 500 if self.options.quick else 2000
        for server in self.alive():
            self.run(server, "poll", "-n", size, "-c", 16, set_name="empty", users=size, limit=60)
        for turn in self.rounds("storm", 3):
            for server in self.alive():
                self.keep("storm", f"{size:,} connects at once", server,
                          self.run(server, "storm", "-n", size, set_name="empty", users=size, limit=60))
            self.say(f"storm, round {turn + 1}")

    def big(self):
        for name, label in (("ten-thousand", "10,000"), ("hundred-thousand", "100,000")):
            box = self.site.set(name)
            if not box:
                continue
            for turn in self.rounds("big", 3):
                for server in self.alive():
                    if server.name == "floor":
                        continue
                    server.stop()
                    server.forget(self.site.box(server, box.first))
                    if not self.start(server):
                        continue
                    argv = ["-n", 1, "-c", 1]
                    self.keep("big", f"{label}, cold", server, self.run(server, "poll", *argv, set_name=name, limit=120))
                    self.run(server, "poll", *argv, "--uidl", "--list", set_name=name, limit=120)
                    self.keep("big", f"{label}, warm", server,
                              self.run(server, "poll", "-n", 5, "-c", 1, "--uidl", "--list", set_name=name, limit=120))
                self.say(f"{label} messages, round {turn + 1}")

    def drain(self):
        rows = [("2 KB, one RETR at a time", "thousand", "none", 1), ("2 KB, 32 pipelined", "thousand", "none", 32),
                ("2 KB, 32 pipelined, TLS", "thousand", "implicit", 32), ("mix, 32 pipelined", "mix", "none", 32),
                ("25 MB", "large", "none", 1), ("25 MB, TLS", "large", "implicit", 1)]
        for server in self.alive():
            for box in map(self.site.set, ("thousand", "mix", "large")):
                self.run(server, "poll", "-n", box.users, "-c", 4, set_name=box.name)
        for turn in self.rounds("drain"):
            for row, name, tls, window in rows:
                for server in self.alive():
                    box = self.site.set(name)
                    self.keep("drain", row, server,
                              self.run(server, "drain", "--seconds", 1, "--window", window, "-c", box.users, tls=tls,
                                       set_name=name))
            self.say(f"drains, round {turn + 1}")

    def memory(self):
        rows = [("logged in, plaintext", "none", "login"), ("logged in, TLS", "implicit", "login"),
                ("not logged in, plaintext", "none", "greeting"), ("not logged in, TLS", "implicit", "greeting"),
                ("before the first octet of TLS", "implicit", "connect")]
        count = 150 if self.options.quick else 1000
        for row, tls, until in rows:
            for server in self.alive():
                if self.restart(server):
                    self.keep("memory", row, server, self.idle(server, tls, until, count))
        self.say(f"memory of {count:,} connections")

    def idle(self, server, tls, until, count):
        self.run(server, "poll", "-n", 50, "-c", 4, tls=tls, set_name="empty", users=50)
        return self.run(server, "idle", "-n", count, "--until", until, "-c", 8, "--hold", 1, "--timeout", 40, tls=tls,
                        set_name="empty", users=count, limit=90)

    def growth(self):
        for name in ("ten", "hundred", "thousand", "ten-thousand", "hundred-thousand", "million"):
            box = self.site.set(name)
            for server in self.alive() if box else ():
                if server.name == "floor" or "default" in server.name:
                    continue
                self.run(server, "poll", "-n", 1, "-c", 1, set_name=name, users=1, limit=200)
                self.keep("growth", f"messages {box.messages}", server,
                          self.run(server, "poll", "-n", 20, "-c", 1, set_name=name, users=1, limit=200))
        for count in (10, 100, 1000) if self.options.quick else (10, 100, 1000, 3000, 10000):
            for server in self.alive():
                if server.name in ("dovecot default", "courier", "dovecot tuned") and count > 1000:
                    continue  # a process per connection: what it costs is seen at 1,000
                if self.restart(server):
                    self.keep("growth", f"sessions {count}", server, self.idle(server, "none", "login", count))
                    self.keep("growth", f"polls {count}", server,
                              self.run(server, "poll", "-n", max(300, min(count, 3000)), "-c", min(count, 3000),
                                       set_name="empty"))
        self.say("growth")

    # --- the whole -------------------------------------------------------------------------------

    def measure(self):
        self.began = time.monotonic()
        self.site.make([s.name for s in self.servers])
        self.say("mail is made")
        for server in self.servers:
            self.start(server)
        for name, why in self.left_out.items():
            self.say(f"{name} is left out: {why[:300]}")
        for part in PARTS:
            if part in self.options.parts:
                getattr(self, part)()

    def close(self):
        for server in self.servers:
            server.stop()
        self.site.close()


def medians(cells):
    """The median over the rounds of every number in the runs' JSON."""
    def middle(values):
        values = [v for v in values if v is not None]
        if not values:
            return None
        if isinstance(values[0], dict):
            return {key: middle([v.get(key) for v in values]) for key in values[0]}
        if isinstance(values[0], (int, float)):
            return statistics.median(v for v in values if isinstance(v, (int, float)))
        return values[0]
    return {part: {row: {name: middle(runs) for name, runs in by.items()} for row, by in rows.items()}
            for part, rows in cells.items()}


def arguments():
    parser = argparse.ArgumentParser(description="Our server beside others and the floor of the machine.")
    parser.add_argument("--build", default=TREE / "build", help="a release build (default: build)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, smaller counts: at most four minutes")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART[,PART...]", help=" ".join(PARTS))
    parser.add_argument("--servers", metavar="NAME[,NAME...]", help="restante, floor, dovecot multi, ... (default: all)")
    parser.add_argument("--million", action="store_true", help="a maildrop of 1,000,000 messages in the growth curve")
    parser.add_argument("--work", default=tempfile.gettempdir(), help="where the private folder is made")
    parser.add_argument("--write", metavar="FILE", help="write the report there, pictures beside it")
    parser.add_argument("--json", metavar="FILE", help="the medians, for programs")
    options = parser.parse_args()
    options.parts = set(options.only.split(","))
    if options.parts - set(PARTS) or options.rounds < 1:
        parser.error(f"parts are {' '.join(PARTS)}; rounds begin at 1")
    if options.quick:
        options.rounds = 1
        if options.only == ",".join(PARTS):
            options.parts -= {"growth"}
    options.growth = "growth" in options.parts and not options.quick
    return options


def main():
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    bench = Bench(options)
    broken = None
    try:
        try:
            bench.measure()
        except (KeyboardInterrupt, SystemExit) as e:  # what has been measured is still reported
            broken = e
            bench.faults.append("the run was ended before it was complete")
        cells = medians(bench.cells)
        versions = [s.version() for s in bench.alive()]
        text = report.markdown(options, cells, versions, bench)
        if options.json:
            Path(options.json).write_text(json.dumps(cells, indent=1))
        if options.write:
            report.pictures(cells, Path(options.write).parent)
            Path(options.write).write_text(text)
        print(text)
    finally:
        bench.close()
    if broken:
        raise broken
    sys.exit(1 if any(line.startswith("restante,") for line in bench.faults) else 0)


if __name__ == "__main__":
    main()
