"""Certificates of tests' own, for servers on loopback and their clients."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey


def self_signed(file: Path, name: str = "localhost") -> Path:
    """Write key and certificate of ``name`` into one PEM file; whoever trusts the file trusts the server."""
    key = _key()
    host = x509.SubjectAlternativeName([x509.DNSName(name)])
    certificate = _certificate(name, key, name, key, host, x509.BasicConstraints(ca=True, path_length=0))
    file.write_bytes(_private(key) + certificate)
    return file


class Authority:
    """Signs certificates and writes them into a folder, each as ``NAME.pem`` with its key in ``NAME.key``.

    Parameters
    ----------
    folder
        Gets ``ca.pem`` at once.
    """

    _NAME = "test authority"

    def __init__(self, folder: Path) -> None:
        self._folder, self._key = folder, _key()
        self.ca = folder / "ca.pem"
        own = x509.BasicConstraints(ca=True, path_length=None)
        self.ca.write_bytes(_certificate(self._NAME, self._key, self._NAME, self._key, own))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of a host on loopback, or of a client."""
        key = _key()
        hosts = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
        paths = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        paths[0].write_bytes(_certificate(name, key, self._NAME, self._key, hosts))
        paths[1].write_bytes(_private(key))
        return paths


def _key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _private(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(subject: str, key: Key, issuer: str, signer: Key, *extensions: x509.ExtensionType) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
