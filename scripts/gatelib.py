"""gatelib.py - what the gates (scripts/check-*) share: reading C without a compiler, and reporting.

A C file is split into code, comments and literals by a scanner that keeps every offset: in "code" the
comments, the insides of literals and the preprocessor lines are blanks, so that a search over it never
hits prose. Functions are found by their braces at depth 0. Does not know: any single rule.
"""

import re
import subprocess
import sys
from pathlib import Path

LAYERS = ("base", "pop3", "sasl", "mail", "net", "ipc", "store", "auth", "server", "client", "admin")

TOKEN = re.compile(
    r"""(?P<block>/\*.*?\*/)|(?P<line>//[^\n]*)
      |(?P<string>"(?:\\.|[^"\\\n])*")|(?P<char>'(?:\\.|[^'\\\n])*')""",
    re.S | re.X,
)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


class CFile:
    """One C file: raw text, code (blanked, see above), comments and strings as (offset, text)."""

    def __init__(self, path, root):
        self.path = path
        self.name = str(path.relative_to(root))
        self.raw = path.read_text(encoding="utf-8")
        self.comments, self.strings = [], []
        self.no_comments = TOKEN.sub(self._take_comment, self.raw)
        code = TOKEN.sub(self._take_string, self.no_comments)
        self.code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: blank(m.group()), code, flags=re.M)

    def _take_comment(self, m):
        if m.group("block") or m.group("line"):
            self.comments.append((m.start(), m.group()))
            return blank(m.group())
        return m.group()

    def _take_string(self, m):
        self.strings.append((m.start(), m.group()[1:-1]))
        return m.group()[0] + blank(m.group()[1:-1]) + m.group()[-1]

    def line(self, offset):
        return self.raw.count("\n", 0, offset) + 1

    def lines(self):
        return len(self.raw.splitlines())

    def code_lines(self):
        """Lines that hold anything but blanks and comments."""
        return sum(1 for line in self.no_comments.splitlines() if line.strip())

    def waived(self, word, start, end):
        """Is there a comment "word: reason" that begins between the offsets?"""
        pattern = re.compile(r"\b%s:\s*\w" % re.escape(word))
        return any(start <= at < end and pattern.search(text) for at, text in self.comments)

    def functions(self):
        """Every function definition of the file, in order."""
        return list(_functions(self))


class Function:
    def __init__(self, cfile, name, start, brace, end, params):
        self.file, self.name, self.start, self.brace, self.end, self.params = cfile, name, start, brace, end, params
        self.line = cfile.line(start)
        self.lines = cfile.line(end) - self.line + 1

    def waived(self, word):
        """A comment in the body, in the head, or just above (touching or one blank line away)."""
        before = [at for at, text in self.file.comments
                  if at < self.start and not self.file.code[at:self.start].strip()
                  and self.file.line(at + len(text)) >= self.line - 2]
        return self.file.waived(word, min(before, default=self.start), self.end + 1)


def closing(code, at):
    """The offset of the bracket that closes the one at "at", or the end."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    left, right, depth = code[at], pairs[code[at]], 0
    for i in range(at, len(code)):
        if code[i] == left:
            depth += 1
        elif code[i] == right:
            depth -= 1
            if depth == 0:
                return i
    return len(code) - 1


def split_arguments(text):
    """Splits at the commas that stand in no bracket and no string."""
    parts, depth, start, quoted = [], 0, 0, False
    for i, c in enumerate(text):
        quoted ^= c == '"' and text[i - 1:i] != "\\"
        if quoted:
            continue
        depth += c in "([{"
        depth -= c in ")]}"
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return parts + [text[start:]]


def _functions(cfile):
    code, at, chunk = cfile.code, 0, 0
    while at < len(code):
        c = code[at]
        if c == ";":
            chunk = at + 1
        elif c == "{":
            end = closing(code, at)
            found = _declarator(code[chunk:at])
            if found:
                start = chunk + len(code[chunk:at]) - len(code[chunk:at].lstrip())
                yield Function(cfile, found[0], start, at, end, found[1])
                chunk = end + 1
            at = end
        elif c == "(":
            at = closing(code, at)
        at += 1


def _declarator(head):
    """(name, list of parameters) when the text before a brace is the head of a function."""
    head = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", " ", head)
    if "=" in re.sub(r"\(.*\)", "", head, flags=re.S):
        return None
    m = re.search(r"(\w+)\s*\((.*)\)\s*$", head, re.S)
    if not m or m.group(1) in ("if", "for", "while", "switch", "sizeof", "_Static_assert"):
        return None
    first = re.search(r"(\w+)\s*\(", head)
    at = first.end() - 1
    inside = head[at + 1:closing(head, at)]
    if inside.strip() in ("", "void"):
        return first.group(1), []
    return first.group(1), [part.strip() for part in split_arguments(inside)]


class Gate:
    """Collects complaints and ends the program: status 0 when there is none."""

    def __init__(self, name):
        self.name, self.complaints = name, []

    def fail(self, where, what):
        self.complaints.append(f"{where}: {what}")

    def end(self, summary):
        for complaint in self.complaints:
            print(complaint)
        verdict = "fail" if self.complaints else "ok"
        print(f"{self.name}: {verdict}: {summary}" + (f", {len(self.complaints)} complaints" if self.complaints else ""))
        sys.exit(1 if self.complaints else 0)


def root_of(argv):
    """The tree to look at: --root DIR, else the one this script stands in. The option is removed from argv."""
    if "--root" in argv:
        at = argv.index("--root")
        root = Path(argv[at + 1]).resolve()
        del argv[at:at + 2]
        return root
    return Path(__file__).resolve().parent.parent


def c_files(root, *folders, suffixes=(".c", ".h")):
    found = []
    for folder in folders or ("src",):
        base = root / folder
        found += [p for p in base.rglob("*") if p.suffix in suffixes and p.is_file()]
    return [CFile(p, root) for p in sorted(found)]


def layer_of(name):
    """"src/pop3/stuff.c" -> "pop3"; None outside src/."""
    parts = name.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "src" else None


def objects(build, root):
    """{object file: source path below the root, or None} of a Meson build directory. Meson writes a source
    in a folder below its build file as "folder_name.c" and one above it as ".._name.c"."""
    found = {}
    for path in sorted(Path(build).rglob("*.o")):
        parts = path.relative_to(build).parts
        folder = next((i for i, part in enumerate(parts) if part.endswith(".p")), None)
        if folder is None:
            continue
        stem, base = path.name[:-2], list(parts[:folder])
        while stem.startswith(".._"):
            stem, base = stem[3:], base[:-1]
        names = ["/".join(base + [stem.replace("_", "/", n)]) for n in range(stem.count("_") + 1)]
        found[path] = next((name for name in names if (root / name).is_file()), None)
    return found


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
