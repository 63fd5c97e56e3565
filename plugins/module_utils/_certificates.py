# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which certificates may be given to a host as authorities to trust. Runs on the controller, does no I/O.

Nothing that comes in here is believed, and nothing of it is shown but what a certificate says of itself: somebody may
have named the key's file instead of the certificate's.
"""

from __future__ import annotations

import re
import traceback
import warnings
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, List, Mapping, Optional, Tuple

from ._errors import RosterError
from ._linux.ca_store import certificates_in, fingerprint_of, name_problem, pem_of

try:
    from cryptography import x509

    CRYPTOGRAPHY_IMPORT_ERROR: Optional[str] = None
except ImportError:
    CRYPTOGRAPHY_IMPORT_ERROR = traceback.format_exc()

SOURCES = ("src", "content", "url")
_KEYS = ("name", "sha256", *SOURCES)
_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_PRIVATE = re.compile(rb"PRIVATE KEY-----")
_PIN = re.compile(
    r"(?:.*(?:fingerprint\s*=|sha-?256\s*[:=]))?\s*((?:[0-9a-f]{2}[:\s]?){31}[0-9a-f]{2})\s*", re.IGNORECASE
)


class CertificateError(RosterError):
    """A certificate that can't be used. ``field`` is the option at fault."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Record:
    """One entry of the option ``certificates``: ``source`` is src, content or url, ``pin`` in lower case hex."""

    name: str
    source: str
    value: str = field(repr=False)
    pin: Optional[str] = None


@dataclass(frozen=True)
class Certificate:
    """A certificate that may be installed. ``notes`` say who will not take it all the same."""

    name: str
    fingerprint: str
    pem: str = field(repr=False)
    notes: Tuple[str, ...] = ()


def read_record(entry: Any) -> Record:
    """Raises CertificateError."""
    if not isinstance(entry, Mapping):
        raise CertificateError("is not a mapping of name and one of src, content and url", "name")
    given = {str(key): value for key, value in entry.items() if value is not None}
    name = given.get("name")
    if not isinstance(name, str) or name_problem(name):
        raise CertificateError(f"the name {name_problem(str(name)) or 'is not a text'}", "name")
    unknown = sorted(set(given) - set(_KEYS))
    if unknown:
        raise CertificateError(f"{unknown[0]} is not a key here; these are: {', '.join(_KEYS)}", unknown[0])
    sources = [source for source in SOURCES if source in given]
    if len(sources) != 1:
        raise CertificateError(f"exactly one of src, content and url is needed, not {len(sources)}", "src")
    source = sources[0]
    if not isinstance(given[source], str) or not given[source].strip():
        raise CertificateError(f"{source} is empty or not a text", source)
    pin = read_pin(given["sha256"]) if "sha256" in given else None
    if source == "url" and pin is None:
        raise CertificateError(
            "url needs sha256: without the certificate's SHA-256 anybody on the way could send another one. Ask the "
            "owner for it by another way, or run openssl x509 -noout -fingerprint -sha256 where the file is safe",
            "sha256",
        )
    return Record(name, source, given[source], pin)


def read_pin(text: Any) -> str:
    """A SHA-256 as people write it: hex of any case, with colons or blanks, also as openssl prints it."""
    found = _PIN.fullmatch(text.strip()) if isinstance(text, str) and len(text) < 200 else None
    if found is None:
        raise CertificateError(
            "sha256 is not the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons", "sha256"
        )
    return re.sub(r"[:\s]", "", found.group(1)).lower()


def written_pin(fingerprint: str) -> str:
    """As openssl and browsers show it."""
    return ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2)).upper()


def split(data: bytes, source: str) -> List[bytes]:
    """The DER of each certificate in a file, PEM or DER. Raises CertificateError."""
    if _PRIVATE.search(data) or _is_private_der(data):
        raise CertificateError(
            f"{source} holds a private key. It was not sent anywhere; give the certificate alone, and keep the key "
            "where it belongs",
            source,
        )
    labels = [label.decode("ascii") for label in _LABEL.findall(data)]
    if not labels:
        if not data.strip():
            raise CertificateError(f"{source} is empty", source)
        return [data]
    found = list(certificates_in(data))
    if len(found) != labels.count("CERTIFICATE"):
        raise CertificateError(f"{source} holds a certificate that is cut off or damaged", source)
    if not found:
        raise CertificateError(f"{source} holds no CERTIFICATE but a {labels[0]}", source)
    return list(dict.fromkeys(found))


def _is_private_der(data: bytes) -> bool:
    """A key in DER: SEQUENCE, INTEGER 0 or 1, as PKCS#8, RSA and EC keys begin and no certificate does."""
    return re.match(rb"\x30(?:[\x00-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01]", data, re.DOTALL) is not None


def judge(
    record: Record, data: bytes, now: datetime, min_days: int = 0
) -> Tuple[List[Certificate], List[CertificateError]]:
    """The certificates of a record that may be used, and why the others may not."""
    try:
        ders = split(data, record.source)
        if record.pin is not None:
            ders = [_pinned(record, ders)]
    except CertificateError as problem:
        return [], [problem]
    good: List[Certificate] = []
    bad: List[CertificateError] = []
    for der in ders:
        try:
            good.append(check(record, der, now, min_days))
        except CertificateError as problem:
            bad.append(problem)
    return good, bad


def _pinned(record: Record, ders: List[bytes]) -> bytes:
    """The one that was pinned: of others in the same file nobody vouches for."""
    for der in ders:
        if fingerprint_of(der) == record.pin:
            return der
    found = "; ".join(f"{written_pin(fingerprint_of(der))} ({_subject(der)})" for der in ders[:3])
    more = f"; and {len(ders) - 3} more" if len(ders) > 3 else ""
    raise CertificateError(
        f"{record.source} does not hold the certificate with the pinned SHA-256 {written_pin(record.pin or '')}. It "
        f"holds: {found}{more}. Somebody may have put another one in its place: pin it only when its owner confirms it "
        "by another way",
        "sha256",
    )


def _subject(der: bytes) -> str:
    try:
        return _name(_load(der).subject)
    except Exception:
        return "not a certificate"


def _name(name: Any) -> str:
    text = name.rfc4514_string() or "without a name"
    return "".join(character if character.isprintable() else "?" for character in text)[:200]


def _load(der: bytes) -> Any:
    with warnings.catch_warnings():  # of what cryptography will not read in a later version
        warnings.simplefilter("ignore")
        return x509.load_der_x509_certificate(der)


def check(record: Record, der: bytes, now: datetime, min_days: int = 0) -> Certificate:
    """Whether a certificate is an authority's and valid. Raises CertificateError, whatever the bytes are."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = _load(der)
            name = _name(certificate.subject)
            begin, end = _validity(certificate)
            problem = _authority_problem(certificate) or _time_problem(begin, end, now, min_days)
            notes = _notes(certificate) if not problem else ()
    except Exception as reason:  # cryptography raises many kinds, of lazily read parts too
        raise CertificateError(
            f"{record.source} holds no certificate in PEM or DER that can be read ({type(reason).__name__})",
            record.source,
        ) from None
    fingerprint = fingerprint_of(der)
    if problem:
        raise CertificateError(f"the certificate {name} (SHA-256 {written_pin(fingerprint)}) {problem}", record.source)
    return Certificate(record.name, fingerprint, pem_of(der).decode("ascii"), notes)


def _validity(certificate: Any) -> Tuple[datetime, datetime]:
    moments = []
    for name in ("not_valid_before", "not_valid_after"):
        moment = getattr(certificate, name + "_utc", None)  # since cryptography 42
        moments.append(moment or getattr(certificate, name).replace(tzinfo=timezone.utc))
    return moments[0], moments[1]


def _time_problem(begin: datetime, end: datetime, now: datetime, min_days: int) -> Optional[str]:
    if end <= now:
        return f"expired on {end:%Y-%m-%d}: get the new one from its owner"
    if begin > now:
        return f"is not valid before {begin:%Y-%m-%d %H:%M} UTC: is the controller's clock right?"
    if end - now < timedelta(days=min_days):
        return f"expires on {end:%Y-%m-%d}, in less than {min_days} days (min_days): get the new one from its owner"
    return None


def _authority_problem(certificate: Any) -> Optional[str]:
    if certificate.version is not x509.Version.v3:
        return (
            "is of version 1, in which nothing says whether it is an authority's: have the authority make one of "
            "version 3"
        )
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return (
            "is not an authority's (it has no basicConstraints): give the certificate of the authority that signed it"
        )
    if not constraints.ca:
        return "is not an authority's (basicConstraints say CA:FALSE): give that of the authority that signed it"
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return None if usage.key_cert_sign else "is an authority's, but its keyUsage does not let it sign certificates"


def _notes(certificate: Any) -> Tuple[str, ...]:
    """What Python 3.13 asks for and others do not (OpenSSL's X509_V_FLAG_X509_STRICT)."""
    lacking = []
    if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).critical:
        lacking.append("its basicConstraints are not critical")
    try:
        certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        lacking.append("it has no subjectKeyIdentifier")
    if not lacking:
        return ()
    return (f"{' and '.join(lacking)}: programs in Python 3.13 and later do not accept it, others do",)
