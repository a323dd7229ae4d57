"""restantectl user: the life of an account in the users file."""

import os
import pty
import select

import pytest
from ctl import EX_CANTCREAT, EX_CONFIG, EX_DATAERR, EX_NOUSER, EX_USAGE


def stored(site, name: str) -> str:
    for line in site.users.read_text().splitlines():
        if line.split(":")[0] == name:
            return line.split(":", 1)[1]
    return ""


def test_life(site):
    site.add("bob")
    first = stored(site, "bob")
    assert first.startswith("{SCRAM-SHA-256}4096,")
    assert site.users.stat().st_mode & 0o077 == 0
    assert [(u["user"], u["state"], u["scheme"]) for u in site.json("user", "list")] == [
        ("bob", "enabled", "SCRAM-SHA-256")]
    site.ok("user", "passwd", "bob", "--password-stdin", data=b"another\n")
    assert stored(site, "bob").startswith("{SCRAM-SHA-256}") and stored(site, "bob") != first
    site.ok("user", "disable", "bob")
    assert site.json("user", "list")[0]["state"] == "disabled"
    site.ok("user", "enable", "bob")
    assert site.json("user", "list")[0]["state"] == "enabled"
    site.ok("user", "delete", "bob", "--yes")
    assert site.json("user", "list") == []


def test_other_lines_stay(site):
    kept = "# a comment\n\nann:{PLAIN}x:5000:5000::/home/ann::k=v other=1\n"
    site.users.write_text(kept)
    site.users.chmod(0o600)
    site.add("bob")
    site.ok("user", "passwd", "bob", "--password-stdin", data=b"x2\n")
    site.ok("user", "delete", "bob", "--yes")
    assert site.users.read_text() == kept


def test_fields(site):
    site.add("bob", "--uid", "5000", "--gid", "5001", "--home", "/home/bob", "--mail", "/m/bob",
             "--expire", "30", "--require-tls")
    user = site.json("user", "list")[0]
    assert (user["uid"], user["gid"], user["home"], user["mail"]) == (5000, 5001, "/home/bob", "/m/bob")
    assert user["expire_days"] == 30 and user["require_tls"] is True
    assert "not-a-number" in site.fails(EX_USAGE, "user", "add", "x", "--uid", "not-a-number",
                                        "--generate")
    assert "absolute" in site.fails(EX_USAGE, "user", "add", "x", "--home", "rel", "--generate")


def test_mail_stays(site):
    site.add("bob")
    site.ok("deliver", "bob", data=b"Subject: x\n\n")
    site.ok("user", "delete", "bob", "--yes")
    assert len(site.files("bob")) == 1


def test_generate(site):
    word = site.ok("user", "add", "bob", "--generate").decode()
    assert len(word) == 25 and word.endswith("\n")
    assert set(word[:-1]) <= set("abcdefghjkmnpqrstuvwxyz23456789-")
    assert word != site.ok("user", "passwd", "bob", "--generate").decode()
    assert word.strip() not in site.users.read_text()


@pytest.mark.parametrize("scheme, field", [
    ("SCRAM-SHA-1", "{SCRAM-SHA-1}4096,"), ("PLAIN", "{PLAIN}s3cret"), ("yescrypt", "$y$"),
    ("BLF-CRYPT", "$2"), ("SHA512-CRYPT", "$6$"), ("SHA256-CRYPT", "$5$")])
def test_schemes(site, scheme, field):
    site.add("bob", "--scheme", scheme)
    assert field in stored(site, "bob")


def test_scheme_follows_the_others(site):
    """Where accounts have another hash and none has SCRAM keys, a new one is like them; then SCRAM stays."""
    site.add("ann", "--scheme", "SHA512-CRYPT")
    site.add("bob")
    assert stored(site, "bob").startswith("{SHA512-CRYPT}")
    site.add("eve", "--scheme", "SCRAM-SHA-256")
    site.add("joe")
    assert stored(site, "joe").startswith("{SCRAM-SHA-256}")


def test_sha1_besides(site):
    site.add("bob", "--with-sha1")
    assert "{SCRAM-SHA-256}" in stored(site, "bob") and "scram-sha-1=4096," in stored(site, "bob")


def test_refused(site):
    site.add("bob")
    before = site.users.read_bytes()
    site.fails(EX_CANTCREAT, "user", "add", "bob", "--password-stdin", data=b"x\n")
    assert "unknown scheme" in site.fails(EX_DATAERR, "user", "passwd", "bob", "--password-stdin",
                                          "--scheme", "MD5", data=b"x\n")
    assert "empty" in site.fails(EX_DATAERR, "user", "passwd", "bob", "--password-stdin", data=b"\n")
    site.fails(EX_DATAERR, "user", "passwd", "bob", "--password-stdin", data=b"x" * 5000)
    site.fails(EX_DATAERR, "user", "add", "a\nb", "--generate")
    site.fails(EX_DATAERR, "user", "add", "a:b", "--generate")
    site.fails(EX_DATAERR, "user", "add", b"a\xff", "--generate")
    for command in ("passwd", "disable", "enable", "delete"):
        extra = {"passwd": ["--generate"], "delete": ["--yes"]}.get(command, [])
        assert "no user" in site.fails(EX_NOUSER, "user", command, "nobody-here", *extra)
    assert "--yes" in site.fails(EX_USAGE, "user", "delete", "bob")
    assert "--password-stdin" in site.fails(EX_DATAERR, "user", "passwd", "bob")
    assert site.users.read_bytes() == before


def test_faulty_configuration(site):
    site.conf.write_text("nonsense")
    site.fails(EX_CONFIG, "user", "list")


def on_terminal(site, words, answers):
    """Runs a command on a terminal and types the answers, each when something was asked. Code and screen."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["RESTANTE_CONF"] = str(site.conf)
        os.execv(site.tool, [str(site.tool), *words])
    screen = b""
    waiting = list(answers)
    while select.select([fd], [], [], 20)[0]:
        try:
            piece = os.read(fd, 4096)
        except OSError:
            break
        if not piece:
            break
        screen += piece
        if waiting and screen.endswith((b": ", b"] ")):
            os.write(fd, waiting.pop(0))
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen


def test_asks_on_a_terminal(site):
    code, screen = on_terminal(site, ["user", "add", "bob"], [b"hidden-1\n", b"hidden-1\n"])
    assert code == 0, screen
    assert b"hidden-1" not in screen and b"The same again" in screen
    code, screen = on_terminal(site, ["user", "passwd", "bob"], [b"hidden-1\n", b"hidden-2\n"])
    assert code == EX_DATAERR and b"differ" in screen
    code, screen = on_terminal(site, ["user", "passwd", "bob"], [b"hid\x03"])
    assert code == EX_DATAERR and b"cancelled" in screen
    code, screen = on_terminal(site, ["user", "delete", "bob"], [b"n\n"])
    assert code == 0 and stored(site, "bob")
    code, screen = on_terminal(site, ["user", "delete", "bob"], [b"y\n"])
    assert code == 0 and not stored(site, "bob")


def test_table_lines_up(site):
    for name in ("bob", "a-much-longer-name@example.org", "j\u00f6rg"):
        site.add(name)
    lines = site.ok("user", "list").decode().splitlines()
    column = lines[0].index("STATE")
    assert all(line[column:].startswith(("STATE", "enabled")) for line in lines)
    assert len(lines) == 4
