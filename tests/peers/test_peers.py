"""Clients of other people fetch a maildrop from our server: byte for byte, by TLS, STLS and plaintext."""

from __future__ import annotations

import os
import shutil

import pytest
import server as srv
import wiremodel as wm
from clients import CLIENTS, Job, Missing, is_mail


def mail(subject: str, body: bytes) -> bytes:
    ident = subject.replace(" ", ".")
    head = f"From: a@example.org\nTo: b@example.org\nSubject: {subject}\n"
    head += f"Date: Fri, 02 Jan 2026 03:04:05 +0000\nMessage-ID: <{ident}@example.org>\n\n"
    return head.encode() + body


def boundary(size: int) -> bytes:
    """A body with lines of dots right where a buffer of this size may end."""
    head = len(mail(f"edge {size:05}", b""))
    row = b"0123456789 abcdefghijklmnopqrstuvwxyz\n"
    fill = (row * (size // len(row) + 1))[: size - head - 1] + b"\n"
    return mail(f"edge {size:05}", fill + b".\n..\n.x\nend\n")


ORDINARY = [
    mail("plain", b"line 1\nline 2\n\nlast line\n"),
    mail("dots", b".\n..\n.a\na.\n.\n"),
    mail("8bit", b"caf\xc3\xa9 \xff\xfe\n"),
    mail("empty", b""),
    mail("blank lines", b"\n\n\n"),
    mail("quoted", b"From here on\n>From there\n"),
    mail("long", b"x" * 997 + b"\n" + b"y" * 4000 + b"\n"),
    mail("big", b"".join(b"%07d 0123456789 0123456789 0123456789\n" % i for i in range(20000))),
    mail("stored with CRLF", b"x\n").replace(b"\n", b"\r\n"),
    mail("no final newline", b"last"),
    boundary(4096),
    boundary(8192),
    boundary(16384),
]
ODD = [m for _, m in sorted(wm.MESSAGES.items())]

CASES = [
    pytest.param(c, mode, delete, id=f"{c.name}-{mode}-{'delete' if delete else 'keep'}")
    for c in CLIENTS
    for mode in c.modes
    for delete in ((False, True) if c.delete else (False,))
]
SASL = [
    pytest.param(c, mech, id=f"{c.name}-{mech}")
    for c in CLIENTS
    for mech in c.sasl
]


@pytest.fixture
def folder():
    """A place that other users can reach."""
    path = srv.temp_root("restante-peer-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


LISTENER = {"tls": "tls", "stls": "strict", "plain": "plain"}


def run(client, mode, account, pki, folder, *, delete=False, auth=None, count=0):
    server = account.server
    host, port = server.address(LISTENER[mode])
    job = Job(
        host=host,
        port=port,
        mode=mode,
        user=account.name,
        password=account.password,
        cafile=str(pki.ca.pem),
        folder=folder,
        delete=delete,
        count=count,
        auth=auth,
    )
    try:
        return client.fetch(job)
    except Missing as e:
        if os.environ.get("RESTANTE_ALLOW_MISSING") == "1":
            pytest.skip(str(e))
        raise


def same(got: list[bytes], expected: list[bytes]) -> None:
    """The same messages, in any order."""
    left = sorted(expected)
    for one in sorted(got):
        if one not in left:
            near = min(left, key=lambda m: len(m) - len(os.path.commonprefix([m, one])), default=b"")
            at = len(os.path.commonprefix([near, one]))
            pytest.fail(
                f"not what was delivered: {len(one)} octets, from {at}: {one[at:at + 60]!r},"
                f" nearest {len(near)} octets: {near[at:at + 60]!r}"
            )
        left.remove(one)
    assert not left, f"{len(left)} missing, the first: {left[0][:300]!r} ({len(left[0])} octets)"


@pytest.mark.proves("R1939-RETR-02", "R1939-GEN-11", "R1939-DELE-01", "R1939-QUIT-01", "R8314-S-01")
@pytest.mark.parametrize("client,mode,delete", CASES)
def test_fetch(client, mode, delete, account, pki, folder):
    messages = [m for m in ORDINARY + ODD if client.takes(m)]
    assert len(messages) >= 10
    box = account(messages)
    got = run(client, mode, box, pki, folder, delete=delete, count=len(messages))
    same(got, [client.stored(m) for m in messages])
    left = box.drop.contents()
    if delete:
        assert left == [], f"{client.name} deleted all, {len(left)} are still there"
    else:
        assert sorted(left) == sorted(messages)


@pytest.fixture(scope="module")
def apop(pki):
    """A server with APOP on, and its user."""
    try:
        s = srv.Server(pki, start=False, conf={"auth.apop": True})
    except srv.Unavailable as e:
        pytest.skip(str(e))
    box = s.add_user("old", extra="apop")
    s.start()
    with s:
        yield box


@pytest.mark.proves("R5034-16", "R5034-23", "R5802-01", "R1939-APOP-03", "R1939-APOP-05", "R1939-APOP-02")
@pytest.mark.parametrize("client,mech", SASL)
def test_sasl(client, mech, account, pki, folder, request):
    """Each mechanism that a client and we both know; APOP without TLS, where it is at home."""
    messages = [m for m in ORDINARY if client.takes(m)][:3]
    if mech == "APOP":
        box = request.getfixturevalue("apop")
        box.drop.clear()
        box.drop.fill(messages)
    else:
        box = account(messages)
    got = run(client, "plain" if mech == "APOP" else "tls", box, pki, folder, auth=mech, count=len(messages))
    same(got, [client.stored(m) for m in messages])


@pytest.mark.proves("R2595-STLS-15", "R8314-S-08")
@pytest.mark.parametrize("client", [c for c in CLIENTS if "plain" in c.modes], ids=lambda c: c.name)
def test_no_password_in_the_clear(client, account, pki, folder):
    """Where plaintext passwords are not allowed no client gets in, and its mail stays."""
    box = account(ORDINARY[:1])
    box.server.ports["plain"], keep = box.server.ports["strict"], box.server.ports["plain"]
    try:
        with pytest.raises((AssertionError, OSError, Exception)):
            run(client, "plain", box, pki, folder, count=1)
    finally:
        box.server.ports["plain"] = keep
    assert len(box.drop) == 1


def test_selection():
    """The messages really are what the clients' limits are about."""
    assert all(is_mail(m) for m in ORDINARY)
    assert srv.MAIL_UID != 0
