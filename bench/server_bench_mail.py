"""The mail of the comparison: sets of Maildirs, the same for every server, made by restante-bench.

Each server has a tree of its own. The peers' files are links to one origin, ours are copies: a file with several names
can be changed where nobody watches, so Restante looks at such a one each time, which no mail on a real server is.
Does not know: servers, figures.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import server_bench_servers as servers


@dataclass(frozen=True)
class Set:
    name: str
    first: int  # number of the first user
    users: int
    messages: int
    octets: int = 2048
    spread: int = 0
    floor: bool = True  # the floor keeps it in memory


def sets_for(options):
    many = 10000 if options.growth else 1000 if options.quick else 2000
    rows = [Set("empty", 0, many, 0, floor=False), Set("ten", 20000, 16, 10), Set("hundred", 20100, 1, 100),
            Set("thousand", 20200, 16, 1000)]
    if {"drain"} & options.parts:
        rows += [Set("mix", 20300, 8, 200, 15000, 150), Set("large", 20400, 4, 2, 25_000_000)]
    if {"big", "growth"} & options.parts:
        rows += [Set("ten-thousand", 20500, 1, 10_000, floor=False)]
        if not options.quick:
            rows += [Set("hundred-thousand", 20600, 1, 100_000, floor=False)]
        if options.million:
            rows += [Set("million", 20700, 1, 1_000_000, 600, floor=False)]
    return rows


class Site:
    """The private folder of one run: certificate, manifests, a tree of Maildirs for each server."""

    def __init__(self, options, tool: Path):
        self.tool = tool
        self.folder = Path(tempfile.mkdtemp(prefix="restante-bench-", dir=options.work))
        self.folder.chmod(0o755)
        self.sets = sets_for(options)
        self.cert, self.key = servers.make_certificate(self.folder)
        (self.folder / "mail").mkdir(mode=0o755)
        (self.folder / "mail" / "origin").mkdir(mode=0o755)

    def users(self):
        for s in self.sets:
            yield from range(s.first, s.first + s.users)

    def set(self, name) -> Set | None:
        return next((s for s in self.sets if s.name == name), None)

    def manifest(self, name) -> Path:
        return self.folder / f"{name}.manifest"

    def mail_of(self, server) -> Path:
        return self.folder / "mail" / server.name.replace(" ", "-")

    def box(self, server, number) -> Path:
        return self.mail_of(server) / f"user{number:05}"

    def make(self, names):
        """The Maildirs, first one tree, then its likeness for each server name."""
        origin = self.folder / "mail" / "origin"
        for s in self.sets:
            argv = [self.tool, "make", "--maildir", f"{origin}/user%05d", "--first", s.first, "--users", s.users,
                    "--messages", s.messages, "--octets", s.octets, "--spread", s.spread, "--manifest",
                    self.manifest(s.name)]
            if servers.ROOT:
                argv += ["--owner", servers.MAIL_ID]
            subprocess.run([str(a) for a in argv], check=True, stdin=subprocess.DEVNULL)
        for name in names:
            how = "-a" if name == servers.Ours.name else "-al"
            subprocess.run(["cp", how, str(origin), str(self.folder / "mail" / name.replace(" ", "-"))], check=True)

    def close(self):
        subprocess.run(["rm", "-rf", "--", str(self.folder)], check=False)


def file_system(path: Path) -> str:
    best, kind = "", "?"
    for line in Path("/proc/mounts").read_text().splitlines():
        fields = line.split()
        if len(fields) > 2 and os.path.commonpath([fields[1], str(path.resolve())]) == fields[1] and \
                len(fields[1]) >= len(best):
            best, kind = fields[1], fields[2]
    return kind
