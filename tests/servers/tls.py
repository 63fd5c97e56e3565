# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway certification authority for tests, by the openssl command. Keys and all, it lasts a day."""

from __future__ import annotations

import ipaddress
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

LOOPBACK = ("127.0.0.1", "localhost")

# Whole, so that the machine's own openssl.cnf adds nothing; strict enough for Python 3.13's VERIFY_X509_STRICT.
_CONFIG = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = {common_name}
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
{names}
"""


class Pair(NamedTuple):
    """A certificate and its key, PEM files; fits `Portal(tls=...)`."""

    certificate: Path
    key: Path


def make_ca(folder: Path, name: str = "ca") -> Pair:
    """A new authority: NAME.pem is what a client has to trust."""
    ca = _pair(folder, name)
    config = _config(folder, name, f"identity.roster test {name}")
    _openssl("req", "-x509", *_new_key(ca, config), "-extensions", "ca", "-days", "1", "-out", str(ca.certificate))
    return ca


def issue(
    ca: Pair, names: Sequence[str] = LOOPBACK, folder: Path | None = None, *, name: str = "leaf", expired: bool = False
) -> Pair:
    """A server certificate for names and addresses; `expired` yesterday if so wished."""
    folder = folder or ca.certificate.parent
    leaf = _pair(folder, name)
    config = _config(folder, name, names[0], names)
    request = folder / f"{name}.csr"
    _openssl("req", *_new_key(leaf, config), "-out", str(request))
    sign = ["x509", "-req", "-in", str(request), "-CA", str(ca.certificate), "-CAkey", str(ca.key)]
    sign += ["-set_serial", f"0x01{secrets.token_hex(15)}", "-days", "-1" if expired else "1"]
    _openssl(*sign, "-extfile", str(config), "-extensions", "leaf", "-out", str(leaf.certificate))
    return leaf


def _pair(folder: Path, name: str) -> Pair:
    folder.mkdir(parents=True, exist_ok=True)
    return Pair(folder / f"{name}.pem", folder / f"{name}.key")


def _config(folder: Path, name: str, common_name: str, names: Sequence[str] = ()) -> Path:
    alternatives = ", ".join(f"{'IP' if _is_address(each) else 'DNS'}:{each}" for each in names)
    path = folder / f"{name}.cnf"
    line = f"subjectAltName = {alternatives}" if names else ""
    path.write_text(_CONFIG.format(common_name=common_name, names=line), encoding="utf-8")
    return path


def _new_key(pair: Pair, config: Path) -> list[str]:
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    return ["-new", "-config", str(config), *curve, "-keyout", str(pair.key)]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.strip()}")
