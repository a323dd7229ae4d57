"""A SCRAM client (RFC 5802, RFC 7677) that can also do it wrong on purpose."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from wire import Wire


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


class Scram:
    """mech: "SCRAM-SHA-1" or "SCRAM-SHA-256", "-PLUS" behind it with a binding (type, data).

    gs2: the flag, else "n" without and "p=type" with a binding. raw_name: the name attribute as sent."""

    def __init__(
        self,
        mech: str,
        user: str,
        password: str,
        *,
        binding: tuple[str, bytes] | None = None,
        gs2: str | None = None,
        authzid: str = "",
        raw_name: bytes | None = None,
        extra_first: bytes = b"",
        nonce: bytes | None = None,
    ):
        self.mech = mech
        self.hash = "sha256" if "256" in mech else "sha1"
        self.password = password.encode()
        flag = gs2 if gs2 is not None else (f"p={binding[0]}" if binding else "n")
        self.header = f"{flag},{'a=' + authzid if authzid else ''},".encode()
        self.binding = binding[1] if binding else b""
        name = raw_name if raw_name is not None else (
            user.replace("=", "=3D").replace(",", "=2C").encode()
        )
        self.nonce = nonce if nonce is not None else b64(os.urandom(18))
        self.bare = b"n=" + name + b",r=" + self.nonce + extra_first
        self.channel = self.header + self.binding
        self.change = lambda final: final
        self.iterations = 0
        self.salt = b""

    def first(self) -> bytes:
        return self.header + self.bare

    def final(self, server_first: bytes) -> bytes:
        attrs = dict(p.split(b"=", 1) for p in server_first.split(b","))
        assert attrs[b"r"].startswith(self.nonce) and len(attrs[b"r"]) > len(self.nonce)
        self.server_nonce = attrs[b"r"][len(self.nonce) :]
        self.salt = base64.b64decode(attrs[b"s"], validate=True)
        self.iterations = int(attrs[b"i"])
        assert not attrs[b"i"].startswith(b"0")
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, self.salt, self.iterations)
        key = hmac.digest(salted, b"Client Key", self.hash)
        stored = hashlib.new(self.hash, key).digest()
        bare = b"c=" + b64(self.channel) + b",r=" + attrs[b"r"]
        bare = self.change(bare)
        auth = self.bare + b"," + server_first + b"," + bare
        proof = bytes(a ^ b for a, b in zip(key, hmac.digest(stored, auth, self.hash)))
        server_key = hmac.digest(salted, b"Server Key", self.hash)
        self.signature = hmac.digest(server_key, auth, self.hash)
        return bare + b",p=" + b64(proof)

    def check(self, server_final: bytes) -> None:
        assert server_final == b"v=" + b64(self.signature), server_final

    def run(self, w: Wire, initial: bool = True) -> bytes:
        """The whole exchange; the status line that ends it. An -ERR ends it wherever it comes."""
        if initial:
            w.send(b"AUTH " + self.mech.encode() + b" " + b64(self.first()) + b"\r\n")
        else:
            assert w.challenge(f"AUTH {self.mech}") == b""
            w.send(b64(self.first()) + b"\r\n")
        for answer in (self.final, lambda final: self.check(final) or b""):
            line = w.raw_line()
            if not line.startswith(b"+ "):
                assert line.startswith(b"-ERR"), line
                return line[:-2]
            w.send(b64(answer(base64.b64decode(line[2:-2], validate=True))) + b"\r\n")
        return w.status()


def keys(hash_name: str, password: str, salt: bytes, iterations: int) -> str:
    """What a server stores: iterations,salt,StoredKey,ServerKey."""
    salted = hashlib.pbkdf2_hmac(hash_name, password.encode(), salt, iterations)
    stored = hashlib.new(hash_name, hmac.digest(salted, b"Client Key", hash_name)).digest()
    server = hmac.digest(salted, b"Server Key", hash_name)
    return f"{iterations},{b64(salt).decode()},{b64(stored).decode()},{b64(server).decode()}"
