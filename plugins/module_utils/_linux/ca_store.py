# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The store of trusted authorities: how each family keeps it, and the plan for our certificates in it. No I/O.

Each certificate is one file of its own whose name ends in its fingerprint. So a renewed authority is another file:
with an old name and a new content, Debian's tool keeps the hash link of the old one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import textwrap
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from .._errors import TargetError
from .._outcome import Change

try:
    import ssl
except ImportError:  # a Python built without it: certificates are then installed, but not described
    ssl = None  # type: ignore[assignment]

FORMAT = "identity.roster.ca_certificates/1"
KIND = "ca_certificate"
PREFIX = "identity-roster-"
MODE = 0o644
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
}

#: A certificate that is ours: the name it was listed with, and its fingerprint.
Key = Tuple[str, str]


@dataclass(frozen=True)
class Family:
    """How a family of distributions keeps its store. Paths are absolute.

    ``add`` are the tool's arguments when there are only new files, ``rebuild`` when the store has to be made anew.
    ``hashes`` is the directory of hash links that the tool keeps too, where programs look into it.
    """

    name: str
    systems: FrozenSet[str]
    anchors: str
    tool: str
    add: Tuple[str, ...]
    rebuild: Tuple[str, ...]
    bundle: str
    package: str = "ca-certificates"
    hashes: Optional[str] = None


#: The tools' arguments are those of their own sources:
#: Debian's does not heal links without --fresh. With it all links are gone for a moment, so not for a new file alone.
#: SUSE's makes the bundle only when it is older than the certificates' directory, unless --fresh is its first argument.
#: Alpine's takes no argument and builds everything each time. update-ca-trust knows "extract", old ones ignore it.
FAMILIES: Tuple[Family, ...] = (
    Family(
        "debian",
        frozenset({"debian", "ubuntu"}),
        "/usr/local/share/ca-certificates",
        "update-ca-certificates",
        (),
        ("--fresh",),
        "/etc/ssl/certs/ca-certificates.crt",
        hashes="/etc/ssl/certs",
    ),
    Family(
        "redhat",
        frozenset({"rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn"}),
        "/etc/pki/ca-trust/source/anchors",
        "update-ca-trust",
        ("extract",),
        ("extract",),
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    ),
    Family(
        "suse",
        frozenset({"suse", "opensuse", "sles", "sled"}),
        "/etc/pki/trust/anchors",
        "update-ca-certificates",
        ("--fresh",),
        ("--fresh",),
        "/var/lib/ca-certificates/ca-bundle.pem",
    ),
    Family(
        "arch",
        frozenset({"arch"}),
        "/etc/ca-certificates/trust-source/anchors",
        "update-ca-trust",
        ("extract",),
        ("extract",),
        "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
        package="ca-certificates-utils",
    ),
    Family(
        "alpine",
        frozenset({"alpine"}),
        "/usr/local/share/ca-certificates",
        "update-ca-certificates",
        (),
        (),
        "/etc/ssl/certs/ca-certificates.crt",
    ),
)


def family_of(release: Mapping[str, str], chosen: Optional[str] = None) -> Family:
    """The family of a host by its os-release, or the one that was chosen. Raises TargetError."""
    if chosen is not None:
        return next(family for family in FAMILIES if family.name == chosen)
    system = release.get("ID", "").lower()
    if system == "nixos":
        raise TargetError(
            "this host is NixOS, which makes its store from its configuration: use security.pki.certificateFiles there"
        )
    for name in (system, *release.get("ID_LIKE", "").lower().split()):
        for family in FAMILIES:
            if name in family.systems:
                return family
    shown = f"{system!r}" if system else "unknown (there is no os-release)"
    names = ", ".join(family.name for family in FAMILIES)
    raise TargetError(
        f"this host's system is {shown}, and where that keeps trusted certificates is not known. If it works like one "
        f"of {names}, say so with family"
    )


def name_problem(name: str) -> Optional[str]:
    """Why a text can't be the name of a certificate: it becomes part of a file name."""
    if _NAME.fullmatch(name):
        return None
    return "is not 1 to 64 of the characters a-z A-Z 0-9 . _ - that begin and end with a letter or a digit"


def file_name(name: str, fingerprint: str) -> str:
    return f"{PREFIX}{name}-{fingerprint[:16]}.crt"


def certificates_in(content: bytes) -> Iterator[bytes]:
    """The DER of each certificate in a PEM text; what is none is passed over."""
    for found in _PEM.finditer(content):
        try:
            yield binascii.a2b_base64(found.group(1))
        except binascii.Error:
            continue


def fingerprint_of(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def fingerprints_in(content: bytes) -> Set[str]:
    return {fingerprint_of(der) for der in certificates_in(content)}


def pem_of(der: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(der).decode("ascii"), 64)
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", "")).encode("ascii")


def described(der: bytes) -> Dict[str, str]:
    """Subject, issuer and the end of validity as far as this Python can read them, and always the fingerprint."""
    facts = {"fingerprint": fingerprint_of(der)}
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=der)
        fields: Dict[str, Any] = context.get_ca_certs()[0]
        end = datetime.fromtimestamp(ssl.cert_time_to_seconds(fields["notAfter"]), timezone.utc)
        facts.update(
            subject=_distinguished(fields["subject"]),
            issuer=_distinguished(fields["issuer"]),
            not_after=end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
    except (AttributeError, IndexError, KeyError, OSError, OverflowError, ValueError):
        return facts
    return facts


def _distinguished(name: Any) -> str:
    """Python's tuples as people write a name, the nearest part first."""
    pairs = [(_SHORT.get(key, key), value) for part in reversed(name) for key, value in part]
    text = ", ".join(f"{key}={value}" for key, value in pairs) or "(empty)"
    return "".join(character if character.isprintable() else "?" for character in text)[:300]


@dataclass(frozen=True)
class Wanted:
    """A certificate that shall be trusted."""

    name: str
    der: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.der)

    @property
    def key(self) -> Key:
        return self.name, self.fingerprint

    @property
    def file(self) -> str:
        return file_name(self.name, self.fingerprint)


@dataclass(frozen=True)
class StoredFile:
    """One of our files as it is. ``regular`` is false for a link or anything else that was put in its place."""

    content: bytes = field(repr=False)
    mode: int
    ours: bool = True
    regular: bool = True


@dataclass(frozen=True)
class View:
    """The store as it is: files with our prefix, and what programs find in the bundle and the hash directory.

    ``hashed`` is None in families without such a directory. ``linked`` are those of our files that a link leads to,
    also when the file itself is gone.
    """

    files: Mapping[str, StoredFile] = field(default_factory=dict)
    bundle: FrozenSet[str] = frozenset()
    hashed: Optional[FrozenSet[str]] = None
    linked: FrozenSet[str] = frozenset()

    def trusts(self, fingerprint: str) -> bool:
        return fingerprint in self.bundle and (self.hashed is None or fingerprint in self.hashed)


@dataclass(frozen=True)
class Step:
    """One change, with the file to write and the file to remove for it."""

    change: Change
    write: Optional[Wanted] = None
    remove: Optional[Key] = None

    @property
    def only_adds(self) -> bool:
        return self.change.action == "create" and self.remove is None


@dataclass
class Plan:
    """``owned`` is what is ours afterwards. ``run`` says whether the tool has work, ``rebuild`` which."""

    steps: List[Step] = field(default_factory=list)
    owned: Set[Key] = field(default_factory=set)
    unchanged: int = 0
    run: bool = False
    rebuild: bool = False
    warnings: List[str] = field(default_factory=list)


def make_plan(
    wanted: Sequence[Wanted], incomplete: FrozenSet[str], owned: Set[Key], view: View, purge: bool = False
) -> Plan:
    """What to do. ``incomplete`` are names with a certificate that could not be used: nothing of theirs is removed."""
    plan = Plan(owned=set(owned))
    names = {each.name for each in wanted}
    fingerprints = {each.fingerprint for each in wanted}
    keys = {each.key for each in wanted}
    stale: Dict[str, List[Key]] = {}
    for key in sorted(owned - keys):
        name, fingerprint = key
        if name in incomplete:
            continue
        if name in names or purge or fingerprint in fingerprints:
            stale.setdefault(name, []).append(key)
    for name in sorted(names | set(stale)):
        mine = sorted((each for each in wanted if each.name == name), key=lambda each: each.fingerprint)
        _plan_name(plan, mine, stale.get(name, []), view)
    present = {file_name(*key) for key in plan.owned | owned}
    for file in sorted(set(view.files) - present):
        plan.warnings.append(
            f"{file} has the name of a file of ours, but no run that this host remembers made it: it was left alone"
        )
    plan.run = any(_needs_tool(step, view) for step in plan.steps)
    plan.rebuild = any(
        not step.only_adds or (step.write is not None and step.write.file in view.linked) for step in plan.steps
    )
    return plan


def _needs_tool(step: Step, view: View) -> bool:
    if step.write is not None and (step.change.action != "adopt" or not view.trusts(step.write.fingerprint)):
        return True
    return step.remove is not None and (file_name(*step.remove) in view.files or file_name(*step.remove) in view.linked)


def _plan_name(plan: Plan, wanted: Sequence[Wanted], stale: Sequence[Key], view: View) -> None:
    """The certificates of one name."""
    new = [each for each in wanted if each.key not in plan.owned and each.file not in view.files]
    found = [each for each in wanted if each.key not in plan.owned and each.file in view.files]
    plan.owned |= {each.key for each in wanted}
    plan.owned -= set(stale)
    if len(new) == len(stale) == 1:  # a renewed authority
        before, after = _facts(stale[0], view), described(new[0].der)
        fields = {key: (before.get(key), after.get(key)) for key in sorted({*before, *after})}
        plan.steps.append(Step(Change(KIND, new[0].name, "update", fields), new[0], stale[0]))
        new, stale = [], []
    for key in stale:
        fields = {fact: (value, None) for fact, value in _facts(key, view).items()}
        plan.steps.append(Step(Change(KIND, key[0], "remove", fields), remove=key))
    for each in wanted:
        if each in new:
            fields = {fact: (None, value) for fact, value in described(each.der).items()}
            plan.steps.append(Step(Change(KIND, each.name, "create", fields), each))
        elif not any(step.write == each for step in plan.steps):
            _plan_present(plan, each, view, "adopt" if each in found else "update")


def _plan_present(plan: Plan, wanted: Wanted, view: View, action: str) -> None:
    """A certificate whose file is there, or should be: what others did to it is mended."""
    drift: Dict[str, Sequence[Any]] = {}
    stored = view.files.get(wanted.file)
    if stored is None:
        drift["file"] = ("missing", "present")
    elif not stored.regular:
        drift["file"] = ("not a regular file", "present")
    elif stored.content != pem_of(wanted.der):
        drift["file"] = ("other content", "present")
    elif stored.mode != MODE:
        drift["mode"] = (f"{stored.mode:04o}", f"{MODE:04o}")
    elif not stored.ours:
        drift["owner"] = ("another user", "the user of this run")
    if not view.trusts(wanted.fingerprint):
        drift["trusted"] = (False, True)
    if drift or action == "adopt":
        fields = {"fingerprint": (wanted.fingerprint, wanted.fingerprint), **drift}
        plan.steps.append(Step(Change(KIND, wanted.name, action, fields), wanted))
    else:
        plan.unchanged += 1


def _facts(key: Key, view: View) -> Dict[str, str]:
    """What is known of a certificate of ours: its file, if it is still what we wrote, says it all."""
    stored = view.files.get(file_name(*key))
    for der in certificates_in(stored.content if stored else b""):
        if fingerprint_of(der) == key[1]:
            return described(der)
    return {"fingerprint": key[1]}


def serialise(owned: Set[Key]) -> bytes:
    entries = [{"name": name, "fingerprint": fingerprint} for name, fingerprint in sorted(owned)]
    document = {"format": FORMAT, "certificates": entries}
    return json.dumps(document, sort_keys=True, indent=1).encode("ascii") + b"\n"


def parse(content: Optional[bytes], path: str) -> Set[Key]:
    """Raises TargetError for anything but a whole ledger: it says which files may be removed."""
    if content is None:
        return set()
    try:
        document = json.loads(content.decode("utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}, this version reads {FORMAT!r}")
        owned = {(entry["name"], entry["fingerprint"]) for entry in document["certificates"]}
        for name, fingerprint in owned:
            if name_problem(name) or not re.fullmatch("[0-9a-f]{64}", fingerprint):
                raise ValueError(f"the entry {name!r} is not one")
        return owned
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise TargetError(
            f"{path} is damaged ({problem}). It records which certificates are ours, so nothing was changed. Restore "
            "it from a backup, or remove it: listed certificates whose files are there are then known again"
        ) from None
