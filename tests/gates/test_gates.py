"""test_gates.py - each gate passes on a small good tree and fails on the fault it is there for.

A gate that cannot fail guards nothing. The trees are written here, a few lines each; the two gates that read
objects compile theirs.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
HEAD = "/* {0} - a small file for the test of a gate. Does not know: anything. */\n"


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def gate(name, root, *arguments):
    done = subprocess.run([sys.executable, SCRIPTS / f"check-{name}", "--root", root, *map(str, arguments)],
                          capture_output=True, text=True, check=False)
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def c(path, body):
    return HEAD.format(Path(path).name) + body


def assert_fails(result, *words):
    status, out = result
    assert status == 1, out
    for word in words:
        assert word in out


def assert_passes(result):
    status, out = result
    assert status == 0, out


# --- includes

@pytest.mark.parametrize("name,line,word", [
    ("src/base/a.c", '#include "pop3/engine.h"', "above it"),
    ("src/pop3/a.c", '#include "server/conf.h"', "above it"),
    ("src/store/a.c", '#include "server/conf.h"', "above it"),
    ("src/store/a.c", '#include "ipc/msg.h"', "its own level"),
    ("src/pop3/a.c", "#include <sys/socket.h>", "pure"),
    ("src/pop3/a.c", "#include <stdlib.h>", "pure"),
    ("src/auth/a.c", "#include <confuse.h>", "belongs to"),
    ("src/pop3/a.c", '#include "engine.h"', "names no layer"),
    ("src/newlayer/a.c", "#include <string.h>", "no known layer"),
])
def test_includes_refuses(tmp_path, name, line, word):
    write(tmp_path, {name: c(name, line + "\n")})
    assert_fails(gate("includes", tmp_path), word)


def test_includes_accepts(tmp_path):
    write(tmp_path, {
        "src/pop3/a.c": c("a.c", '#include "pop3/engine.h"\n#include "base/span.h"\n#include <string.h>\n'),
        "src/server/b.c": c("b.c", '#include "ipc/msg.h"\n#include "store/store.h"\n#include <uv.h>\n'),
        "src/base/c.c": c("c.c", '/* #include "server/conf.h" */\n'),
    })
    assert_passes(gate("includes", tmp_path))


# --- size

def long_function(lines, comment=""):
    return f"int f(void)\n{{{comment}\n" + "    g();\n" * (lines - 3) + "}\n"


def test_size_at_the_limits(tmp_path):
    write(tmp_path, {"src/base/a.c": c("a.c", long_function(60)),
                     "src/base/b.c": c("b.c", "int f(int a, int b, int c, int d, int (*e)(int, int))\n{\n}\n"),
                     "src/base/d.c": c("d.c", "int f(int a, int b, int c, int d, int e, struct err *err)\n{\n}\n")})
    assert_passes(gate("size", tmp_path))


def test_size_refuses_a_long_function(tmp_path):
    write(tmp_path, {"src/base/a.c": c("a.c", "struct s {\n    int a;\n};\n\n" + long_function(61))})
    assert_fails(gate("size", tmp_path), "f has 61 lines", "a.c:6:")


def test_size_refuses_many_parameters(tmp_path):
    write(tmp_path, {"src/base/a.c": c("a.c", "static int f(int a, int b, int c,\n  int d, int e, int g)\n{\n}\n")})
    assert_fails(gate("size", tmp_path), "6 parameters")


def test_size_refuses_a_long_file(tmp_path):
    write(tmp_path, {"src/base/a.c": c("a.c", "int a;\n" * 600)})
    assert_fails(gate("size", tmp_path), "601 lines")


@pytest.mark.parametrize("body", [
    long_function(61, " /* size: one switch, one line a case */"),
    "/* size: a table in disguise */\n" + long_function(61),
    "/* The signature is the library's.\n * size: six parameters */\nint f(int a, int b, int c, int d, int e, int g)\n{\n}\n",
])
def test_size_can_be_waived(tmp_path, body):
    write(tmp_path, {"src/base/a.c": c("a.c", body)})
    assert_passes(gate("size", tmp_path))


def test_size_waiver_holds_for_one_function_only(tmp_path):
    write(tmp_path, {"src/base/a.c": c("a.c", long_function(61, " /* size: reason */")
                                       + "\n" + long_function(62).replace("f(", "h("))})
    assert_fails(gate("size", tmp_path), "h has 62 lines")


def test_size_needs_a_reason(tmp_path):
    write(tmp_path, {"src/base/a.c": c("a.c", long_function(61, " /* size: */"))})
    assert_fails(gate("size", tmp_path), "61 lines")


# --- banned

@pytest.mark.parametrize("call", ["strcpy(a, b)", "sprintf (a, b)", "sscanf(a, b)", "strtoul(a, 0, 10)", "atoi(a)",
                                  "isspace(a)", "tolower(a)", "strtok(a, b)", "signal(1, f)", "system(a)", "rand()",
                                  "alloca(4)", "popen(a, b)", "setjmp(a)", "strcasecmp(a, b)"])
def test_banned_refuses(tmp_path, call):
    write(tmp_path, {"src/base/a.c": c("a.c", f"int f(void)\n{{\n    {call};\n}}\n")})
    assert_fails(gate("banned", tmp_path), "src/base/a.c:4: " + call.split("(")[0].strip())


def test_banned_knows_prose_from_code(tmp_path):
    write(tmp_path, {"src/base/a.c": c("a.c", "/* strcpy(a, b) */\nint f(void)\n{\n    my_system(1);\n"
                                       '    s->signal(1);\n    say("atoi(x)");\n    snprintf(a, 1, b);\n}\n')})
    assert_passes(gate("banned", tmp_path))


def test_banned_can_be_waived_on_its_line_only(tmp_path):
    body = "int f(void)\n{\n    tolower(1); /* banned: the library wants it */\n}\n"
    write(tmp_path, {"src/base/a.c": c("a.c", body)})
    assert_passes(gate("banned", tmp_path))
    write(tmp_path, {"src/base/a.c": c("a.c", body + "int g(void)\n{\n    toupper(1);\n}\n")})
    assert_fails(gate("banned", tmp_path), "toupper")


# --- heads

GUARD = "#ifndef RESTANTE_BASE_A_H\n#define RESTANTE_BASE_A_H\n#endif\n"


def test_heads_accepts(tmp_path):
    write(tmp_path, {"src/base/a.h": "/* a.h - what the letter a may be used for. */\n" + GUARD,
                     "src/base/a.c": "/* a.c - the letter a at work: see a.h. */\n",
                     "src/base/b.c": "/* b.c - the letter b, alone in the world.\n * Does not know: a. */\n"})
    assert_passes(gate("heads", tmp_path))


@pytest.mark.parametrize("name,text,word", [
    ("src/base/a.c", "int a;\n", "does not begin"),
    ("src/base/a.c", "/* b.c - another file's head, moved here. Does not know: a. */\n", "does not begin with"),
    ("src/base/a.c", "/* a.c - things. */\n", "no purpose"),
    ("src/base/b.c", "/* b.c - the letter b, alone in the world. */\n", "Does not know"),
    ("src/base/a.h", "/* a.h - what the letter a may be used for. */\n", "guard"),
    ("src/base/a.h", "#include <stdint.h>\n/* a.h - what the letter a is for. */\n" + GUARD, "does not begin"),
])
def test_heads_refuses(tmp_path, name, text, word):
    write(tmp_path, {name: text})
    assert_fails(gate("heads", tmp_path), word)


# --- events

EVENTS_MD = "| event | by | level | fields | when |\n|---|---|---|---|---|\n"
LOGIN = 'int f(void)\n{\n    event(LOG_INFO, "login", F_SID(s), F_STR("user", u),\n          F_U64("ms", 1));\n}\n'


def test_events_accepts(tmp_path):
    write(tmp_path, {"src/server/a.c": c("a.c", LOGIN),
                     "doc/events.md": EVENTS_MD + "| `login` | front | info | `sid` `user` `ms` | a login |\n"})
    assert_passes(gate("events", tmp_path))


@pytest.mark.parametrize("rows,word", [
    ("", "event login is not in"),
    ("| `login` | front | info | `sid` `user` | a login |\n", "its field ms"),
    ("| `login` | front | info | `sid` `user` `ms` `mech` | a login |\n", "no code writes the field mech"),
    ("| `login` | front | error | `sid` `user` `ms` | a login |\n", "level info"),
    ("| `login` | front | info | `sid` `user` `ms` | a login |\n| `gone` | front | info | | |\n", "the event gone"),
])
def test_events_refuses(tmp_path, rows, word):
    write(tmp_path, {"src/server/a.c": c("a.c", LOGIN), "doc/events.md": EVENTS_MD + rows})
    assert_fails(gate("events", tmp_path), word)


def test_events_finds_names_that_are_passed(tmp_path):
    body = ('static void say(int level, const char *what)\n{\n    event(level, what, F_SID(s));\n}\n'
            'int f(void)\n{\n    say(1, "one");\n    say(2, "two");\n}\n')
    rows = "| `one` | a | info | `sid` | |\n"
    write(tmp_path, {"src/server/a.c": c("a.c", body), "doc/events.md": EVENTS_MD + rows})
    assert_fails(gate("events", tmp_path), "event two is not in")
    write(tmp_path, {"doc/events.md": EVENTS_MD + rows + "| `two` | a | info | `sid` | |\n"})
    assert_passes(gate("events", tmp_path))


def test_events_wants_literal_names(tmp_path):
    body = "int f(void)\n{\n    event(LOG_INFO, name, F_SID(s));\n}\n"
    rows = "| `one` | a | info | `sid` | |\n| `two` | a | info | `sid` | |\n"
    write(tmp_path, {"src/server/a.c": c("a.c", body), "doc/events.md": EVENTS_MD + rows})
    assert_fails(gate("events", tmp_path), "no literal")
    write(tmp_path, {"src/server/a.c": c("a.c", body.replace("    event", "    /* events: one two */\n    event"))})
    assert_passes(gate("events", tmp_path))


# --- prelogin

def security_md(lines, *names):
    return f"**{lines} lines** before login\n<!-- prelogin -->\n" + "".join(f"| `{n}` |\n" for n in names) \
        + "<!-- /prelogin -->\n"


def test_prelogin_counts_code_only(tmp_path):
    write(tmp_path, {"src/pop3/line.c": c("line.c", "\n/* a\n * comment */\nint a;\n\nint b; /* with a comment */\n"),
                     "src/pop3/line.h": c("line.h", "int a(void);\n/* two lines */\nstatic int b(void) {\n}\n"),
                     "SECURITY.md": security_md(4, "src/pop3/line.c", "src/pop3/line.h")})
    status, out = gate("prelogin", tmp_path)
    assert status == 0 and ": 4 lines before login" in out


def test_prelogin_refuses_too_much(tmp_path):
    write(tmp_path, {"src/pop3/line.c": c("line.c", "int a;\n" * 3000),
                     "SECURITY.md": security_md(3000, "src/pop3/line.c")})
    assert_fails(gate("prelogin", tmp_path), "3000 lines of code before login")


@pytest.mark.parametrize("text,word", [
    (security_md(500, "src/pop3/line.c"), 'should say "**1 lines**'),
    (security_md(1), "does not list src/pop3/line.c"),
    (security_md(1, "src/pop3/line.c", "src/pop3/gone.c"), "lists src/pop3/gone.c"),
])
def test_prelogin_keeps_the_document_true(tmp_path, text, word):
    write(tmp_path, {"src/pop3/line.c": c("line.c", "int a;\n"), "SECURITY.md": text})
    assert_fails(gate("prelogin", tmp_path), word)


# --- leaks

@pytest.mark.parametrize("text,word", [
    ("see /wo" + "rk/notes.txt", "absolute path"),
    ("cd /ro" + "ot", "absolute path"),
    ("https://registry.npm" + "js.org/x", "package registry"),
    ("-----BEGIN EC PRIV" + "ATE KEY-----\n" + "A" * 64, "private key"),
    ("made with an l" + "lm", "no business"),
    ("a language mo" + "del wrote it", "no business"),
])
def test_leaks_refuses(tmp_path, text, word):
    write(tmp_path, {"README.md": "one line\n" + text + "\n"})
    assert_fails(gate("leaks", tmp_path), word, "README.md:2")


def test_leaks_accepts(tmp_path):
    write(tmp_path, {"README.md": "mail in /var/vmail, network /24, a/work/b, the model of a language, chroot\n"})
    (tmp_path / "picture.bin").write_bytes(b"\0/wo" + b"rk/")
    assert_passes(gate("leaks", tmp_path))


# --- globals and dead exports: on real objects

needs_gcc = pytest.mark.skipif(not shutil.which("gcc") or not shutil.which("objdump"), reason="no gcc here")


def build(root, files, *flags):
    """Objects where Meson puts them: BUILD/src/layer/layer.a.p/name.c.o."""
    write(root, files)
    for name in files:
        if name.endswith(".c"):
            path = Path(name)
            obj = root / "build" / path.parent / (path.parent.name + ".a.p") / (path.name + ".o")
            obj.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["gcc", "-fPIE", *flags, "-c", root / name, "-o", obj], check=True)
    return root / "build"


CONST = "const int table[2] = { 1, 2 };\nconst char *const names[] = { \"a\", \"b\" };\n"


@needs_gcc
@pytest.mark.parametrize("flags", [(), ("-fsanitize=address,undefined",)])
def test_globals(tmp_path, flags):
    out = build(tmp_path, {"src/base/a.c": CONST + "int f(int i)\n{\n    return names[i][0] + 10 / i;\n}\n"}, *flags)
    assert_passes(gate("globals", tmp_path, out))
    out = build(tmp_path, {"src/base/b.c": "static int counter;\nint next(void)\n{\n    return ++counter;\n}\n"}, *flags)
    assert_fails(gate("globals", tmp_path, out), "src/base/b.c: counter is mutable")
    out = build(tmp_path, {"src/base/b.c": "int next(void)\n{\n    static int inner = 3;\n    return ++inner;\n}\n"}, *flags)
    assert_fails(gate("globals", tmp_path, out), "src/base/b.c: inner is mutable")
    out = build(tmp_path, {"src/base/b.c": "_Thread_local int mine;\n"}, *flags)
    assert_fails(gate("globals", tmp_path, out), "src/base/b.c: mine is mutable")


@needs_gcc
def test_globals_waiver_must_be_needed(tmp_path):
    out = build(tmp_path, {"src/base/log.c": "static int sink = 2;\nint *log_sink(void)\n{\n    return &sink;\n}\n"})
    assert_passes(gate("globals", tmp_path, out))
    out = build(tmp_path, {"src/base/log.c": "int log_sink(void)\n{\n    return 2;\n}\n"})
    assert_fails(gate("globals", tmp_path, out), "not needed any more")


@needs_gcc
def test_dead_exports(tmp_path):
    used = {"src/base/a.c": "int a_use(void)\n{\n    return 1;\n}\n",
            "src/server/main.c": "int a_use(void);\nint main(void)\n{\n    return a_use();\n}\n"}
    assert_passes(gate("dead-exports", tmp_path, build(tmp_path, used)))
    out = build(tmp_path, {"src/base/b.c": "int b_lonely(void)\n{\n    return 2;\n}\nint *b(void);\n"})
    assert_fails(gate("dead-exports", tmp_path, out), "src/base/b.c: b_lonely is exported")
    out = build(tmp_path, {"tests/unit/t_b.c": "int b_lonely(void);\nint test(void)\n{\n    return b_lonely();\n}\n"})
    status, text = gate("dead-exports", tmp_path, out)
    assert status == 0 and "1 for tests alone" in text


@needs_gcc
def test_objects_of_deeper_folders_are_found(tmp_path):
    """Meson calls the object of front/conn_io.c, built from src/server, front_conn_io.c.o."""
    write(tmp_path, {"src/server/front/conn_io.c": "int counter;\n"})
    obj = tmp_path / "build/src/server/restante-front.p/front_conn_io.c.o"
    obj.parent.mkdir(parents=True)
    subprocess.run(["gcc", "-c", tmp_path / "src/server/front/conn_io.c", "-o", obj], check=True)
    assert_fails(gate("globals", tmp_path, tmp_path / "build"), "src/server/front/conn_io.c: counter")


@needs_gcc
@pytest.mark.parametrize("name", ["globals", "dead-exports"])
def test_an_empty_build_is_no_success(tmp_path, name):
    (tmp_path / "build").mkdir()
    write(tmp_path, {"src/base/a.c": c("a.c", "")})
    assert_fails(gate(name, tmp_path, tmp_path / "build"), "build first")
