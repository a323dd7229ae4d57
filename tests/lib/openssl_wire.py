"""A Wire on pyOpenSSL: for what Python's ssl module hides (exporters, Finished, renegotiation, options)."""

from __future__ import annotations

import select
import socket
import time

from OpenSSL import SSL
from wire import TIMEOUT, Wire

NO_EXTENDED_MASTER_SECRET = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET: bit 0
VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


class _Socket:
    """What Wire needs of a socket, over a pyOpenSSL connection."""

    def __init__(self, conn: SSL.Connection, raw: socket.socket):
        self.conn, self.raw = conn, raw
        self.timeout = TIMEOUT

    def settimeout(self, seconds):
        self.timeout = seconds

    def _wait(self, call, *args):
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                return call(*args)
            except SSL.WantReadError:
                want = ([self.raw], [])
            except SSL.WantWriteError:
                want = ([], [self.raw])
            left = deadline - time.monotonic()
            if left <= 0 or not any(select.select(want[0], want[1], [], left)[:2]):
                raise TimeoutError("no octets")

    def handshake(self):
        self._wait(self.conn.do_handshake)

    def recv(self, count: int) -> bytes:
        try:
            return self._wait(self.conn.recv, count)
        except SSL.ZeroReturnError:
            return b""

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[self._wait(self.conn.send, data) :]

    def close(self):
        self.raw.close()


class OpensslWire(Wire):
    """Implicit TLS at once, or STLS first."""

    def __init__(
        self,
        address,
        *,
        stls: bool = False,
        version: str | None = None,
        options: int = 0,
        alpn: list[bytes] | None = None,
        session=None,
        cert: tuple[str, str] | None = None,
    ):
        raw = socket.create_connection(address, timeout=TIMEOUT)
        self.timeout, self.buf, self.pending = TIMEOUT, b"", bytearray()
        self.sock, self.lang = raw, False
        if stls:
            self.greeting = self.status()
            self.ok("STLS")
        ctx = SSL.Context(SSL.TLS_METHOD)
        ctx.set_verify(SSL.VERIFY_NONE, lambda *a: True)
        ctx.set_options(options)
        if version:
            ctx.set_min_proto_version(VERSIONS[version])
            ctx.set_max_proto_version(VERSIONS[version])
        if alpn:
            ctx.set_alpn_protos(alpn)
        if cert:
            ctx.use_certificate_file(cert[0])
            ctx.use_privatekey_file(cert[1])
        raw.setblocking(False)
        self.conn = SSL.Connection(ctx, raw)
        if session is not None:
            self.conn.set_session(session)
        self.conn.set_tlsext_host_name(b"localhost")
        self.conn.set_connect_state()
        self.sock = _Socket(self.conn, raw)
        self.sock.handshake()
        if not stls:
            self.greeting = self.status()

    def exporter(self) -> bytes:
        """tls-exporter, RFC 9266."""
        return self.conn.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")

    def unique(self, resumed: bool = False) -> bytes:
        """tls-unique, RFC 5929: the first Finished of the handshake."""
        return self.conn.get_peer_finished() if resumed else self.conn.get_finished()

    def end_point(self) -> bytes:
        """tls-server-end-point for the SHA-256 family."""
        import hashlib

        from OpenSSL import crypto

        der = crypto.dump_certificate(crypto.FILETYPE_ASN1, self.conn.get_peer_certificate())
        return hashlib.sha256(der).digest()
