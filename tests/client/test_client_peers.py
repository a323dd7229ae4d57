"""The client with servers of other people and with ours: drained, octet for octet; kept, and not fetched again."""

from __future__ import annotations

import shutil

import pytest
import server as srv
from lab import Client, as_stored, stored
from peers import PEERS, Missing


def mail(n: int, body: bytes) -> bytes:
    """With LF: how servers keep it."""
    return b"From: a@example.org\nTo: u@example.org\nSubject: number %d\nMessage-ID: <%d@lab.example.org>\n\n%s" % (n, n, body)


BODIES = [b"one line\n", b".\n..\n.x\nend\n", b"caf\xc3\xa9 \xff\xfe\n", b"\n\n", b"y" * 4000 + b"\n",
          b"".join(b"%07d 0123456789 0123456789\n" % i for i in range(20000)), b"\t leading blanks\n .\n"]
# Fields that servers of mboxes add for themselves.
THEIRS = (b"Status:", b"X-UIDL:", b"X-UID:", b"X-IMAPbase:")


@pytest.fixture
def folder():
    path = srv.temp_root("restante-peer-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(params=PEERS, ids=lambda p: p.name)
def peer(request, folder):
    messages = [mail(n, body) for n, body in enumerate(BODIES, 1)]
    try:
        one = request.param(folder, srv.build_dir(), messages)
    except Missing as e:
        pytest.skip(str(e))
    one.messages = messages
    yield one
    one.close()


def plain(messages):
    """Without the fields that the server added, and the empty line of the mbox."""
    out = []
    for m in messages:
        head, _, body = m.partition(b"\n\n")
        rows = [row for row in head.split(b"\n") if not row.startswith(THEIRS)]
        out.append(b"\n".join(rows) + b"\n\n" + body.rstrip(b"\n"))
    return sorted(out)


@pytest.mark.limit(90)
@pytest.mark.parametrize("keep", ["none", "all"])
def test_drain(tmp_path, peer, keep):
    client = Client(tmp_path)
    for turn in range(2):
        code, out = client.run(peer.port, keep, timeout=40)
        assert code == 0, out
        peer.settle()
        here = stored(client.maildir)
        if peer.name in ("dovecot", "courier"):
            assert here == sorted(peer.messages)
        else:
            assert plain(here) == plain(peer.messages)
        assert peer.left() == (0 if keep == "none" else len(peer.messages))


@pytest.mark.limit(90)
@pytest.mark.parametrize("how", ["plain", "stls", "tls"])
@pytest.mark.parametrize("keep", ["none", "all"])
def test_own_server(tmp_path, account, pki, how, keep):
    messages = [mail(n, body) for n, body in enumerate(BODIES, 1)]
    box = account(messages)
    _, port = box.server.address({"plain": "plain", "stls": "strict", "tls": "tls"}[how])
    settings = {"server": f'"{"pops" if how == "tls" else "pop"}://localhost:{port}"', "user": f'"{box.name}"',
                "password": f'"{box.password}"', "tls": {"plain": "none", "stls": "stls", "tls": "implicit"}[how],
                "ca_file": f'"{pki.ca.pem}"', "plaintext_auth": "yes" if how == "plain" else "no", "family": '"4"'}
    client = Client(tmp_path)
    for turn in range(2):
        code, out = client.run(port, keep, timeout=40, **settings)
        assert code == 0, out
        assert stored(client.maildir) == sorted(as_stored(m.replace(b"\n", b"\r\n")) for m in messages)
    assert len(box.drop) == (0 if keep == "none" else len(messages))
