"""The client's manual pages and completion say what the program does."""

import re
import subprocess
from pathlib import Path

import pytest
from test_restante import client, commands  # noqa: F401

TREE = Path(__file__).resolve().parent.parent.parent


def test_every_setting_is_in_the_manual(client):  # noqa: F811
    page = (TREE / "doc" / "restante-config.5").read_text().replace("\\-", "-")
    names = re.findall(r"^ *([a-z-]+) = ", client.ok("config", "show", "--defaults"), re.M)
    assert len(names) > 50
    for name in names:
        assert f"\\fB{name}\\fR" in page, name


def test_every_command_and_option_is_in_manual_and_completion(client):  # noqa: F811
    page = (TREE / "doc" / "restante.1").read_text().replace("\\-", "-")
    for shell in ("restante.bash", "_restante"):
        completion = (TREE / "packaging" / "completion" / shell).read_text()
        for words in commands(client):
            assert "\\fB" + " ".join(words) + "\\fR" in page, words
            for word in words:
                assert word in completion, (shell, word)
            for option in re.findall(r"^  .{4}--([a-z0-9-]+)", client.ok("help", *words), re.M):
                assert "--" + option in page, (words, option)
                assert "--" + option in completion, (shell, words, option)


@pytest.mark.parametrize("page", ["restante.1", "restante-config.5"])
def test_pages_are_clean_roff(page):
    done = subprocess.run(["groff", "-t", "-man", "-Tutf8", "-ww", "-z", TREE / "doc" / page], capture_output=True)
    assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()


@pytest.mark.parametrize("words, found", [
    ("restante sta", {"status", "state"}),
    ("restante state ex", {"export"}),
    ("restante fetch --dry", {"--dry-run"}),
    ("restante -c x config sh", {"show"}),
    ("restante help ver", {"verify"}),
    ("restante fetch --tls st", {"stls"}),
])
def test_bash_completion(words, found):
    path = TREE / "packaging" / "completion" / "restante.bash"
    line = words.split()
    script = f"source {path}; COMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; _restante; echo \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0 and set(done.stdout.split()) == found, done


def test_units_start_the_program():
    daemon = (TREE / "packaging" / "restante.service").read_text()
    assert "Type=notify" in daemon and "--daemon" in daemon and "WatchdogSec=" in daemon
    assert "Unit=restante-once.service" in (TREE / "packaging" / "restante.timer").read_text()
