"""Manual pages, the sample file and the completion say what the programs do."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from ctl import tool

TREE = Path(__file__).resolve().parent.parent.parent
PAGES = ["restanted.8", "restantectl.8", "restante.conf.5", "restante-users.5"]


def commands(site) -> list[tuple[str, ...]]:
    out = []
    for line in site.ok("--help").decode().splitlines():
        if line.startswith("  ") and not line.lstrip().startswith("-"):
            out.append(tuple(w for w in line[2:].split("  ")[0].split() if re.fullmatch("[a-z]+", w)))
    return out


def options(site, words) -> list[str]:
    return re.findall(r"^  .{4}--([a-z0-9-]+)", site.ok(*words, "--help").decode(), re.M)


def test_generated_parts_are_fresh():
    done = subprocess.run([TREE / "scripts" / "update-docs", "--check", tool()], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_every_setting_is_in_the_manual(site):
    page = (TREE / "doc" / "restante.conf.5").read_text()
    sample = (TREE / "packaging" / "restante.conf").read_text()
    conf = json.loads(site.ok("config", "show", "--defaults", "--json"))
    names = [n for v in conf.values() if isinstance(v, dict) for n in v]
    assert len(names) > 40
    for name in names:
        assert f"\\fB{name}\\fR" in page
        assert re.search(rf"^\s*#?{name} = ", sample, re.M), name


def test_every_command_and_option_is_in_the_manual(site):
    page = (TREE / "doc" / "restantectl.8").read_text().replace("\\-", "-")
    completion = (TREE / "packaging" / "completion" / "restantectl.bash").read_text()
    for words in commands(site):
        assert "\\fB" + " ".join(words) + "\\fR" in page, words
        for word in words:
            assert word in completion
        for option in options(site, words):
            if option not in ("help", "config"):
                assert "--" + option in page, (words, option)
                assert "--" + option in completion, (words, option)


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_clean_roff(page):
    done = subprocess.run(["groff", "-t", "-man", "-Tutf8", "-ww", "-z", TREE / "doc" / page],
                          capture_output=True)
    assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()


def test_completion_is_valid_shell():
    path = TREE / "packaging" / "completion" / "restantectl.bash"
    assert subprocess.run(["bash", "-n", path]).returncode == 0
    script = f"source {path}; COMP_WORDS=(restantectl user a); COMP_CWORD=2; _restantectl; " \
             'echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["add"], done
