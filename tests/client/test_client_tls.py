"""TLS of the client: which servers it believes, what it sends before it does, and what cannot be slipped in."""

from __future__ import annotations

import ssl
import time

import pytest
from evil import Fault
from lab import Client, ledger, mails, stored
from popfault import Door, PopFault, whole

MESSAGES = mails(3)
SECRETS = ("USER", "PASS", "AUTH", "APOP")


def by_tls(server, pki, **more):
    """Settings for a server that speaks TLS as its door says."""
    implicit = server.door.tls == "implicit"
    rows = {"server": f'"{"pops" if implicit else "pop"}://localhost:{server.port}"', "family": '"4"',
            "tls": "implicit" if implicit else "stls", "ca_file": f'"{pki.ca.pem}"', "plaintext_auth": "no", "retries": 0}
    return {**rows, **more}


def no_secret(server):
    assert not [v for v in server.verbs() if v in SECRETS], server.commands()


def refused(root, server, pki, **more):
    """The client gives nothing away and takes nothing, by its own decision."""
    client = Client(root)
    code, out = client.run(server.port, "none", **by_tls(server, pki, **more))
    assert code != 0 and whole(out), out
    no_secret(server)
    assert stored(client.maildir) == [] and server.uids() == [u for u, _ in MESSAGES]


@pytest.mark.proves("R8314-C-02", "R2449-CAPA-08")
@pytest.mark.parametrize("tls", ["implicit", "stls"])
def test_drain(tmp_path, pki, tls):
    with PopFault(MESSAGES, door=Door(tls=tls, certificate=pki.server)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", **by_tls(server, pki))
        assert code == 0, out
        ledger(client, server, MESSAGES, "none")
        # Whatever tells of the user or of the mail goes inside; CAPA is asked there again.
        assert server.inside[0][1] == b"CAPA"
        clear = server.verbs()[: len(server.verbs()) - len(server.inside)]
        assert clear in ([], ["STLS"], ["CAPA", "STLS"]), clear


CERTIFICATES = {
    "of another host": (lambda p: p.ca.issue("c1", "x", dns=["other.example.org"]), False),
    "name in CN alone": (lambda p: p.ca.issue("c2", "localhost"), False),
    "CN right, SAN wrong": (lambda p: p.ca.issue("c3", "localhost", dns=["a.example.org"]), False),
    "expired": (lambda p: p.ca.issue("c4", "x", dns=["localhost"], start=-10, days=-1), False),
    "not yet valid": (lambda p: p.ca.issue("c5", "x", dns=["localhost"], start=3), False),
    "of a stranger": (lambda p: p.strangers.issue("c6", "x", dns=["localhost"]), False),
    "for clients": (lambda p: p.ca.issue("c7", "x", dns=["localhost"], client=True), False),
    "wildcard of all": (lambda p: p.ca.issue("c8", "x", dns=["*"]), False),
    "partial wildcard": (lambda p: p.ca.issue("c9", "x", dns=["local*"]), False),
    "address, asked by name": (lambda p: p.ca.issue("c10", "x", ips=["127.0.0.1"]), False),
    "right, EC": (lambda p: p.ca.issue("c11", "x", dns=["localhost"]), True),
    "right, RSA": (lambda p: p.ca.issue("c12", "x", dns=["LOCALHOST"], key="rsa"), True),
    "right among others": (lambda p: p.ca.issue("c13", "x", dns=["a.example.org", "localhost"]), True),
}


@pytest.mark.proves("R8314-C-04", "R5034-25", "R7817-01", "R9525-05")
@pytest.mark.parametrize("tls", ["implicit", "stls"])
@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates(tmp_path, pki, name, tls):
    """C-33"""
    make, good = CERTIFICATES[name]
    with PopFault(MESSAGES, door=Door(tls=tls, certificate=make(pki))) as server:
        if not good:
            refused(tmp_path, server, pki)
            return
        client = Client(tmp_path)
        code, out = client.run(server.port, "all", **by_tls(server, pki))
        assert code == 0, out
        ledger(client, server, MESSAGES, "all")


def test_certificate_for_an_address(tmp_path, pki):
    pair = pki.ca.issue("address", "x", ips=["127.0.0.1"])
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pair)) as server:
        settings = {**by_tls(server, pki), "server": f'"pops://127.0.0.1:{server.port}"'}
        code, out = Client(tmp_path).run(server.port, "none", **settings)
        assert code == 0 and server.uids() == [], out


def test_revoked(tmp_path, pki):
    pair = pki.ca.issue("revoked", "x", dns=["localhost"])
    crl = pki.ca.revoke("gone", [pair[0]])
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pair)) as server:
        refused(tmp_path, server, pki, crl_file=f'"{crl}"')


def test_system_does_not_know_the_authority(tmp_path, pki):
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pki.server)) as server:
        refused(tmp_path, server, pki, ca_file='""')


@pytest.mark.proves("R8314-C-01")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_versions(tmp_path, pki, version):
    old = ssl.TLSVersion[version]
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pki.server, newest=old, oldest=old)) as server:
        refused(tmp_path, server, pki)


def test_version_below_the_wished(tmp_path, pki):
    with PopFault(MESSAGES, door=Door(tls="implicit", certificate=pki.server, newest=ssl.TLSVersion.TLSv1_2)) as server:
        refused(tmp_path, server, pki, tls_min='"1.3"')
        assert Client(tmp_path / "b").run(server.port, "all", **by_tls(server, pki))[0] == 0


INJECTED = [b"+OK extra\r\n", b"+OK\r\n.\r\n", b"-ERR\r\n", b"\r\n", b"x"]


@pytest.mark.proves("R2595-STLS-13")
@pytest.mark.parametrize("octets", range(len(INJECTED)))
def test_octets_before_the_handshake(tmp_path, pki, octets):
    """C-31: what stands in the clear behind STLS's reply is an attack."""
    door = Door(tls="stls", certificate=pki.server, stls_extra=INJECTED[octets])
    with PopFault(MESSAGES, door=door) as server:
        refused(tmp_path, server, pki)


@pytest.mark.proves("R2595-STLS-14", "R8314-C-03", "R1939-APOP-09", "R6186-10")
@pytest.mark.parametrize("door", [
    {"tls": "stls", "offer_stls": False, "stls_reply": b"-ERR no\r\n"}, {"tls": "stls", "stls_reply": b"-ERR no\r\n"},
    {"tls": "stls", "stls_reply": b"+ERR\r\n"}, {"tls": "none", "greeting": b"+OK <1896.697170952@host.example>\r\n"},
], ids=["not offered", "refused", "neither", "none, timestamp"])
@pytest.mark.parametrize("how", ["stls", "auto"])
def test_no_tls_no_secret(tmp_path, pki, door, how):
    """Neither USER nor anything else is sent, and what the server said before is not believed."""
    with PopFault(MESSAGES, door=Door(**door)) as server:
        refused(tmp_path, server, pki, tls=how)


@pytest.mark.proves("R8314-C-03", "R2595-STLS-17")
@pytest.mark.parametrize("words", [(b"USER",), (b"SASL PLAIN LOGIN", b"USER"), (b"SASL SCRAM-SHA-256", b"UIDL")])
def test_no_password_in_the_clear(tmp_path, pki, words):
    """C-37: without TLS and without leave."""
    with PopFault(MESSAGES, door=Door(words=words)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", plaintext_auth="no", retries=0)
        assert code != 0 and whole(out), out
        assert not [v for v in server.verbs() if v in ("USER", "PASS", "APOP")], server.commands()
        assert not [c for c in server.commands() if c.startswith((b"AUTH PLAIN", b"AUTH LOGIN"))], server.commands()


@pytest.mark.proves("R2595-STLS-12")
def test_capabilities_before_tls_are_forgotten(tmp_path, pki):
    """C-32: a mechanism that stood there before is not used."""
    door = Door(tls="stls", certificate=pki.server, clear_words=(b"SASL PLAIN", b"USER", b"PIPELINING", b"X-CLEAR"),
                words=(b"USER", b"UIDL", b"TOP"))
    with PopFault(MESSAGES, door=door) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", **by_tls(server, pki))
        assert code == 0, out
        assert "AUTH" not in server.verbs() and max(server.waits) == 0
        ledger(client, server, MESSAGES, "none")


@pytest.mark.proves("R2595-STLS-11", "R2449-PIPE-07")
def test_nothing_is_sent_behind_stls(tmp_path, pki):
    with PopFault(MESSAGES, door=Door(tls="stls", certificate=pki.server)) as server:
        code, out = Client(tmp_path).run(server.port, "none", **by_tls(server, pki))
        assert code == 0, out
        lines = [line for _, line in server.log]
        assert server.waits[lines.index(b"STLS")] == 0
        assert lines[-1] == b"QUIT" and server.waits[-1] == 0


@pytest.mark.limit(60)
@pytest.mark.parametrize("stall", ["hello", "drip"])
@pytest.mark.parametrize("tls", ["implicit", "stls"])
def test_handshake_that_never_ends(tmp_path, pki, tls, stall):
    """C-34: bounded by the time limits; no processor time is burnt."""
    with PopFault(MESSAGES, door=Door(tls=tls, certificate=pki.server, stall=stall)) as server:
        begin = time.monotonic()
        refused(tmp_path, server, pki, connect_timeout="2s", reply_timeout="2s", read_timeout="2s")
        assert time.monotonic() - begin < 20


@pytest.mark.proves("R1939-RETR-09")
@pytest.mark.parametrize("tls", ["implicit", "stls"])
@pytest.mark.parametrize("rst", [False, True], ids=["fin", "rst"])
def test_line_ends_inside_of_a_message(tmp_path, pki, tls, rst):
    """The end of TLS is not the end of a message."""
    with PopFault(MESSAGES, door=Door(tls=tls, certificate=pki.server)) as server:
        assert Client(tmp_path / "clean").run(server.port, "all", **by_tls(server, pki))[0] == 0
        length = server.sent[0]
        client = Client(tmp_path)
        for octet in range(length // 2, length, 97):
            server.fault = Fault(cut=octet, rst=rst)
            code, out = client.run(server.port, "none", **by_tls(server, pki))
            server.settle()
        server.heal()
        code, out = client.run(server.port, "none", **by_tls(server, pki))
        assert code == 0, out
        ledger(client, server, MESSAGES, "none")


@pytest.mark.proves("R8314-C-09")
@pytest.mark.parametrize("own", [True, False])
def test_client_certificate(tmp_path, pki, own):
    """Shown when asked for, and only by an account that has one."""
    door = Door(tls="implicit", certificate=pki.server, client_ca=str(pki.clients.pem))
    more = {"certificate": f'"{pki.bob[0]}"', "key": f'"{pki.bob[1]}"'} if own else {}
    with PopFault(MESSAGES, door=door) as server:
        code, out = Client(tmp_path).run(server.port, "none", **by_tls(server, pki, **more))
        assert code == 0, out
        assert [bool(c) for c in server.shown] == [own]


@pytest.mark.proves("R8314-C-07")
def test_best_that_the_server_has(tmp_path, pki):
    """An account that does not insist on one of them, with a server that has only STLS."""
    with PopFault(MESSAGES, door=Door(tls="stls", certificate=pki.server)) as server:
        client = Client(tmp_path)
        code, out = client.run(server.port, "none", **by_tls(server, pki, tls="auto", retries=1))
        assert code == 0, out
        assert "STLS" in server.verbs()
        ledger(client, server, MESSAGES, "none")
