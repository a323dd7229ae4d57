"""Keys and certificates for the tests, made anew for every run: nothing here is a secret of anyone."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def _name(cn: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def _pem_key(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class Authority:
    """A certificate authority that lives as long as the test run."""

    def __init__(self, folder: Path, name: str):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = _name(name)
        now = datetime.datetime.utcnow()
        self.cert = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(self.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.KeyUsage(False, False, False, False, False, True, True, False, False),
                critical=True,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        self.pem = folder / f"{name}.pem"
        self.pem.write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        file: str,
        cn: str,
        *,
        dns: list[str] = (),
        ips: list[str] = (),
        emails: list[str] = (),
        client: bool = False,
        key: str = "ec256",
        digest: hashes.HashAlgorithm | None = None,
        start: float = -1,
        days: float = 30,
    ) -> tuple[str, str]:
        """A certificate with its key as PEM files; returns their paths. start, days: from today."""
        secret = {
            "ec256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "rsa": lambda: rsa.generate_private_key(65537, 2048),
            "ed25519": ed25519.Ed25519PrivateKey.generate,
        }[key]()
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(cn))
            .issuer_name(self.subject)
            .public_key(secret.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + start * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH]
                ),
                critical=False,
            )
        )
        names: list[x509.GeneralName] = [x509.DNSName(d) for d in dns]
        names += [x509.IPAddress(ipaddress.ip_address(i)) for i in ips]
        names += [x509.RFC822Name(e) for e in emails]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        cert = builder.sign(self.key, digest or hashes.SHA256())
        crt, pem = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        crt.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        pem.write_bytes(_pem_key(secret))
        pem.chmod(0o600)
        return str(crt), str(pem)

    def revoke(self, file: str, certs: list[str]) -> str:
        """A CRL that names these certificates (paths)."""
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.subject)
            .last_update(now - DAY)
            .next_update(now + 30 * DAY)
        )
        for path in certs:
            cert = x509.load_pem_x509_certificate(Path(path).read_bytes())
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(cert.serial_number)
                .revocation_date(now - DAY)
                .build()
            )
        crl = builder.sign(self.key, hashes.SHA256())
        path = self.folder / f"{file}.crl"
        path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
        return str(path)


class Pki:
    """What the servers of a run share. Paths only: the files are read by the server and the clients."""

    def __init__(self, folder: Path):
        folder.mkdir(mode=0o755, exist_ok=True)
        self.folder = folder
        self.ca = Authority(folder, "ca")
        self.clients = Authority(folder, "client-ca")
        self.strangers = Authority(folder, "stranger-ca")
        here = {"dns": ["localhost", "mail.example.org"], "ips": ["127.0.0.1", "::1"]}
        self.server = self.ca.issue("server", "mail.example.org", **here)
        self.renewed = self.ca.issue("renewed", "renewed.example.org", **here)
        self.other = self.ca.issue("other", "b.example.org", dns=["b.example.org"])
        self.bob = self.clients.issue(
            "bob", "Bob", emails=["bob@example.org"], client=True
        )
        self.stranger = self.strangers.issue(
            "stranger", "Bob", emails=["bob@example.org"], client=True
        )

    def client(self, file: str, email: str | None, **how) -> tuple[str, str]:
        return self.clients.issue(
            file, file, emails=[email] if email else [], client=True, **how
        )
