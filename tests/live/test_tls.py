"""TLS at both doors: STLS and its traps, versions, ciphers, ALPN, SNI, tickets, client certificates."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
import server as srv
import wiremodel as wm
from openssl_wire import NO_EXTENDED_MASTER_SECRET, OpensslWire
from OpenSSL import SSL
from wire import client_context, plain_response

V = ssl.TLSVersion
DOORS = ("stls", "tls")


def s_client(server, *args: str, script: bytes = b"QUIT\r\n", listener="tls", seconds=15) -> str:
    """Output of openssl s_client, which goes on until the server closes."""
    argv = ["openssl", "s_client", "-ign_eof"]
    argv += ["-connect", "127.0.0.1:%d" % server.ports[listener]]
    if listener != "tls":
        argv += ["-starttls", "pop3"]
    done = subprocess.run(
        [*argv, *args], input=script, capture_output=True, timeout=seconds
    )
    return (done.stdout + done.stderr).decode(errors="replace")


# --- STLS ---------------------------------------------------------------------------------------------


@pytest.mark.proves(
    "X3.2", "R2595-STLS-01", "R2595-STLS-02", "R2595-STLS-03", "R2595-STLS-04", "R2595-STLS-15", "R5034-24",
    "R5034-28", "R5034-29", "R4616-07", "R2449-CAPA-03", "R2449-CAPA-04", "R1939-USER-08", "B09", "N5", "R8314-S-08",
)
def test_stls_session(drop_a):
    with drop_a.server.wire("strict") as w:
        capa = w.capa()
        assert "STLS" in capa and "USER" not in capa
        assert not {"PLAIN", "LOGIN"} & set(capa.get("SASL", []))
        w.err("USER bob")
        w.err("AUTH PLAIN " + plain_response("bob", "x").decode())
        w.err("STLS now")
        w.stls()
        inside = w.capa()
        assert "STLS" not in inside and "USER" in inside and "PLAIN" in inside["SASL"]
        w.err("STLS")
        w.ok("AUTH PLAIN " + plain_response(drop_a.name, drop_a.password).decode())
        after = w.capa()
        assert after["SASL"] == inside["SASL"] and set(inside) <= set(after)
        w.err("STLS")
        assert w.stat() == (3, 118)
        w.quit()


@pytest.mark.proves("R8314-S-08", "R1939-USER-08")
def test_refusal_says_nothing_about_the_password(drop_a):
    replies = set()
    for password in (drop_a.password, "wrong"):
        with drop_a.server.wire("strict") as w:
            w.send(f"USER {drop_a.name}\r\nPASS {password}\r\n".encode())
            a, b = w.status(), w.status()
            c = w.cmd("AUTH PLAIN " + plain_response(drop_a.name, password).decode())
            replies.add((a, b, c))
    assert len(replies) == 1 and all(x.startswith(b"-ERR") for x in replies.pop())


@pytest.mark.proves("R2595-STLS-05", "R2595-STLS-07", "X3.3", "N2", "N3", "C24")
@pytest.mark.parametrize("gap", (0, 0.05))
def test_command_injection(drop_a, gap):
    """Octets in plaintext behind STLS never run inside TLS, not even a whole login."""
    s = drop_a.server
    inject = f"USER {drop_a.name}\r\nPASS {drop_a.password}\r\nDELE 1\r\nQUIT\r\nCAPA\r\n".encode()
    with s.wire("plain") as w:
        if gap:
            w.send(b"STLS\r\n", inject, gap=gap)
        else:
            w.send(b"STLS\r\n" + inject)
        w.ok()
        assert w.buf == b""
        try:
            w.start_tls(client_context())
        except (ssl.SSLError, OSError):
            pass  # the connection may also be closed
        else:
            w.silent(0.3)
            w.err(f"PASS {drop_a.password}")
            w.err("STAT")
    assert len(drop_a.drop) == 3


@pytest.mark.proves("R2595-STLS-05")
def test_half_line_before_stls_is_void(drop_a):
    with drop_a.server.wire("plain") as w:
        w.send(b"STLS\r\nUSER " + drop_a.name.encode())
        w.ok()
        try:
            w.start_tls(client_context())
        except (ssl.SSLError, OSError):
            return
        w.send(b"\r\n")
        w.err()
        w.err(f"PASS {drop_a.password}")


@pytest.mark.proves("R2595-STLS-07", "N3")
def test_user_before_stls_is_forgotten(drop_a):
    with drop_a.server.wire("plain") as w:
        w.ok(f"USER {drop_a.name}")
        w.stls()
        w.silent(0.2)  # no second greeting
        w.err(f"PASS {drop_a.password}")
        w.login(drop_a.name, drop_a.password)


@pytest.mark.proves("R2595-STLS-08", "S-54")
@pytest.mark.parametrize("garbage", [
    b"CAPA\r\nNOOP\r\n" * 5, b"\x16\x03\x01\xff\xff" + b"x" * 200, b"\x80\x2e\x01\x00\x02" + b"\0" * 60, b"\0" * 3000,
], ids=["plaintext", "record", "sslv2", "zeros"])
@pytest.mark.parametrize("door", DOORS)
def test_failed_handshake_ends_it(server, door, garbage):
    with server.wire("strict" if door == "stls" else "tls", tls=None, greet=door == "stls") as w:
        if door == "stls":
            w.ok("STLS")
        w.send(garbage)
        got = w.eof(15)
        assert b"+OK" not in got and b"-ERR" not in got


@pytest.mark.proves("R8314-S-01")
def test_no_plaintext_at_implicit_tls(server):
    with server.wire("tls", tls=None, greet=False) as w:
        w.silent(0.7)
        w.send(b"CAPA\r\n")
        assert not w.eof(15).startswith((b"+OK", b"-ERR"))


@pytest.mark.proves("R2595-STLS-06", "R8314-S-02")
@pytest.mark.parametrize("door", DOORS)
def test_tls_is_no_login(server, door):
    with server.open(door) as w:
        w.err("STAT")
        w.in_step(False)


@pytest.mark.proves("R2595-STLS-10")
@pytest.mark.limit(90)
def test_stalled_handshakes(own_server):
    """300 half handshakes at once: others log in; all are closed at the limit, a trickle does not help."""
    s = own_server(conf={"tls.handshake": 3})
    box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    stalled = []
    for i in range(300):
        w = s.wire("strict" if i % 2 else "tls", tls=None, greet=bool(i % 2))
        if i % 2:
            w.ok("STLS")
        w.send(b"\x16\x03\x01\x02\x00\x01")
        stalled.append(w)
    begin = time.monotonic()
    with box.login("tls") as w:
        assert w.stat() == (3, 118)
        w.quit()
    assert time.monotonic() - begin < 2
    while time.monotonic() - begin < 2.0:
        for w in stalled[:20]:
            try:
                w.send(b"\0")
            except OSError:
                pass
        time.sleep(0.3)
    for w in stalled:
        w.eof(10)
        w.close()
    assert time.monotonic() - begin < 12


# --- the parameters --------------------------------------------------------------------------------------


@pytest.mark.proves("R8314-S-04", "R8314-S-06", "R9325-01")
@pytest.mark.parametrize("version", (V.TLSv1_2, V.TLSv1_3))
@pytest.mark.parametrize("door", DOORS)
def test_versions(server, pki, version, door):
    ctx = client_context(cafile=str(pki.ca.pem), lowest=version, highest=version)
    with server.wire("strict" if door == "stls" else "tls", tls=None if door == "stls" else ctx) as w:
        if door == "stls":
            w.stls(ctx)
        assert w.sock.version() == {V.TLSv1_2: "TLSv1.2", V.TLSv1_3: "TLSv1.3"}[version]
        w.in_step(False)


@pytest.mark.proves("R8314-S-05", "N22")
@pytest.mark.parametrize("flag", ("-tls1", "-tls1_1"))
def test_old_versions(server, flag):
    out = s_client(server, flag, "-cipher", "ALL:@SECLEVEL=0")
    assert "+OK" not in out and "alert protocol version" in out, out


@pytest.mark.proves("R9325-09", "R2595-STLS-18", "R9325-08")
@pytest.mark.parametrize("ciphers", ("NULL", "aNULL", "RC4", "3DES", "EXPORT", "MD5", "DSS", "kRSA", "LOW", "CBC"))
def test_weak_ciphers(server, ciphers):
    known = subprocess.run(
        ["openssl", "ciphers", "-tls1_2", f"{ciphers}:@SECLEVEL=0"], capture_output=True, text=True
    )
    names = ":".join(
        c for c in known.stdout.strip().split(":") if c and not c.startswith("TLS_")
    )
    if ciphers == "CBC":
        names = "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"
    if not names:
        return  # this OpenSSL does not know them at all: they cannot be negotiated
    out = s_client(server, "-tls1_2", "-cipher", f"{names}:@SECLEVEL=0")
    assert "+OK" not in out, out
    assert "handshake failure" in out or "no cipher match" in out, out


@pytest.mark.proves("R9325-08")
def test_no_compression(server):
    out = s_client(server, "-tls1_2", "-comp")
    assert "Compression: NONE" in out and "+OK" in out, out


@pytest.mark.proves("R9325-02", "R9325-03", "N25")
@pytest.mark.parametrize("door", DOORS)
def test_alpn(server, door):
    def handshake(alpn):
        ctx = client_context(alpn=alpn)
        if door == "stls":
            w = server.wire("strict")
            w.stls(ctx)
        else:
            w = server.wire("tls", tls=ctx)
        with w:
            w.in_step(False)
            return w.sock.selected_alpn_protocol()

    assert handshake(["pop3"]) == "pop3"
    assert handshake(["http/1.1", "pop3"]) == "pop3"
    assert handshake(None) is None
    for foreign in (["http/1.1"], ["imap", "h2"], ["pop"]):
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            handshake(foreign)


@pytest.mark.proves("R8314-S-11", "R9325-05", "C17")
def test_sni(own_server, pki):
    s = own_server(certificates={"b": pki.other})
    s.start()
    ctx = client_context(cafile=str(pki.ca.pem))

    def subject(sni, check=True):
        c = client_context(cafile=str(pki.ca.pem))
        c.check_hostname = check
        with s.wire("tls", tls=c, sni=sni) as w:
            return dict(x[0] for x in w.sock.getpeercert()["subject"])["commonName"]

    assert ctx.check_hostname
    assert subject("localhost") == "mail.example.org"
    assert subject("mail.example.org") == "mail.example.org"
    assert subject("b.example.org") == "b.example.org"
    assert subject("B.Example.ORG") == "b.example.org"
    assert subject("unknown.example.org", check=False) == "mail.example.org"
    assert subject(None, check=False) == "mail.example.org"
    s.conf["tls.strict_sni"] = True
    s.reload()
    assert subject("b.example.org") == "b.example.org"
    assert subject(None, check=False) == "mail.example.org"
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        subject("unknown.example.org", check=False)


@pytest.mark.proves("R8446-03", "R9325-07")
@pytest.mark.parametrize("version", (V.TLSv1_2, V.TLSv1_3))
def test_resumption(server, version):
    """Tickets resume at whichever front takes the connection; no early data is offered."""
    ctx = client_context(lowest=version, highest=version)
    with server.wire("tls", tls=ctx) as w:
        w.in_step(False)
        session = w.sock.session
        w.quit()
    assert session is not None and session.has_ticket
    resumed = 0
    for _ in range(8):
        raw = socket.create_connection(server.address("tls"), timeout=10)
        with ctx.wrap_socket(raw, server_hostname="localhost", session=session) as sock:
            resumed += sock.session_reused
            assert sock.recv(100).startswith(b"+OK")
            sock.sendall(b"CAPA\r\n")
            assert sock.recv(100).startswith(b"+OK")
    assert resumed == 8


@pytest.mark.proves("R9325-07")
def test_no_early_data(server):
    out = s_client(server, "-tls1_3", script=b"CAPA\r\nQUIT\r\n")
    for found in re.findall(r"Max Early Data: (\d+)", out):
        assert found == "0"
    assert "+OK" in out
    assert "Early data was accepted" not in out


@pytest.mark.proves("R9325-08", "R5929-03", "N22")
def test_no_renegotiation(drop_a):
    """TLS 1.2: asked for in the middle of AUTH. It does not happen; the server lives on."""
    w = OpensslWire(drop_a.server.address("tls"), version="1.2")
    w.challenge("AUTH PLAIN")
    before = w.unique()
    try:
        w.conn.renegotiate()
        w.sock.timeout = 3
        w.sock.handshake()
        w.send(plain_response(drop_a.name, drop_a.password) + b"\r\n")
        w.status()
    except (SSL.Error, TimeoutError, AssertionError):
        pass
    assert w.unique() == before or not w.conn.total_renegotiations()
    w.close()
    with drop_a.login_soon(how="tls") as again:
        assert again.stat() == (3, 118)


@pytest.mark.proves("R8446-03")
@pytest.mark.limit(90)
def test_key_update_in_retr(account):
    """openssl s_client asks for new keys again and again while a long message comes in: intact."""
    stored = b"Subject: x\n\n" + b"".join(b"%08d 0123456789abcdef\n" % i for i in range(800_000))
    box = account([stored])
    argv = ["openssl", "s_client", "-connect", "127.0.0.1:%d" % box.server.ports["tls"], "-tls1_3",
            "-crlf", "-brief"]
    p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        got = bytearray()

        def reader():
            while chunk := p.stdout.read1(1 << 20):
                got.extend(chunk)

        thread = threading.Thread(target=reader)
        thread.start()

        def say(text: str, wait: bytes | None = None):
            before = got.count(b"+OK")
            p.stdin.write(text.encode() + b"\n")
            p.stdin.flush()
            deadline = time.monotonic() + 10
            while wait and got.count(wait) <= before and time.monotonic() < deadline:
                time.sleep(0.01)

        time.sleep(0.3)
        # Lines that begin with Q, R, k, K are commands of s_client itself, so the commands are in lower case.
        say(f"user {box.name}", b"+OK")
        say(f"pass {box.password}", b"+OK")
        say("retr 1")
        for letter in "KkKkKkKK":
            say(letter)
            time.sleep(0.02)
        say("noop")
        say("quit")
        thread.join(60)
        p.wait(10)
    finally:
        p.kill()
        p.wait()
        p.stdin.close()
        p.stdout.close()
    body = wm.wire(stored) + b".\r\n"
    assert body in bytes(got), f"{len(got)} octets, not the message"


@pytest.mark.proves("R8446-03", "S-55")
def test_one_octet_records(drop_a):
    """Commands in records of one octet each."""
    with drop_a.server.wire("tls") as w:
        stream = f"USER {drop_a.name}\r\nPASS {drop_a.password}\r\nSTAT\r\nQUIT\r\n".encode()
        w.send(*[stream[i : i + 1] for i in range(len(stream))])
        w.ok()
        w.ok()
        assert w.ok() == wm.A_STAT
        w.ok()
        assert w.eof() == b""


@pytest.mark.proves("R8314-S-07")
@pytest.mark.parametrize("door", DOORS)
def test_log_has_tls_parameters(drop_a, door):
    s = drop_a.server
    with drop_a.login(door) as w:
        version, cipher = w.sock.version(), w.sock.cipher()[0]
        w.quit()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = [x for x in s.log().splitlines() if f'"{drop_a.name}"' in x or f"={drop_a.name} " in x]
        if any(version in x and cipher in x for x in lines):
            return
        time.sleep(0.05)
    pytest.fail(f"no record of {drop_a.name} with {version} and {cipher}: {lines}")


@pytest.mark.proves("R8314-S-04")
def test_minimum_13(own_server):
    s = own_server(conf={"tls.min": "1.3"})
    s.start()
    with s.wire("tls") as w:
        assert w.sock.version() == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        s.wire("tls", tls=client_context(highest=V.TLSv1_2))


# --- no certificate, a bad one, a new one ------------------------------------------------------------------


@pytest.mark.proves("R2595-STLS-09", "R2595-STLS-01", "R8314-S-06")
@pytest.mark.parametrize("broken", ("missing", "garbage", "other-key") + (() if srv.ROOT else ("unreadable",)))
def test_certificate_cannot_be_loaded(own_server, pki, broken):
    """STLS is not announced and fails with [SYS/PERM]; implicit TLS is not served; the rest works."""
    s = own_server(listen=("plain", "tls"))
    box = s.add_user("bob", wm.MAILDROP_A)
    if broken == "missing":
        s.certificate.unlink()
    elif broken == "garbage":
        s.key.write_text("this is no key\n")
    elif broken == "other-key":
        shutil.copyfile(pki.other[1], s.key)
    else:
        s.key.chmod(0)  # root can read everything: a case for ordinary users
    s.start()
    with s.wire("plain") as w:
        assert "STLS" not in w.capa()
        w.err("STLS", code="SYS/PERM")
        w.login("bob", box.password)
        assert w.stat() == (3, 118)
        w.quit()
    with pytest.raises((ssl.SSLError, OSError)):
        s.wire("tls")
    assert re.search(r"level=(error|warning)", s.log())


@pytest.mark.proves("R2595-STLS-01")
def test_no_tls_configured(own_server):
    s = own_server(listen={"plain": {"tls": "none", "trusted": ["127.0.0.0/8"]}},
                   conf={"tls.certificate": None, "tls.key": None})
    box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    with s.wire("plain") as w:
        assert "STLS" not in w.capa()
        w.err("STLS")
        w.login("bob", box.password)
        w.quit()


def subject_of(s) -> str:
    with s.wire("tls", tls=client_context(cafile=str(s.pki.ca.pem))) as w:
        return dict(x[0] for x in w.sock.getpeercert()["subject"])["commonName"]


@pytest.mark.proves("R8446-04")
@pytest.mark.parametrize("how", ("sighup", "by-itself"))
def test_certificate_reload(own_server, pki, how):
    """The new certificate for new connections; sessions go on; a bad one changes nothing."""
    s = own_server(conf={"tls.reload": 1 if how == "by-itself" else 0})
    box = s.add_user("bob", wm.MAILDROP_A)
    s.start()
    assert subject_of(s) == "mail.example.org"
    with box.login("tls") as old:
        s.install_certificate(pki.renewed)
        if how == "sighup":
            s.reload()
        deadline = time.monotonic() + 8
        while subject_of(s) != "renewed.example.org":
            assert time.monotonic() < deadline, s.log()[-1500:]
            time.sleep(0.1)
        assert old.retr(1) == wm.plain(wm.MAILDROP_A[0])
        # A key that does not belong to the certificate.
        s.key.write_bytes(b"-----BEGIN NOTHING-----\n")
        if how == "sighup":
            s.proc.send_signal(signal.SIGHUP)
        s.wait_event("certificate-refused", seconds=8)
        assert subject_of(s) == "renewed.example.org"
        old.ok("DELE 1")
        old.quit()
    assert len(box.drop) == 2


# --- client certificates -----------------------------------------------------------------------------------


@pytest.mark.proves("R8314-S-09")
def test_no_certificate_request_by_default(server):
    for args in (("-tls1_3",), ("-tls1_2",)):
        out = s_client(server, "-msg", *args)
        assert "CertificateRequest" not in out and "+OK" in out


@pytest.fixture(scope="module")
def certified(pki):
    revoked = pki.client("revoked", "bob@example.org")
    s = srv.Server(
        pki,
        start=False,
        conf={
            "tls.client_ca": str(pki.clients.pem),
            "tls.client_crl": pki.clients.revoke("clients", [revoked[0]]),
        },
    )
    s.revoked = revoked
    s.expired = pki.client("expired", "bob@example.org", start=-20, days=-5)
    s.unmapped = pki.client("unmapped", "nobody@example.org")
    s.nameless = pki.client("nameless", None)
    s.bob = s.add_user("bob", wm.MAILDROP_A, extra="cert=bob@example.org")
    s.alice = s.add_user("alice", wm.MAILDROP_A)
    s.start()
    with s:
        yield s


@pytest.mark.proves("R8314-S-02", "R8314-S-10", "R4422-EXT-01", "R4422-EXT-03", "R4422-EXT-04", "R5034-07",
                    "R2595-STLS-06", "R5034-01")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("version", (V.TLSv1_2, V.TLSv1_3))
@pytest.mark.parametrize("how", ("empty", "authzid", "two-step"))
def test_external(certified, pki, door, version, how):
    ctx = client_context(cert=pki.bob, lowest=version, highest=version)
    s = certified
    with s.wire("strict" if door == "stls" else "tls", tls=None if door == "stls" else ctx) as w:
        if door == "stls":
            w.stls(ctx)
        w.err("STAT")
        assert "EXTERNAL" in w.capa()["SASL"]
        if how == "empty":
            w.ok("AUTH EXTERNAL =")
        elif how == "authzid":
            w.ok("AUTH EXTERNAL Ym9i")
        else:
            assert w.challenge("AUTH EXTERNAL") == b""
            w.ok("")
        assert w.stat() == (3, 118)
        w.quit()


@pytest.mark.proves("R4422-EXT-02", "R4422-EXT-03", "R4422-EXT-04", "S-49")
@pytest.mark.parametrize("which", ("none", "stranger", "expired", "revoked", "unmapped", "nameless"))
@pytest.mark.parametrize("door", DOORS)
def test_external_refused(certified, pki, which, door):
    """Without a certificate that verifies and maps EXTERNAL is not there or fails; passwords still work."""
    s = certified
    pair = {"none": None, "stranger": pki.stranger}.get(which) or getattr(s, which, None)
    ctx = client_context(cert=pair)
    try:
        w = s.wire("strict" if door == "stls" else "tls", tls=None if door == "stls" else ctx)
        if door == "stls":
            w.stls(ctx)
            w.capa()
    except (ssl.SSLError, ConnectionError):
        assert which != "none", "a certificate is never demanded"
        return
    with w:
        offered = "EXTERNAL" in w.capa()["SASL"]
        assert not offered or which in ("unmapped", "nameless")
        w.err("AUTH EXTERNAL =")
        w.err("AUTH EXTERNAL Ym9i")
        w.login("bob", s.bob.password)
        w.quit()


@pytest.mark.proves("R4422-EXT-02", "R4422-03")
def test_external_for_another(certified, pki):
    with certified.wire("tls", tls=client_context(cert=pki.bob)) as w:
        w.err("AUTH EXTERNAL YWxpY2U=", code="AUTH")
        w.err("AUTH EXTERNAL AAEC")
        w.ok("AUTH EXTERNAL =")


# --- segments ----------------------------------------------------------------------------------------------


def data_segments(sock: socket.socket) -> int:
    """Segments with data that have arrived (tcpi_data_segs_in)."""
    return int.from_bytes(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)[152:156], "little")


def segments_of_quit(w) -> tuple[int, int]:
    """Up to the answer before QUIT, and from QUIT to the end."""
    w.multi("CAPA")
    before = data_segments(w.sock)
    w.ok("QUIT")
    assert w.eof() == b""
    return before, data_segments(w.sock) - before


@pytest.mark.parametrize("version", (None, V.TLSv1_2, V.TLSv1_3))
def test_last_octets_leave_together(server, version):
    """The reply to QUIT, close_notify and the end are one segment; the greeting travels with the server's last octets
    of the handshake. An acknowledgement that comes between two writes parts them: it need not be so every time."""
    ctx = client_context(lowest=version, highest=version) if version else None
    together = (3 if version else 2, 1)
    seen = []
    while together not in seen and len(seen) < 30:
        with server.wire("tls" if version else "plain", tls=ctx) as w:
            seen.append(segments_of_quit(w))
    assert together in seen, seen


# --- floods ------------------------------------------------------------------------------------------------


@pytest.mark.proves("R2595-STLS-10", "S-56")
@pytest.mark.parametrize("opening", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-x\r\n", b"EHLO x\r\n", b"a1 LOGIN bob x\r\n", b"*1\r\n$4\r\nPING\r\n",
], ids=["http", "ssh", "smtp", "imap", "redis"])
def test_other_protocols(server, opening):
    for listener in ("plain", "tls"):
        with server.wire(listener, tls=None, greet=listener == "plain") as w:
            w.send(opening)
            time.sleep(0.1)
            try:
                w.fin()
            except OSError:
                pass  # closed already
            got = w.eof(15)
            assert b"+OK" not in got
    with server.wire() as w:
        w.in_step(False)


@pytest.mark.proves("R9266-02", "R7677-01", "R8446-03")
def test_without_extended_master_secret(server):
    """TLS 1.2 without it: the session works."""
    w = OpensslWire(server.address("tls"), version="1.2", options=NO_EXTENDED_MASTER_SECRET)
    w.in_step(False)
    w.close()
