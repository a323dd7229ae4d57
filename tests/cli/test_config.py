"""restantectl config: faults with file and line, exit codes, the shown configuration."""

import json
import subprocess

from ctl import DOOR, EX_CONFIG, EX_USAGE


def test_check_good(site):
    site.users.touch()
    assert site.ok("config", "check").decode() == f"{site.conf}: no faults\n"
    assert site.ok("config", "check", "--quiet") == b""


def test_check_tells_all_faults(site):
    path = site.base / "other.conf"
    path.write_text('hostnam = x\nlisten "a" { idle = 5 }\nmail { create = perhaps }\n')
    text = site.fails(EX_CONFIG, "config", "check", str(path))
    assert f'{path}:1: unknown setting "hostnam"; did you mean "hostname"?\n' in text
    assert f'{path}:2: listen "a".idle: "5" is out of range; choose 10m to 1d\n' in text
    assert f'{path}:3: mail.create: "perhaps" is neither yes nor no; write yes or no\n' in text


def test_check_certificates(site, pki):
    cert, key = (str(p) for p in pki.server)
    other = pki_other_key(site)
    pair = 'tls {{ certificate = "{}" key = "{}" }}\n'
    path = site.base / "tls.conf"
    site.users.touch()
    path.write_text(DOOR + pair.format(cert, key))
    done = site.run("config", "check", str(path))
    assert done.returncode == 0, done
    path.write_text(DOOR + pair.format(cert, other))
    assert ":2: tls.key: " in site.fails(EX_CONFIG, "config", "check", str(path))
    path.write_text(DOOR + pair.format(cert, site.base / "gone"))
    assert "No such file" in site.fails(EX_CONFIG, "config", "check", str(path))
    path.write_text(DOOR + pair.format(site.conf, key))
    assert "holds no certificate" in site.fails(EX_CONFIG, "config", "check", str(path))


def pki_other_key(site) -> str:
    path = site.base / "other.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-out", path], check=True, capture_output=True)
    return str(path)


def test_warning_is_no_fault(site):
    done = site.run("config", "check")
    assert done.returncode == 0
    assert b"warning: users.file: " in done.stderr


def test_show(site):
    full = site.ok("config", "show").decode()
    assert "    idle = 10m\n" in full and "    scram_iterations = 4096\n" in full
    changed = site.ok("config", "show", "--changed").decode()
    assert "scram_iterations = 4096" in changed and "idle" not in changed
    again = site.base / "again.conf"
    again.write_text(full)
    assert site.ok("-c", str(again), "config", "show").decode() == full
    again.write_text(changed)
    assert site.ok("-c", str(again), "config", "show").decode() == full


def test_show_defaults_reads_no_file(site):
    site.conf.unlink()
    assert b"login_tries = 5" in site.ok("config", "show", "--defaults")


def test_show_json(site):
    conf = site.json("config", "show")
    assert conf["listen"]["x"]["idle"] == 600
    assert conf["listen"]["x"]["address"] == ["127.0.0.1:1110"]
    assert conf["mail"]["expire"] is None and conf["mail"]["lock_wait"] == 1.0
    assert conf["auth"]["scram_iterations"] == 4096 and conf["auth"]["throttle"] is True
    assert json.loads(site.ok("config", "show", "--defaults", "--json"))["log"] == {"level": "info"}


def test_show_with_faults(site):
    site.conf.write_text("x = 1")
    assert "unknown setting" in site.fails(EX_CONFIG, "config", "show")


def test_missing_file(site):
    text = site.fails(EX_CONFIG, "-c", "/nonexistent/x.conf", "config", "check")
    assert text.startswith("/nonexistent/x.conf: cannot be read: No such file")


def test_usage(site):
    assert "see --help" in site.fails(EX_USAGE)
    assert "unknown command" in site.fails(EX_USAGE, "frobnicate")
    assert "choose add, passwd" in site.fails(EX_USAGE, "user")
    assert "unknown option" in site.fails(EX_USAGE, "user", "list", "--frob")
    assert "needs a value" in site.fails(EX_USAGE, "user", "list", "-c")
    assert "usage: restantectl user add NAME" in site.fails(EX_USAGE, "user", "add")
    assert "usage: " in site.fails(EX_USAGE, "user", "list", "bob")
    assert "takes no value" in site.fails(EX_USAGE, "user", "list", "--json=x")
    assert "given twice" in site.fails(EX_USAGE, "user", "list", "--json", "--json")


def test_help_fits_a_screen(site):
    top = site.ok("--help").decode()
    assert len(top.splitlines()) <= 24 and max(map(len, top.splitlines())) <= 100
    for line in top.splitlines():
        if not line.startswith("  ") or line.lstrip().startswith("-"):
            continue
        words = [w for w in line.split("  ")[1].split() if w.islower()][:2]
        text = site.ok(*words, "--help").decode()
        assert text.startswith("Usage: restantectl " + " ".join(words))
        assert len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 100


def test_version(site):
    assert site.ok("--version").startswith(b"restantectl ")


def test_full_disk(site):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([site.tool, "config", "show", "--defaults"], stdout=full,
                              stderr=subprocess.PIPE)
    assert done.returncode == 74 and b"standard output" in done.stderr
