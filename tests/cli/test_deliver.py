"""restantectl deliver: octet for octet, durable, with exit codes that mail servers understand."""

import os
import re
import resource
import subprocess
import time

import pytest
import wiremodel
from ctl import (EX_CANTCREAT, EX_CONFIG, EX_NOPERM, EX_NOUSER, EX_TEMPFAIL, EX_USAGE, OWNER,
                 ROOT)

FIXTURES = sorted(wiremodel.MESSAGES)


@pytest.mark.proves("MDPP-01", "MDPP-03", "MD-05", "MD-09")
def test_fixtures_octet_for_octet(site):
    site.add("bob")
    for name in FIXTURES:
        message = wiremodel.MESSAGES[name]
        site.ok("deliver", "bob", data=message)
        (path,) = site.files("bob")
        assert path.read_bytes() == message, name
        m = re.fullmatch(r"[^:]*,S=(\d+),W=(\d+)", path.name)
        assert m and int(m[1]) == len(message) and int(m[2]) == wiremodel.size(message), (name, path)
        path.unlink()
    assert site.files("bob", "tmp") == [] and site.files("bob", "cur") == []


def test_all_octets(site):
    site.add("bob")
    message = bytes(range(256)) * 300 + b"no newline at the end"
    site.ok("deliver", "bob", data=message)
    assert site.files("bob")[0].read_bytes() == message


@pytest.mark.proves("MD-01")
def test_makes_the_maildrop(site):
    site.add("bob")
    site.ok("deliver", "bob", data=b"x\n")
    root = site.mail / "bob"
    for path in (root, root / "tmp", root / "new", root / "cur"):
        assert path.stat().st_mode & 0o777 == 0o700
    (path,) = site.files("bob")
    assert path.stat().st_mode & 0o077 == 0
    if ROOT:
        assert path.stat().st_uid == OWNER.pw_uid


def test_no_maildrop(make_site):
    site = make_site("")
    site.conf.write_text(site.conf.read_text().replace("mail {", "mail { create = no"))
    site.add("bob")
    site.fails(EX_CANTCREAT, "deliver", "bob", data=b"x\n")


def test_added_lines(site):
    site.add("bob")
    message = b"Subject: x\n\nbody\n"
    for words, head in (
        (["-f", "a@example.org"], b"Return-Path: <a@example.org>\n"),
        (["--from=<a@example.org>"], b"Return-Path: <a@example.org>\n"),
        (["-f", ""], b"Return-Path: <>\n"),
        (["-f", "<>", "-d"], b"Return-Path: <>\nDelivered-To: bob\n"),
        (["-d"], b"Delivered-To: bob\n"),
    ):
        site.ok("deliver", "bob", *words, data=message)
        (path,) = site.files("bob")
        assert path.read_bytes() == head + message
        assert f",S={len(head + message)},W={wiremodel.size(head + message)}" in path.name
        path.unlink()
    assert "no address" in site.fails(EX_USAGE, "deliver", "bob", "-f", "a\nBcc: b", data=message)
    assert site.files("bob") == []


def test_strip_from(site):
    site.add("bob")
    line, message = b"From a@example.org Mon Jan  1 00:00:00 2024\n", b"Subject: x\n\nFrom me\n"
    for words, sent, kept in (
        (["--strip-from"], line + message, message),
        (["--strip-from"], message, message),
        ([], line + message, line + message),
        (["--strip-from", "-d"], line + message, b"Delivered-To: bob\n" + message),
    ):
        site.ok("deliver", "bob", *words, data=sent)
        (path,) = site.files("bob")
        assert path.read_bytes() == kept
        path.unlink()


@pytest.mark.limit(120)
def test_large_message_in_little_memory(site):
    """50 MB stream through a process whose data may grow to a fraction of that."""
    site.add("bob")
    piece = b"x" * 998 + b"\n" + b"." * 24 + b"\n"
    sanitized = b"__asan_init" in site.tool.read_bytes()

    def limit():
        if not sanitized:
            resource.setrlimit(resource.RLIMIT_DATA, (24 << 20, 24 << 20))

    env = {"RESTANTE_CONF": str(site.conf)}
    proc = subprocess.Popen([site.tool, "deliver", "bob"], stdin=subprocess.PIPE, preexec_fn=limit,
                            env=env, stderr=subprocess.PIPE)
    for _ in range(50):
        proc.stdin.write(piece * 1024)
    proc.stdin.close()
    assert proc.wait() == 0, proc.stderr.read()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not sanitized:
        assert usage.ru_maxrss < 40_000, usage.ru_maxrss
    (path,) = site.files("bob")
    assert path.stat().st_size == 50 * 1024 * 1024
    assert f",S={50 << 20},W={(50 << 20) + 2 * 50 * 1024}" in path.name


@pytest.mark.proves("MD-04")
def test_names_are_unique(site):
    site.add("bob")
    procs = []
    for _ in range(40):
        p = subprocess.Popen([site.tool, "deliver", "bob"], stdin=subprocess.PIPE,
                             env={"RESTANTE_CONF": str(site.conf)})
        p.stdin.write(b"Subject: x\n\n")
        procs.append(p)
    for p in procs:
        p.stdin.close()
    assert [p.wait() for p in procs] == [0] * 40
    assert len({f.name.split(",")[0] for f in site.files("bob")}) == 40


def test_killed_delivery_leaves_nothing_in_new(site):
    site.add("bob")
    p = subprocess.Popen([site.tool, "deliver", "bob"], stdin=subprocess.PIPE,
                         env={"RESTANTE_CONF": str(site.conf)})
    p.stdin.write(b"x" * 200_000)
    p.stdin.flush()
    for _ in range(200):
        if site.files("bob", "tmp"):
            break
        time.sleep(0.05)
    p.kill()
    p.wait()
    assert site.files("bob") == []


def test_closed_input(site):
    site.add("bob")
    done = subprocess.run(["sh", "-c", f"exec {site.tool} deliver bob <&-"], capture_output=True,
                          env={"RESTANTE_CONF": str(site.conf)})
    assert done.returncode == EX_TEMPFAIL, done
    assert site.files("bob") == []


def test_empty_message(site):
    """An empty input is a message of no octets, as a mail server may send one."""
    site.add("bob")
    site.ok("deliver", "bob", data=b"")
    assert [p.stat().st_size for p in site.files("bob")] == [0]


def test_unknown_user(site):
    site.add("bob")
    assert "no user" in site.fails(EX_NOUSER, "deliver", "carol", data=b"x\n")
    assert "no user" in site.fails(EX_NOUSER, "deliver", "../bob", data=b"x\n")
    assert site.run("deliver", "--defer", "carol").returncode == EX_NOUSER


def test_hostile_name_in_users_file(site):
    site.users.write_text("..:{PLAIN}x\na/b:{PLAIN}x\n")
    for name in ("..", "a/b"):
        done = site.run("deliver", name, data=b"x\n")
        assert done.returncode in (EX_CONFIG, EX_NOUSER), done
    assert sorted(p.name for p in site.base.iterdir()) == ["mail", "restante.conf", "users"]


def test_configuration_faults(site):
    site.add("bob")
    site.conf.write_text("nonsense = 1\n")
    site.fails(EX_CONFIG, "deliver", "bob", data=b"x\n")
    assert site.run("deliver", "bob", "--defer", data=b"x\n").returncode == EX_TEMPFAIL


def test_no_permission(site):
    site.add("bob")
    site.ok("deliver", "bob", data=b"x\n")
    if ROOT:
        os.chown(site.mail / "bob" / "tmp", 0, 0)
    (site.mail / "bob" / "tmp").chmod(0o500)
    site.fails(EX_NOPERM, "deliver", "bob", data=b"y\n")
    assert site.run("deliver", "bob", "--defer", data=b"y\n").returncode == EX_TEMPFAIL
    assert len(site.files("bob")) == 1
    (site.mail / "bob" / "tmp").chmod(0o700)


@pytest.mark.skipif(not ROOT, reason="changes uids")
def test_mail_of_another_uid(site):
    site.add("bob", "--uid", "12345", "--gid", "12345")
    site.users.chmod(0o644)

    def become():
        os.setgroups([])
        os.setresgid(OWNER.pw_gid, OWNER.pw_gid, OWNER.pw_gid)
        os.setresuid(OWNER.pw_uid, OWNER.pw_uid, OWNER.pw_uid)

    done = site.run("deliver", "bob", data=b"x\n", preexec_fn=become)
    assert done.returncode == EX_NOPERM and b"uid 12345" in done.stderr


@pytest.mark.skipif(not ROOT, reason="root only")
def test_root_is_never_the_owner(site):
    site.add("bob", "--uid", "1", "--gid", "1")
    site.conf.write_text(site.conf.read_text().replace("min_uid = 1", "min_uid = 100"))
    assert "min_uid" in site.fails(EX_CONFIG, "deliver", "bob", data=b"x\n")
    site.conf.write_text(re.sub(r'user = "\w+"', "", site.conf.read_text()))
    site.add("carol")
    assert "root" in site.fails(EX_CONFIG, "deliver", "carol", data=b"x\n")


def test_full_disk(site):
    """A limit on file size is a disk that fills up: nothing appears, the mail server tries again."""
    site.add("bob")
    site.ok("deliver", "bob", data=b"x\n")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = site.run("deliver", "bob", data=b"x" * 300_000, preexec_fn=limit)
    assert done.returncode == EX_TEMPFAIL, done
    assert len(site.files("bob")) == 1 and site.files("bob", "tmp") == []


@pytest.mark.proves("MD-02", "MD-03")
def test_order_of_durable_steps(site):
    """tmp is written and synced before the rename; the folder is synced before the program ends."""
    if subprocess.run(["sh", "-c", "command -v strace"], capture_output=True).returncode:
        pytest.skip("no strace")
    site.add("bob")
    trace = site.base / "trace"
    done = subprocess.run(
        ["strace", "-f", "-o", trace, "-e", "trace=openat,write,fsync,fdatasync,rename,renameat,"
         "renameat2,link,linkat,exit_group", site.tool, "deliver", "bob"],
        input=b"Subject: x\n\nbody\n", env={"RESTANTE_CONF": str(site.conf),
                                            "ASAN_OPTIONS": "detect_leaks=0"}, capture_output=True)
    if b"ptrace" in done.stderr or done.returncode in (1, 3):
        pytest.skip("strace cannot trace here")
    assert done.returncode == 0, done
    text = trace.read_text()
    steps = [m[1] for m in re.finditer(
        r"(O_EXCL|write\(\d+, \"Subject|f(?:data)?sync|rename|link|exit_group)", text)]
    steps = [s.split("(")[0] for s in steps]
    assert steps.index("O_EXCL") < steps.index("write")
    after_write = steps[steps.index("write"):]
    kinds = ["sync" if "sync" in s else s for s in after_write]
    assert kinds[:4] == ["write", "sync", "rename", "sync"] or \
        kinds[:4] == ["write", "sync", "link", "sync"], kinds
