# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One connection to a directory: opened, protected, bound, and asked one request at a time or many at once.

ldap3 makes the requests; reading is done here, under one deadline for each answer. No error holds a password.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
import traceback
from dataclasses import dataclass, field
from typing import Any, List, Optional, Sequence, Tuple
from urllib.parse import unquote, urlsplit

from .._errors import SourceError
from .._roster.text import shown
from .ldap_ber import DecodeError, Decoder, Notice, Response, message_length
from .ldap_codes import refusal

try:
    from ldap3 import ANONYMOUS, SASL, SIMPLE
    from ldap3.core.exceptions import LDAPExceptionError
    from ldap3.operation.bind import bind_operation
    from ldap3.operation.extended import extended_operation
    from ldap3.operation.unbind import unbind_operation
    from ldap3.protocol.convert import build_controls_list
    from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
    from ldap3.utils.asn1 import encode  # type: ignore[attr-defined]

    LDAP3_IMPORT_ERROR: Optional[str] = None
except ImportError:
    LDAP3_IMPORT_ERROR = traceback.format_exc()

SIMPLE_BIND = "simple"
EXTERNAL_BIND = "external"
ANONYMOUS_BIND = "anonymous"

_START_TLS = "1.3.6.1.4.1.1466.20037"
_PORTS = {"ldap": 389, "ldaps": 636}
_PIECE = 256 * 1024


@dataclass(frozen=True)
class Address:
    """Where a directory is. ``tls``: from the first byte on."""

    host: str
    port: int
    tls: bool

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldaps' if self.tls else 'ldap'}://{host}:{self.port}"


@dataclass(frozen=True)
class ConnectionSettings:
    """The module's options of the same names. ``start_tls`` None: for ldap:// unless clear text is allowed."""

    server_url: Sequence[str]
    start_tls: Optional[bool] = None
    allow_plaintext: bool = False
    validate_certs: bool = True
    ca_path: Optional[str] = None
    client_cert: Optional[str] = None
    client_key: Optional[str] = None
    bind_method: str = ANONYMOUS_BIND
    bind_dn: Optional[str] = None
    bind_password: Optional[str] = field(default=None, repr=False)
    timeout: int = 30

    def addresses(self) -> List[Address]:
        """Where to ask, in order. Raises SourceError when an option can't be meant so."""
        if self.timeout < 1:
            raise SourceError("timeout must be 1 second or more")
        addresses = [_address(url) for url in self.server_url]
        if not addresses:
            raise SourceError("server_url is empty: give one or more addresses, such as ldaps://ldap.example.org")
        for address in addresses:
            if address.tls and self.start_tls:
                raise SourceError(f"start_tls is for ldap:// addresses, and {address.url} is protected by itself")
            if not (address.tls or self.allow_plaintext or self.starts_tls(address)):
                raise SourceError(
                    f"start_tls=false with {address.url} would send passwords and people in clear text: use ldaps://, "
                    "leave start_tls out, or set allow_plaintext=true if nobody can listen"
                )
        self._check_bind(addresses)
        return addresses

    def starts_tls(self, address: Address) -> bool:
        wanted = not self.allow_plaintext if self.start_tls is None else self.start_tls
        return wanted and not address.tls

    def _check_bind(self, addresses: Sequence[Address]) -> None:
        if self.bind_method == SIMPLE_BIND:
            if not self.bind_dn:
                raise SourceError("bind_dn is missing: name the account to read with, or choose another bind_method")
            if not self.bind_password:
                # A server takes a bind without password for an anonymous one, and then shows less than there is.
                raise SourceError(
                    "bind_password is missing or empty: give it, bind_password_file, or the environment variable "
                    "IDENTITY_ROSTER_BIND_PASSWORD"
                )
        elif self.bind_dn or self.bind_password:
            raise SourceError(f"bind_dn and bind_password are not for bind_method={self.bind_method}")
        if self.bind_method == EXTERNAL_BIND:
            if not self.client_cert:
                raise SourceError("bind_method=external needs client_cert: the directory knows the account by it")
            for address in addresses:
                if not (address.tls or self.starts_tls(address)):
                    raise SourceError(f"bind_method=external needs TLS, and {address.url} is in clear text")


def _address(url: str) -> Address:
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in _PORTS:
        raise SourceError(f"server_url {shown(url)!r} can't be used: one looks like ldaps://ldap.example.org")
    if "@" in parts.netloc or parts.query or parts.path.strip("/"):
        raise SourceError("server_url holds more than an address: use base_dn, filter, bind_dn for the rest")
    return Address(unquote(host), port or _PORTS[parts.scheme], parts.scheme == "ldaps")


def open_connection(settings: ConnectionSettings) -> Connection:
    """A bound connection to the first address that answers. Raises SourceError.

    Only an address that can't be reached is passed over: a refused password or certificate is told at once.
    """
    context = _tls_context(settings)
    unreachable = []
    for address in settings.addresses():
        try:
            plain = socket.create_connection((address.host, address.port), settings.timeout)
        except (OSError, UnicodeError) as problem:
            unreachable.append(f"{address.url} can't be reached: {_words(problem)}")
            continue
        connection = Connection(plain, address, settings.timeout)
        try:
            if address.tls:
                connection.protect(context)
            elif settings.starts_tls(address):
                connection.start_tls(context)
            connection.bind(settings)
        except BaseException:
            connection.close()
            raise
        return connection
    raise SourceError(f"{'; '.join(unreachable)}. Look at server_url, and whether the directory runs")


def _tls_context(settings: ConnectionSettings) -> ssl.SSLContext:
    ca = settings.ca_path
    try:
        is_folder = ca is not None and os.path.isdir(ca)
        context = ssl.create_default_context(cafile=None if is_folder else ca, capath=ca if is_folder else None)
    except ssl.SSLError:
        raise SourceError(f"ca_path {ca} holds no certificate in PEM form") from None
    except OSError as problem:
        raise SourceError(f"ca_path {ca} can't be read: {problem.strerror}") from None
    if not settings.validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert:
        try:
            context.load_cert_chain(settings.client_cert, settings.client_key, password=_no_passphrase)
        except ssl.SSLError:
            raise SourceError(
                "client_cert and client_key are not a certificate and its key, without passphrase"
            ) from None
        except OSError as problem:
            raise SourceError(f"client_cert or client_key can't be read: {problem.strerror}") from None
    return context


def _no_passphrase() -> str:
    # Without this OpenSSL would ask for it on the terminal, and wait.
    return ""


def _words(problem: BaseException) -> str:
    """The system's or OpenSSL's own words, which hold nothing of ours."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return problem.verify_message.rstrip(".")
    if isinstance(problem, ssl.SSLError) and problem.reason:
        return str(problem.reason).lower().replace("_", " ")
    if isinstance(problem, socket.gaierror):
        return "the host name is not known"
    if isinstance(problem, socket.timeout):
        return "it took longer than timeout allows"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    return "the connection was closed"


class Connection:
    """Requests and their answers. What fails raises SourceError and says at which address."""

    def __init__(self, plain: socket.socket, address: Address, timeout: float) -> None:
        self.url = address.url
        self._host = address.host
        self._socket = plain
        self._timeout = timeout
        self._decoder = Decoder()
        self._buffer = b""
        self._position = 0
        self._last = 0
        self._deadline = 0.0

    def close(self) -> None:
        try:
            self._socket.settimeout(1)
            self._send("unbindRequest", unbind_operation(), None)  # type: ignore[no-untyped-call]
        except (OSError, SourceError):
            pass
        finally:
            self._socket.close()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Ask for TLS, and accept nothing else."""
        answer = self._exchange("extendedReq", extended_operation(_START_TLS))
        if answer.code != 0:
            said = f": {shown(answer.message, 200)}" if answer.message else ""
            raise SourceError(
                f"the directory at {self.url} refuses StartTLS (result {answer.code}{said}), so nothing was sent. "
                "Something in between may have removed it; use ldaps:// if the directory does not offer it"
            )
        if self._position < len(self._buffer):
            # Bytes in clear text that would be read as if they had come protected.
            raise SourceError(
                f"the directory at {self.url} went on in clear text after StartTLS: something is in between"
            )
        self.protect(context)

    def protect(self, context: ssl.SSLContext) -> None:
        """TLS from here on, with the certificate checked as ``context`` says."""
        try:
            self._socket.settimeout(self._timeout)
            self._socket = context.wrap_socket(self._socket, server_hostname=self._host)
        except (OSError, ValueError) as problem:
            if isinstance(problem, ssl.SSLError):
                raise SourceError(
                    f"the directory at {self.url} is not protected by a certificate to trust: {_words(problem)}. "
                    "Give the authority's certificate as ca_path, and use the host name that the certificate names"
                ) from None
            raise SourceError(f"the directory at {self.url} ended TLS before it began: {_words(problem)}") from None

    def bind(self, settings: ConnectionSettings) -> None:
        """Log in."""
        method = settings.bind_method
        try:
            if method == SIMPLE_BIND:
                request = bind_operation(3, SIMPLE, settings.bind_dn or "", settings.bind_password, auto_encode=True)
            elif method == EXTERNAL_BIND:
                # An empty identity: the one that the certificate names.
                request = bind_operation(3, SASL, "", None, "EXTERNAL", b"")
            else:
                request = bind_operation(3, ANONYMOUS, "")
        except LDAPExceptionError:
            raise SourceError("bind_dn or bind_password holds characters that no directory takes") from None
        answer = self._exchange("bindRequest", request)
        if answer.code != 0:
            raise SourceError(refusal(f"the directory at {self.url} refuses the login", answer))

    def send(self, kind: str, request: Any, controls: Optional[Sequence[Any]] = None) -> int:
        """Send a request, and let the time for its answer begin; its number."""
        self._begin()
        return self._send(kind, request, controls)

    def receive(self) -> Tuple[int, Response]:
        """The next message of an answer, with the number of its request."""
        while True:
            try:
                number, response = self._decoder.decode(self._message())
            except DecodeError as problem:
                raise SourceError(f"the directory at {self.url} sends what is no LDAP: {problem}") from None
            if isinstance(response, Notice):
                raise SourceError(refusal(f"the directory at {self.url} ended the connection", response))
            if response is not None:
                return number, response

    def renew(self) -> None:
        """Let the time for an answer begin anew."""
        self._begin()

    def _begin(self) -> None:
        self._deadline = time.monotonic() + self._timeout

    def _exchange(self, kind: str, request: Any) -> Any:
        number = self.send(kind, request)
        answered, response = self.receive()
        if answered != number or not hasattr(response, "code"):
            raise SourceError(f"the directory at {self.url} answers what was not asked")
        return response

    def _send(self, kind: str, request: Any, controls: Optional[Sequence[Any]]) -> int:
        self._last += 1
        message = LDAPMessage()
        message["messageID"] = MessageID(self._last)
        message["protocolOp"] = ProtocolOp().setComponentByName(kind, request)
        built = build_controls_list(list(controls or ()))
        if built is not None:
            message["controls"] = built
        try:
            self._socket.sendall(encode(message))
        except OSError as problem:
            raise self._lost(problem) from None
        return self._last

    def _message(self) -> bytes:
        while True:
            length = message_length(self._buffer, self._position)
            if length is not None and len(self._buffer) - self._position >= length:
                begin, self._position = self._position, self._position + length
                return self._buffer[begin : self._position]
            self._buffer = self._buffer[self._position :] + self._piece()
            self._position = 0

    def _piece(self) -> bytes:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._lost(socket.timeout())
        try:
            self._socket.settimeout(left)
            piece = self._socket.recv(_PIECE)
        except OSError as problem:
            raise self._lost(problem) from None
        if not piece:
            raise self._lost(EOFError())
        return piece

    def _lost(self, problem: BaseException) -> SourceError:
        if isinstance(problem, socket.timeout):
            return SourceError(
                f"the directory at {self.url} did not answer in full within {self._timeout:g} seconds: "
                "look after the server, raise timeout, or lower page_size"
            )
        return SourceError(f"the directory at {self.url} broke off before the end of its answer: {_words(problem)}")
