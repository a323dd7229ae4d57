"""The report of the comparison: tables with goals, and pictures.

Goals are multiples of the floor where there is one: then they hold for any machine. The others are absolute.
Does not know: how figures come about.
"""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

from server_bench_mail import file_system

COLUMNS = ("restante", "floor", "dovecot multi", "dovecot tuned", "dovecot default", "courier")
GOALS_POLL = {"empty": 4.0, "10 messages": 4.2, "1,000 messages": 4.8, "empty, TLS, full handshake": 1.5,
              "empty, TLS, resumed": 1.5}
GOALS_STORM = 2.1
GOALS_BIG = {"10,000, warm": (2, 1, 1.5), "100,000, warm": (3, 12, 15), "10,000, cold": (60,), "100,000, cold": (600,)}
GOALS_DRAIN = {  # share of the floor's rate, microseconds of CPU for a message
    "2 KB, one RETR at a time": (0.88, 12), "2 KB, 32 pipelined": (0.18, 7), "2 KB, 32 pipelined, TLS": (0.37, 12),
    "mix, 32 pipelined": (0.60, None), "25 MB": (0.71, None), "25 MB, TLS": (0.70, None)}
GOALS_MEMORY = {"logged in, plaintext": 6, "logged in, TLS": 24, "not logged in, plaintext": 3,
                "not logged in, TLS": 20, "before the first octet of TLS": 2}
COLOURS = {"restante": "#1b6ca8", "floor": "#777777", "dovecot multi": "#c0392b", "dovecot tuned": "#e08e79",
           "dovecot default": "#8e44ad", "courier": "#27864a"}


def number(value):
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def reached(value, goal, more=False):
    if value is None or goal is None:
        return "–"
    return "**yes**" if (value >= goal if more else value <= goal) else f"no ({value / goal:.2f} ×)"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def dig(run, *path):
    for key in path:
        run = run.get(key) if isinstance(run, dict) else None
    return run


def flaw(run):
    """What has to be said beside a figure."""
    if run and run.get("error_count"):
        return f" ✗ {run['error_count']:.0f} errors"
    return ""


def each(by, cell, columns):
    return [(cell(by[name]) + flaw(by[name])) if name in by else "–" for name in columns]


def part_poll(cells, columns):
    def cell(run):
        shy = ""
        if run["handshakes"] and 0 < run["resumed"] < 0.95 * run["handshakes"]:
            shy = f", {100 * run['resumed'] / run['handshakes']:.0f} % resumed"
        return f"{number(dig(run, 'server', 'cpu_ms_per_1000_sessions'))} ({number(run['sessions_per_second'])}{shy})"

    def delay(run):
        return f"{number(dig(run, 'latency', 'login', 'p50_ms'))} / {number(dig(run, 'latency', 'login', 'p99_ms'))}"

    rows, delays = [], []
    for row, by in cells.get("poll", {}).items():
        if row.endswith("resumed"):
            by = {name: run for name, run in by.items() if run["resumed"]}
        floor = dig(by.get("floor"), "server", "cpu_ms_per_1000_sessions")
        times = GOALS_POLL.get(row)
        goal = floor * times if floor and times else None
        ours = dig(by.get("restante"), "server", "cpu_ms_per_1000_sessions")
        rows.append([row, *each(by, cell, columns), f"≤ {number(goal)} ({times} × floor)" if goal else "–",
                     reached(ours, goal)])
        delays.append([row, *each(by, delay, columns)])
    text = "## Poll\n\nConnect, USER, PASS, STAT, QUIT; 16 clients. Server CPU ms per 1,000 sessions (sessions per " \
        "second).\n\n" + table(["maildrop", *columns, "goal", "reached"], rows)
    return text + "\nFrom connect to the answer to PASS, ms: median / 99th percentile.\n\n" + \
        table(["maildrop", *columns], delays)


def part_storm(cells, columns):
    def cell(run):
        login = dig(run, "latency", "login") or {}
        return f"{number(login.get('p50_ms'))} / {number(login.get('p99_ms'))}"

    rows = []
    for row, by in cells.get("storm", {}).items():
        floor = dig(by.get("floor"), "latency", "login", "p99_ms")
        goal = floor * GOALS_STORM if floor else None
        rows.append([row, *each(by, cell, columns), f"p99 ≤ {number(goal)} ({GOALS_STORM} × floor)",
                     reached(dig(by.get("restante"), "latency", "login", "p99_ms"), goal)])
    return "## Storm\n\nAll connect at once; from connect to the answer to PASS, ms: median / 99th percentile.\n\n" + \
        table(["", *columns, "goal", "reached"], rows)


def part_big(cells, columns):
    columns = [c for c in columns if c != "floor"]
    rows = []
    for row, by in cells.get("big", {}).items():
        goals = GOALS_BIG[row]
        names = ("stat", "list", "uidl")[:len(goals)]

        def values(run, names=names):
            return [dig(run, "latency", name, "p50_ms") for name in names]

        ours = values(by.get("restante"))
        verdict = " / ".join(reached(v, g) for v, g in zip(ours, goals))
        rows.append([row, *each(by, lambda run, v=values: " / ".join(number(x) for x in v(run)), columns),
                     " / ".join(number(g) for g in goals), verdict])
    return "## Big maildrops\n\nMilliseconds from connect to the answer to STAT, then LIST / UIDL alone. Cold: no index yet, " \
        "files cached, server just started.\n\n" + table(["messages", *columns, "goal", "reached"], rows)


def part_drain(cells, columns):
    rows = []
    for row, by in cells.get("drain", {}).items():
        bytes_count = "KB" not in row
        key = "octets_per_second" if bytes_count else "messages_per_second"

        def cell(run, large=bytes_count):
            if large:
                return f"{number(run['octets_per_second'] / 1e9)} GB/s ({number(dig(run, 'server', 'cpu_s_per_gb'))} s/GB)"
            return f"{number(run['messages_per_second'])} ({number(dig(run, 'server', 'cpu_us_per_message'))} µs)"

        share, cpu = GOALS_DRAIN[row]
        floor, ours = dig(by.get("floor"), key), by.get("restante")
        goal = floor * share if floor else None
        text = f"≥ {number(goal / 1e9 if bytes_count else goal)} ({share} × floor)" if goal else "–"
        verdict = reached(dig(ours, key), goal, more=True)
        if cpu:
            text += f"; ≤ {cpu} µs"
            verdict += "; " + reached(dig(ours, "server", "cpu_us_per_message"), cpu)
        rows.append([row, *each(by, cell, columns), text, verdict])
    return "## Drains\n\nRETR of everything by as many sessions as the set has users (16; mix 8; 25 MB 4). Every message is held " \
        "against its digest. Messages per second (server CPU each), or GB/s (server CPU per GB).\n\n" + \
        table(["messages", *columns, "goal", "reached"], rows)


def part_memory(cells, columns):
    rows = []
    for row, by in cells.get("memory", {}).items():
        goal = GOALS_MEMORY[row]
        rows.append([row, *each(by, lambda run: number(dig(run, "server", "pss_kib_per_connection")), columns), f"≤ {goal}",
                     reached(dig(by.get("restante"), "server", "pss_kib_per_connection"), goal)])
    return "## Memory\n\nKiB of PSS that a connection adds, all processes counted, in a server that has just been started.\n\n" + \
        table(["", *columns, "goal", "reached"], rows)


def part_growth(cells, columns):
    rows = []
    for row, by in cells.get("growth", {}).items():
        kind, count = row.split()
        path = {"messages": ("latency", "stat", "p50_ms"), "sessions": ("server", "pss_kib_per_connection"),
                "polls": ("server", "cpu_ms_per_1000_sessions")}[kind]
        what = {"messages": "messages: ms to STAT", "sessions": "sessions open: KiB of each",
                "polls": "polls at once: CPU ms per 1,000"}[kind]
        rows.append([f"{int(count):,} {what}", *each(by, lambda run, p=path: number(dig(run, *p)), columns)])
    return "## Growth\n\nThe same as pictures: growth-messages.svg, growth-memory.svg, growth-cpu.svg.\n\n" + \
        table(["", *columns], rows)


def machine(options):
    model, memory = "?", 0
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            memory = int(line.split()[1]) / 1048576
    return (f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()} {platform.release()}, "
            f"{file_system(Path(options.work))}, loopback; generator, servers and all else share the cores; load at the end "
            f"{os.getloadavg()[1]:.1f} (of its own: about 2)")


def markdown(options, cells, versions, bench):
    parts = {"poll": part_poll, "storm": part_storm, "big": part_big, "drain": part_drain, "memory": part_memory,
             "growth": part_growth}
    there = [c for c in COLUMNS if any(c in by for rows in cells.values() for by in rows.values())]
    out = ["# The server beside others", "",
           f"Measured {time.strftime('%Y-%m-%d')} by `make bench`: {machine(options)}.  ",
           f"Servers: {'; '.join(versions)}. One password scheme without work, the auth cache on, the same Maildirs, ECDSA P-256.  ",
           f"Medians of interleaved rounds ({', '.join(f'{part} {n}' for part, n in bench.turns.items()) or 'one'}). **CPU of "
           "the server is the figure to compare**: noise touches it least. *Floor*: canned replies from one epoll loop, what kernel "
           "and OpenSSL cost anyone (`bench/floor_server.c`).", ""]
    out += [f"Left out: {name}: {' '.join(why.split())[:200]}  " for name, why in bench.left_out.items()]
    for part, make in parts.items():
        if cells.get(part):
            out += [make(cells, there)]
    if bench.faults:
        out += ["## What went wrong", "", "Answers that were not right, or did not come:", ""]
        out += [f"* {line}" for line in bench.faults]
    return "\n".join(out).rstrip() + "\n"


# --- pictures ----------------------------------------------------------------------------------------


def picture(title, across, up, lines):
    """Lines over two logarithmic axes. lines: {name: [(x, y), ...]}"""
    import math

    wide, high, left, right, top, bottom = 720, 380, 70, 150, 40, 50
    points = [p for line in lines.values() for p in line]
    low_x, high_x = (math.log10(f(p[0] for p in points)) for f in (min, max))
    low_y = math.floor(math.log10(min(p[1] for p in points)))
    high_y = max(math.ceil(math.log10(max(p[1] for p in points))), low_y + 1)
    high_x = max(high_x, low_x + 1e-9)

    def place(x, y):
        return (left + (math.log10(x) - low_x) / (high_x - low_x) * (wide - left - right),
                high - bottom - (math.log10(y) - low_y) / (high_y - low_y) * (high - top - bottom))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">',
           "<style>path{fill:none;stroke-width:1.8}.g{stroke:#ddd;stroke-width:1}</style>",
           f'<rect width="{wide}" height="{high}" fill="#fff"/>', f'<text x="{left}" y="22">{title}</text>',
           f'<text x="{(left + wide - right) / 2}" y="{high - 12}" text-anchor="middle">{across}</text>',
           f'<text x="{left - 60}" y="{top - 6}">{up}</text>']
    for power in range(low_y, high_y + 1):
        y = place(10 ** low_x, 10.0 ** power)[1]
        out += [f'<path class="g" d="M{left} {y:.1f}H{wide - right}"/>',
                f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0 ** power:g}</text>']
    for value in sorted({p[0] for p in points}):
        x = place(value, 10.0 ** low_y)[0]
        out += [f'<path class="g" d="M{x:.1f} {top}V{high - bottom}"/>',
                f'<text x="{x:.1f}" y="{high - bottom + 16}" text-anchor="middle">{value:,}</text>']
    for row, (name, line) in enumerate(lines.items()):
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(*p) for p in line))
        out += [f'<path stroke="{COLOURS[name]}" d="M{way}"/>',
                f'<path stroke="{COLOURS[name]}" d="M{wide - right + 12} {top + 10 + 18 * row}h20"/>',
                f'<text x="{wide - right + 38}" y="{top + 14 + 18 * row}">{name}</text>']
    return "\n".join(out + ["</svg>", ""])


def curves(cells, kind, *path):
    lines: dict = {}
    for row, by in cells.get("growth", {}).items():
        if not row.startswith(kind + " "):
            continue
        for name, run in by.items():
            value = dig(run, *path)
            if value and value > 0:
                lines.setdefault(name, []).append((int(row.split()[1]), value))
    return {name: lines[name] for name in COLUMNS if name in lines}


def pictures(cells, folder: Path):
    for name, title, across, up, lines in (
        ("growth-messages", "Time to STAT against the size of the maildrop", "messages", "ms",
         curves(cells, "messages", "latency", "stat", "p50_ms")),
        ("growth-memory", "Memory of a connection that is logged in", "sessions open", "KiB",
         curves(cells, "sessions", "server", "pss_kib_per_connection")),
        ("growth-cpu", "Server CPU of 1,000 polls", "sessions at once", "ms",
         curves(cells, "polls", "server", "cpu_ms_per_1000_sessions")),
    ):
        if lines:
            (folder / f"{name}.svg").write_text(picture(title, across, up, lines))
