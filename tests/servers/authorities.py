# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorities of every kind, good and bad, made in memory; and an HTTPS server with a leaf of one.

`tls` makes what a server needs by the openssl command; here are those that no sound authority would make.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @property
    def key_pem(self) -> str:
        return self._key_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_der(self) -> bytes:
        return self._key_bytes(serialization.Encoding.DER)

    def _key_bytes(self, encoding: serialization.Encoding) -> bytes:
        return self.key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def leaf(self, *names: str) -> Made:
        """A server's certificate by this authority, for names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names or ("localhost", "127.0.0.1")])
        builder = _builder("leaf", self.certificate.subject, key, -1, 1).add_extension(alternatives, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return Made(builder.add_extension(identifier, critical=False).sign(self.key, hashes.SHA256()), key)


def authority(
    name: str = "Test CA",
    *,
    first_day: float = -1,
    last_day: float = 30,
    ca: bool | None = True,
    critical: bool = True,
    may_sign: bool | None = True,
    key: ec.EllipticCurvePrivateKey | None = None,
    identifier: bool = True,
) -> Made:
    """A self-signed certificate; days count from now, None leaves the extension out."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, None, key, first_day, last_day)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=critical)
    if may_sign is not None:
        usage = x509.KeyUsage(True, False, False, False, False, may_sign, may_sign, False, False)
        builder = builder.add_extension(usage, critical=True)
    if identifier:
        mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(mark, critical=False)
    return Made(builder.sign(key, hashes.SHA256()), key)


def _builder(
    name: str, issuer: x509.Name | None, key: ec.EllipticCurvePrivateKey, first_day: float, last_day: float
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC).replace(microsecond=0)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    return builder.not_valid_before(now + timedelta(days=first_day)).not_valid_after(now + timedelta(days=last_day))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@contextlib.contextmanager
def https_server(leaf: Made, files: Mapping[str, bytes] | None = None) -> Iterator[int]:
    """Serve files by path (and a greeting at /) on loopback with that certificate; the port."""
    served = {"/": b"hello\n", **(files or {})}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = served.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "leaf.pem")
        path.write_text(leaf.pem + leaf.key_pem)
        context.load_cert_chain(path)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: object, client_address: object) -> None:
            # The handshake in the request's own thread: a client that refuses must not end the server.
            with contextlib.suppress(OSError):
                wrapped = context.wrap_socket(request, server_side=True)  # type: ignore[arg-type]
                with wrapped:
                    Handler(wrapped, client_address, self)

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(5)
