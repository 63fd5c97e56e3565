# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet asks of the machine it runs on: a kernel that can, commands, a Debian mirror.

A developer's machine already knows the mirror that is near it, behind which proxy, so that is what the images are made
from: no host name is written here, and a machine without a usable mirror of its own leaves the choice to debootstrap.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.tools import debian
from tests.tools.console import Stop

KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{kind}") for kind in ("gpg", "pgp"))
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_COMMANDS = {
    "mount": "mount",
    "nsenter": "util-linux",
    "pivot_root": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "ssh": "openssh-client",
}


class FleetError(Stop):
    """Something a person can act on, in one line."""


def run(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of the system's commands as anybody's system has it, whatever the caller's PATH and language are."""
    clean = {"PATH": SYSTEM_PATH, "LC_ALL": "C", **(env or {})}
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=clean)


def require_root() -> None:
    """Refuse early: namespaces, mounts and chroots need root."""
    if os.geteuid() != 0:
        raise FleetError("not root: the fleet needs mounts and namespaces; run it as root")


def require_overlayfs() -> None:
    """Refuse early where the kernel has no overlayfs and can't load it."""
    if not _has_overlayfs() and shutil.which("modprobe", path=SYSTEM_PATH):
        run("modprobe", "overlay")
    if not _has_overlayfs():
        raise FleetError("no overlayfs: this kernel does not offer it, and `modprobe overlay` did not help")


def _has_overlayfs() -> bool:
    return "\toverlay\n" in Path("/proc/filesystems").read_text()


def require_commands() -> None:
    """What running a fleet needs; installed by apt-get where that is possible."""
    debian.need(_COMMANDS)


def require_debootstrap() -> Path:
    """What building an image needs; answers with the keyring that Debian's releases are checked against."""
    debian.need({**_COMMANDS, "debootstrap": "debootstrap"})
    found = next(filter(Path.exists, KEYRINGS), None)
    if not found:
        # No command comes with the keyring: one that never exists asks for the package.
        debian.need({"(the archive's keyring)": "debian-archive-keyring"})
        found = next(filter(Path.exists, KEYRINGS), None)
    if not found:
        raise FleetError(f"no keyring to check Debian's releases with: {KEYRINGS[0]} is missing")
    return found


def proxies() -> dict[str, str]:
    """The HTTP proxies apt is configured with; the environment's own are added by whoever opens the connection."""
    if not shutil.which("apt-config", path=SYSTEM_PATH):
        return {}
    dump = run("apt-config", "dump").stdout
    found = re.findall(r'^Acquire::(https?)::proxy "([^"]+)";$', dump, re.MULTILINE | re.IGNORECASE)
    return {scheme.lower(): url for scheme, url in found if url.upper() != "DIRECT"}


def mirror_for(codename: str, etc_apt: Path = Path("/etc/apt")) -> str | None:
    """The first of the machine's own mirrors that really has this Debian release, or None."""
    return next((uri for uri in configured_mirrors(etc_apt) if _has_release(uri, codename)), None)


def configured_mirrors(etc_apt: Path) -> list[str]:
    """Every archive apt is told to read binary packages of `main` from, in order, once each."""
    found: list[str] = []
    for path in (etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))):
        if path.is_file() and path.suffix in (".list", ".sources"):
            text = path.read_text(encoding="utf-8", errors="replace")
            found.extend(_deb822(text) if path.suffix == ".sources" else _one_line(text))
    return list(dict.fromkeys(uri.rstrip("/") for uri in found if uri.startswith(("http://", "https://"))))


def _one_line(text: str) -> Iterator[str]:
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+\S+\s+([^#]*)", line)
        if match and "main" in match[2].split():
            yield match[1]


def _deb822(text: str) -> Iterator[str]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(line for line in stanza.splitlines() if not line.startswith("#"))
        enabled = fields.get("enabled", ["yes"]) != ["no"]
        if enabled and "deb" in fields.get("types", []) and "main" in fields.get("components", []):
            yield from fields.get("uris", [])


def _fields(lines: Iterable[str]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if line[:1].isspace():
            fields.setdefault(name, []).extend(line.split())
        elif ":" in line:
            name, _unused, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.split()
    return fields


def _has_release(uri: str, codename: str) -> bool:
    """A mirror of Ubuntu, of security updates only, or of a vendor answers 404 or with another codename."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({**urllib.request.getproxies(), **proxies()}))
    try:
        with opener.open(f"{uri}/dists/{codename}/InRelease", timeout=15) as answer:
            head = answer.read(4096).decode("utf-8", "replace").splitlines()
    except (OSError, ValueError):
        return False
    return f"Codename: {codename}" in head and "Origin: Debian" in head


def without_credentials(uri: str) -> str:
    """The mirror's address as it may be printed."""
    parts = urllib.parse.urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
