"""The report of make bench: medians are medians, goals follow the floor, faults are not hidden."""

import sys
import types
import xml.etree.ElementTree as ElementTree

import pytest
import server as srv

sys.path.insert(0, str(srv.TREE / "bench"))

import server_bench as bench  # noqa: E402
import server_bench_report as report  # noqa: E402
import server_bench_servers as servers  # noqa: E402


def run(cpu, rate=1000.0, p99=5.0, errors=0, resumed=0, handshakes=0):
    return {"server": {"cpu_ms_per_1000_sessions": cpu}, "sessions_per_second": rate, "resumed": resumed,
            "handshakes": handshakes, "error_count": errors, "latency": {"login": {"p50_ms": 1.0, "p99_ms": p99}}}


def options():
    return types.SimpleNamespace(work="/tmp", rounds=3)


def told(cells, **more):
    what = {"left_out": {}, "faults": [], "turns": {"poll": 3}} | more
    return report.markdown(options(), bench.medians(cells), ["some version"], types.SimpleNamespace(**what))


def test_medians():
    cells = {"poll": {"empty": {"restante": [run(5), run(1), run(3)], "floor": [run(None), run(2)]}}}
    got = bench.medians(cells)["poll"]["empty"]
    assert got["restante"]["server"]["cpu_ms_per_1000_sessions"] == 3
    assert got["floor"]["server"]["cpu_ms_per_1000_sessions"] == 2
    assert got["restante"]["latency"]["login"]["p99_ms"] == 5.0


@pytest.mark.parametrize("cpu, verdict", ((80, "**yes**"), (100, "no (1.25 ×)")))
def test_goals_are_multiples_of_the_floor(cpu, verdict):
    text = told({"poll": {"empty": {"restante": [run(cpu)], "floor": [run(20)]}}})
    row = next(line for line in text.splitlines() if line.startswith("| empty |"))
    assert "≤ 80.0 (4.0 × floor)" in row and row.rstrip(" |").endswith(verdict), row


def test_without_a_floor_no_verdict():
    text = told({"poll": {"empty": {"restante": [run(80)]}}})
    assert next(line for line in text.splitlines() if line.startswith("| empty |")).endswith("| – | – |")


def test_faults_are_shown():
    text = told({"poll": {"empty": {"restante": [run(80, errors=7)], "floor": [run(20)]}}},
                left_out={"courier": "no such package"}, faults=["restante, poll: login 7"])
    assert "✗ 7 errors" in text and "Left out: courier: no such package" in text and "* restante, poll: login 7" in text


def test_resumption_that_is_not_whole_is_shown():
    text = told({"poll": {"empty, TLS, resumed": {"restante": [run(80, resumed=50, handshakes=100)],
                                                  "courier": [run(80, handshakes=100)]}}})
    row = next(line for line in text.splitlines() if line.startswith("| empty, TLS, resumed |"))
    assert "50 % resumed" in row and "| – | – |" in row, row


def test_pictures(tmp_path):
    cells = {"growth": {f"messages {n}": {"restante": {"latency": {"stat": {"p50_ms": n / 7}}}} for n in (10, 100, 1000)}}
    report.pictures(cells, tmp_path)
    (path,) = tmp_path.iterdir()
    text = [e.text for e in ElementTree.parse(path).iter() if e.text]
    assert path.name == "growth-messages.svg" and "1,000" in text and "restante" in text


def test_a_server_that_does_not_start_is_missing(tmp_path):
    server = servers.Floor(tmp_path)
    server.spawn([sys.executable, "-c", "print('nothing to serve')"], tmp_path / "log")
    server.port = srv.free_ports(1)[0]
    with pytest.raises(servers.Missing, match="nothing to serve"):
        server.wait_ready()
    assert server.child is None
