"""restante without a server: help, words and options, configuration, states, and what it never shows.

Proves: R2384-04, XCL-10
"""

import json
import os
import pty
import select
import stat
import subprocess

import pytest
import server as srv

EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_CONFIG = 64, 65, 66, 78

GOOD = """
account "work" { server = "pop.example.org" user = "me" deliver = "maildir:~/Mail/work" password-command = "echo x" }
account "home" { server = "pops://joe@127.0.0.1:1" deliver = "mbox:~/home" keep = none enabled = no
                 connect-timeout = 1s retries = 0 password-command = "echo x" }
"""


def tool():
    path = srv.build_dir() / "src" / "client" / "restante"
    if not path.exists() and not os.environ.get("RESTANTE_BUILD"):
        pytest.skip(f"{path} is not built")
    return path


@pytest.fixture
def client(tmp_path):
    program = tool()

    class Client:
        home = tmp_path
        conf = tmp_path / ".config" / "restante" / "config"

        def write(self, text, mode=0o600):
            self.conf.parent.mkdir(parents=True, exist_ok=True)
            self.conf.write_text(text)
            self.conf.chmod(mode)

        def run(self, *words, **env):
            base = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", **env}
            done = subprocess.run([program, *words], env=base, capture_output=True, text=True, timeout=50,
                                  stdin=subprocess.DEVNULL, start_new_session=True)
            assert "Sanitizer" not in done.stderr, done.stderr
            return done

        def ok(self, *words, **env):
            done = self.run(*words, **env)
            assert done.returncode == 0, done
            return done.stdout

        def fails(self, code, *words, **env):
            done = self.run(*words, **env)
            assert done.returncode == code, done
            return done.stderr

    return Client()


def commands(client):
    for line in client.ok("--help").splitlines():
        if line.startswith("  "):
            yield [w for w in line.split("  ")[1].split() if w.islower() and w.replace("-", "").isalpha()]


def test_help_fits_a_terminal(client):
    lines = client.ok("--help").splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert client.ok("help") == client.ok("-h")
    found = list(commands(client))
    assert ["fetch"] in found and ["config", "describe"] in found
    for words in found:
        text = client.ok("help", *words)
        assert text.startswith("Usage: restante " + " ".join(words))
        assert max(map(len, text.splitlines())) <= 105
        assert client.ok(*words, "--help") == text


def test_version(client):
    assert client.ok("--version").startswith("restante ")


def test_without_configuration(client):
    text = client.fails(EX_CONFIG)
    assert str(client.conf) in text and "No such file" in text and "config example" in text
    assert client.run("config", "show", "--defaults").returncode == 0


def test_example_is_a_configuration(client):
    client.write(client.ok("config", "example"))
    assert client.ok("config", "check") == f"{client.conf}: no faults\n"
    assert client.ok("config", "check", "-q") == ""
    text = client.ok("config", "show")
    assert '    keep = "14d"\n' in text and "    connect-timeout = 30s\n" in text


def test_shown_configuration_comes_back(client):
    client.write(GOOD)
    for how in ([], ["--changed"]):
        text = client.ok("config", "show", *how)
        other = client.home / "other"
        other.write_text(text)
        other.chmod(0o600)
        assert client.ok("-c", str(other), "config", "show", *how) == text


def test_all_faults_with_their_lines(client):
    client.write('intervall = 3\naccount "a" {\n  keep = 14x\n  user = "a\\nb"\n  tls = ssl\n}\n')
    text = client.fails(EX_CONFIG)
    for part in (':1: unknown setting "intervall"; did you mean "interval"?\n', ':3: account "a".keep: ',
                 ':4: account "a".user: the value holds a control character', ':5: account "a".tls: "ssl" is not known',
                 ':3: account "a".server: missing', ':3: account "a".deliver: missing'):
        assert f"{client.conf}{part}" in text, text


def test_secret_in_an_open_file(client):
    client.write('account "a" { server = h user = u deliver = "maildir:/x" password = hunter2 }\n', 0o644)
    text = client.fails(EX_CONFIG, "config", "check")
    assert "others may read this file; chmod 600 it" in text and "hunter2" not in text
    client.conf.chmod(0o600)
    client.ok("config", "check")
    done = client.run("config", "show")
    assert "hunter2" not in done.stdout + done.stderr
    assert "# password is set and not shown" in done.stdout


def test_no_password_on_the_command_line(client):
    text = client.fails(EX_CONFIG, "fetch", "pops://u:hunter2@127.0.0.1", "--deliver", "maildir:/x")
    assert "a URL holds no password" in text and "hunter2" not in text
    assert "unknown option" in client.fails(EX_USAGE, "fetch", "--password", "x")


def test_each_mailbox_of_a_url_has_its_own_journal(client):
    urls = ["pops://joe@127.0.0.1:1", "pops://joe@127.0.0.1:2", "pops://j+x@127.0.0.1", "pops://j_x@127.0.0.1",
            "pops://" + "j" * 70 + "@127.0.0.1", "pops://" + "j" * 71 + "@127.0.0.1"]
    for url in urls:
        client.fails(77, "fetch", url, "--deliver", "maildir:/x", "--password-command", "false")
    client.fails(77, "fetch", "pop://j_x@127.0.0.1", "--deliver", "maildir:/x", "--password-command", "false")
    names = sorted(p.name for p in (client.home / ".local/state/restante").glob("*.journal"))
    assert len(names) == len(urls), names
    assert "joe_127.0.0.1_1.journal" in names and "j_x_127.0.0.1.journal" in names


def test_url_without_user(client):
    text = client.fails(EX_CONFIG, "fetch", "pops://127.0.0.1", "--deliver", "maildir:/x")
    assert ".user: missing" in text
    assert ".deliver: missing" in client.fails(EX_CONFIG, "fetch", "pops://u@127.0.0.1")


def test_warnings_are_no_faults(client):
    client.write('account "a" { server = h user = u deliver = "maildir:/x" tls = none verify = off }\n')
    done = client.run("config", "check")
    assert done.returncode == 0 and "warning: account" in done.stderr
    assert client.run("config", "check", "-q").stderr == ""


@pytest.mark.parametrize("words, text", [
    (["fetc"], 'did you mean "fetch"?'),
    (["stat"], 'did you mean "state"?'),
    (["wrk"], 'did you mean "work"?'),
    (["state"], "choose show, export, import, forget, salvage"),
    (["state", "exprot", "work"], 'did you mean "export"?'),
    (["config", "chekc"], 'did you mean "check"?'),
    (["probe"], "usage: restante probe ACCOUNT|HOST|URL"),
    (["state", "show"], "usage: restante state show ACCOUNT"),
    (["status", "nobody-like-that"], "no account"),
    (["--frob"], "unknown option"),
    (["fetch", "--changed"], "unknown option"),
    (["-n", "-d"], "contradict"),
    (["--keep", "all"], "--keep goes with a URL"),
    (["-c"], "needs a value"),
    (["state", "import", "work", "x", "-f", "procmail"], "unknown format"),
])
def test_words(client, words, text):
    client.write(GOOD)
    assert text in client.fails(EX_USAGE, *words)


def test_words_are_cleaned(client):
    client.write(GOOD)
    assert "\033" not in client.fails(EX_USAGE, "a\033[2Jb")


def test_status_before_the_first_run(client):
    client.write(GOOD)
    head, row = client.ok("status").splitlines()
    assert head.split() == ["ACCOUNT", "LAST", "SUCCESS", "NEW", "KNOWN", "PENDING", "QUARANTINED", "LAST", "ERROR"]
    assert row.split() == ["work", "never", "0", "0", "0", "0", "-"]
    both = [json.loads(line) for line in client.ok("status", "--json", "work", "home").splitlines()]
    assert [r["account"] for r in both] == ["work", "home"] and both[0]["last_success"] is None
    assert "was never fetched" in client.fails(EX_NOINPUT, "state", "show", "work")


def test_failed_run_shows_in_status(client):
    client.write(GOOD)
    done = client.run("home")
    assert done.returncode not in (0, EX_USAGE, EX_CONFIG), done
    assert done.stdout.startswith("home  failed: "), done
    assert client.run("status", "home").returncode == 1
    row = json.loads(client.run("status", "--json", "home").stdout)
    assert row["last_exit"] == done.returncode and row["failures"] == 1 and row["last_error"]
    quiet = client.run("-q", "home")
    assert quiet.stdout == "" and "failed" in quiet.stderr
    events = [json.loads(line) for line in client.run("--json", "home").stdout.splitlines()]
    assert events[0]["event"] == "begin" and events[-1]["event"] == "done"
    assert events[-1]["exit"] == done.returncode


def test_import_export_forget(client):
    client.write(GOOD)
    ids = client.home / "fetchids"
    ids.write_text("me@pop.example.org u1\nme@pop.example.org u2\nother@pop.example.org u3\n")
    assert client.ok("state", "import", "work", str(ids), "-f", "fetchmail").startswith("work: 2 messages are known now")
    assert client.ok("state", "import", "work", str(ids)).startswith("work: 0 messages are known now, 2 were")
    rows = [json.loads(line) for line in client.ok("state", "show", "work", "--json").splitlines()]
    assert [(r["state"], r["uid"]) for r in rows] == [("seen", "u1"), ("seen", "u2")]
    text = client.home / "text"
    text.write_text(client.ok("state", "export", "work"))
    client.ok("state", "forget", "work", "u1")
    assert "no message" in client.fails(EX_NOINPUT, "state", "forget", "work", "u1")
    assert client.ok("state", "import", "work", str(text), "-a").startswith("work: 1 messages are known now, 1 were")
    bad = client.home / "bad"
    bad.write_text("no fetchids\n\n")
    assert f"{bad}:1:" in client.fails(EX_DATAERR, "state", "import", "work", str(bad), "-f", "fetchmail")
    journal = client.home / ".local/state/restante/work.journal"
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600


def test_state_dir_and_environment(client):
    other = client.home / "elsewhere"
    other.write_text(GOOD)
    where = client.home / "journals"
    ids = client.home / "fetchids"
    ids.write_text("me@pop.example.org u1\n")
    client.ok("state", "import", "work", str(ids), "--state-dir", str(where), RESTANTE_CONFIG=str(other))
    assert (where / "work.journal").exists()
    client.conf.parent.mkdir(parents=True)
    other.rename(client.conf)
    client.ok("state", "import", "work", str(ids), XDG_STATE_HOME=str(client.home / "x"))
    assert (client.home / "x/restante/work.journal").exists()


def test_many_accounts_at_once(client):
    names = [f"a{i}" for i in range(40)]
    client.write("".join(f'account "{n}" {{ server = h user = {n} deliver = "maildir:/x" }}\n' for n in names))
    rows = [json.loads(line)["account"] for line in client.ok("status", "--json", *names).splitlines()]
    assert rows == names
    assert "more than 1024 arguments" in client.fails(EX_USAGE, "status", *["a1"] * 1025)


def test_long_unique_ids_are_shown_whole(client):
    client.write(GOOD)
    uid = "sha256:" + "0123456789abcdef" * 4
    ids = client.home / "fetchids"
    ids.write_text(f"me@pop.example.org {uid}\n")
    client.ok("state", "import", "work", str(ids))
    assert uid in client.ok("state", "show", "work").split()
    client.ok("state", "forget", "work", uid)


def test_every_occurrence_is_forgotten(client):
    client.write(GOOD)
    text = client.home / "text"
    rows = [f"seen {nth} {uid} - 0 0 - - - - - - 0 5 0 0 0" for nth, uid in ((1, "u"), (7, "u"), (0, "v"))]
    text.write_text("\n".join(["restante-journal 1 work", *rows, "end 3"]) + "\n")
    client.ok("state", "import", "work", str(text))
    assert "no message" in client.fails(EX_NOINPUT, "state", "forget", "work", "u", "w")
    assert client.ok("state", "forget", "work", "u") == "work: 2 forgotten\n"
    assert [json.loads(r)["uid"] for r in client.ok("state", "show", "--json", "work").splitlines()] == ["v"]


def test_import_of_a_missing_file_begins_no_journal(client):
    client.write(GOOD)
    assert "No such file" in client.fails(EX_NOINPUT, "state", "import", "work", str(client.home / "none"))
    assert not (client.home / ".local").exists()


def on_terminal(client, *words, keys):
    """Exit code and all that a terminal shows; keys are typed when a prompt has stood there for a while."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(tool(), [tool(), *words], {"HOME": str(client.home), "PATH": os.environ["PATH"], "TERM": "xterm"})
    shown, typed = b"", False
    while True:
        if b"Password of" in shown and not typed:
            typed = not select.select([fd], [], [], 0.5)[0] or len(shown) > 1000
            if typed:
                os.write(fd, keys)
        try:
            part = os.read(fd, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


ASKING = 'account "a" { server = "pops://joe@127.0.0.1:1" deliver = "mbox:~/a" retries = 0 connect-timeout = 1s }\n'


def test_prompt_is_not_painted_over(client):
    client.write(ASKING)
    code, shown = on_terminal(client, "fetch", keys=b"hunter2\n")
    assert code == 69, shown
    prompt, rest = shown.split("\n", 1)
    assert prompt.strip() == "Password of joe at 127.0.0.1:" and "hunter2" not in shown
    assert "failed" in rest


def test_cancelled_prompt_ends_the_run(client):
    client.write(ASKING)
    code, shown = on_terminal(client, "fetch", keys=b"\x03")
    assert code == 77 and "cancelled" in shown and "failed" not in shown


def test_verify_without_mail(client):
    client.write(GOOD)
    done = client.run("verify", "work")
    assert done.returncode == 0 and "never fetched" in done.stderr


def test_relative_folder_of_journals(client, monkeypatch):
    monkeypatch.chdir(client.home)
    client.write(GOOD)
    text = client.home / "text"
    text.write_text("joe@127.0.0.1 u1\n")
    client.ok("state", "import", "home", str(text), "--state-dir", "here")
    assert client.ok("verify", "home", "--state-dir", "here").startswith("home: 0 as received")
    (client.home / "conf").write_text('state-dir = "here"\n' + GOOD)
    assert client.ok("-c", "conf", "verify", "home").startswith("home: 0 as received")


def test_full_disk(client):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([tool(), "config", "example"], stdout=full, stderr=subprocess.PIPE,
                              env={"HOME": str(client.home)})
    assert done.returncode == 74 and b"standard output" in done.stderr


def test_full_disk_behind_an_export(client):
    client.write(GOOD)
    ids = client.home / "fetchids"
    ids.write_text("me@pop.example.org u1\n")
    client.ok("state", "import", "work", str(ids))
    for words in (["state", "export", "work"], ["state", "show", "work"], ["state", "show", "--json", "work"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([tool(), *words], stdout=full, stderr=subprocess.PIPE, env={"HOME": str(client.home)})
        assert done.returncode == 74 and done.stderr, done
