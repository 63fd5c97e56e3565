# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system that the directories run in: Debian's slapd, 389-ds-base and samba, set up and filled once.

Three layers, each kept under a name that has a hash of all it is made of: the fleet's image of Debian 12, the packages
with a directory of each kind set up, and the people in them. No package touches this machine, and none starts a
service. A server then starts on a scratch layer in memory, and nothing that it changes remains.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.fleet import images, kernel, machine
from tests.fleet.machine import SYSTEM_PATH, FleetError
from tests.servers.directories.people import KINDS, PASSWORD, SUFFIX, ldif, member_ldif
from tests.tools.checkout import cache, locked
from tests.tools.console import say

REALM = "EXAMPLE.TEST"
HOST = "dc1"
PACKAGES = (
    *("slapd", "ldap-utils", "389-ds-base", "libnss3-tools"),
    *("samba", "samba-ad-dc", "samba-ad-provision", "samba-dsdb-modules", "samba-vfs-modules", "winbind"),
)

_ALONE = "setpriv --pdeathsig KILL unshare --mount --uts --pid --fork --kill-child".split()

# A host name of its own: Samba's database is full of it.
_ENTER = f"""
set -eu
umask 022
mount -t proc proc /proc
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
hostname {HOST}
printf '127.0.0.1 localhost\\n127.0.0.1 {HOST}.example.test {HOST}\\n' > /etc/hosts
"""

_STOP_INSTANCE = """
kill $(cat /run/dirsrv/slapd-roster.pid)
timeout 60 sh -c "while kill -0 $(cat /run/dirsrv/slapd-roster.pid) 2> /dev/null; do sleep 0.1; done"
rm -f /run/dirsrv/slapd-roster.pid
"""

_INSTALL = f"""{_ENTER}
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
apt-get -qq update
apt-get -qq install --yes --no-install-recommends {" ".join(PACKAGES)}
apt-get -qq clean
rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/*

# From here on without a network, so that the ports of directories are free whatever this machine runs.
cat > /root/set-up <<'END'
ip link set lo up
# systemd does not run here, and dscreate would ask it.
sed -i 's/^with_systemd = .*/with_systemd = 0/' /usr/share/dirsrv/inf/defaults.inf
dscreate from-file /srv/given/ds.inf
{_STOP_INSTANCE}

rm -f /etc/samba/smb.conf
samba-tool domain provision --use-rfc2307 --realm={REALM} --domain=EXAMPLE --server-role=dc --dns-backend=NONE \\
    --adminpass='{PASSWORD}' --option='interfaces=lo' --option='bind interfaces only=yes'
END
unshare --net sh -eu /root/set-up
"""

_INSTANCE = f"""[general]
config_version = 2
full_machine_name = {HOST}.example.test
start = True
selinux = False
strict_host_checking = False
[slapd]
instance_name = roster
port = 389
secure_port = 636
root_password = {PASSWORD}
self_sign_cert = True
[backend-userroot]
suffix = {SUFFIX}
create_suffix_entry = True
"""

SLAPD_CONF = f"""\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload retcode
pidfile /run/slapd/slapd.pid
referral ldap://elsewhere.example.test
include /srv/run/tls.conf
authz-regexp "cn=([^,]+)" "cn=$1,{SUFFIX}"
database mdb
suffix "{SUFFIX}"
directory /var/lib/ldap
maxsize 1073741824
index objectClass,uid,cn,member eq
overlay ppolicy
overlay retcode
retcode-parent "ou=codes,{SUFFIX}"
retcode-item "cn=time" 0x03
retcode-item "cn=administrative" 0x0b
limits dn.exact="cn=reader,{SUFFIX}" size.soft=unlimited size.hard=unlimited size.prtotal=unlimited
limits dn.exact="cn=limited,{SUFFIX}" size.soft=20 size.hard=20 size.prtotal=20
access to dn.subtree="ou=hidden,ou=special,{SUFFIX}" by * none
access to attrs=userPassword by dn.exact="cn=reader,{SUFFIX}" read by anonymous auth by * none
access to * by users read by anonymous search
"""

_FILL = f"""{_ENTER}
ip link set lo up
install -D -m 0644 /srv/given/slapd.conf /etc/roster/slapd.conf
mkdir -p /srv/run && touch /srv/run/tls.conf
rm -rf /var/lib/ldap/*
slapadd -q -f /etc/roster/slapd.conf -l /srv/given/openldap.ldif

ns-slapd -D /etc/dirsrv/slapd-roster -i /run/dirsrv/slapd-roster.pid
for try in $(seq 100); do
    ldapadd -x -c -H ldap://127.0.0.1 -D 'cn=Directory Manager' -w '{PASSWORD}' -f /srv/given/389ds.ldif \\
        > /tmp/added 2>&1 && break
    grep -q "Can't contact" /tmp/added || {{ tail -5 /tmp/added; exit 1; }}
    sleep 0.1
done
ldapmodify -x -H ldap://127.0.0.1 -D 'cn=Directory Manager' -w '{PASSWORD}' -f /srv/given/389ds-rights.ldif
{_STOP_INSTANCE}

python3 - <<END
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
settings = LoadParm()
settings.load_default()
database = SamDB("/var/lib/samba/private/sam.ldb", session_info=system_session(), lp=settings)
database.transaction_start()
database.add_ldif(open("/srv/given/active_directory.ldif", encoding="utf-8").read())
database.modify_ldif(open("/srv/given/active_directory-members.ldif", encoding="utf-8").read())
database.transaction_commit()
END
samba-tool user create reader '{PASSWORD}'
"""

_RIGHTS = f"""\
dn: {SUFFIX}
changetype: modify
add: aci
aci: (targetattr="*")(version 3.0; acl "read"; allow (read, search, compare) userdn="ldap:///cn=reader,{SUFFIX}";)
"""


def layers() -> list[Path]:
    """The layers, topmost first, built where they are missing."""
    machine.require_root()
    base = images.ensure()["bookworm"]
    installed = _layer("packages", [base], _INSTALL, {"ds.inf": _INSTANCE}, network=True)
    given = {f"{kind}.ldif": ldif(kind) for kind in KINDS}
    given.update(
        {"slapd.conf": SLAPD_CONF, "389ds-rights.ldif": _RIGHTS, "active_directory-members.ldif": member_ldif()}
    )
    return [_layer("people", [installed, base], _FILL, given), installed, base]


def _layer(name: str, below: Sequence[Path], script: str, given: Mapping[str, str], network: bool = False) -> Path:
    """What ``script`` changes in the layers ``below``; it finds the files ``given`` in /srv/given."""
    recipe = repr((name, [str(layer) for layer in below], script, sorted(given.items())))
    folder = cache() / "directories"
    layer = folder / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with locked(folder / f"{name}.lock"):
        if layer.is_dir():
            return layer
        for leftover in folder.glob(f".build-{name}-*"):
            kernel.remove_tree(leftover)
        build = folder / f".build-{name}-{os.getpid()}"
        log = folder / f"{name}.log"
        say(f"building the directories' {name}: about a minute; log: {log}")
        began = time.monotonic()
        _build(build, below, script, given, log, network)
        for other in folder.glob(f"{name}-*"):
            # Another checkout may be at work on it: only what nobody has built again for a week.
            if time.time() - other.stat().st_mtime > 7 * 86400:
                shutil.rmtree(other)
        os.sync()
        (build / "upper").rename(layer)
        kernel.remove_tree(build)
        say(f"the directories' {name} built in {time.monotonic() - began:.0f} s: {layer}")
    return layer


def _build(build: Path, below: Sequence[Path], script: str, given: Mapping[str, str], log: Path, network: bool) -> None:
    root, upper, work = (build / part for part in ("root", "upper", "work"))
    for part in (root, upper, work):
        part.mkdir(parents=True)
        part.chmod(0o755)
    files = upper / "srv" / "given"
    files.mkdir(parents=True)
    for file, content in given.items():
        (files / file).write_text(content, encoding="utf-8")
    kernel.mount_overlay(root, list(below), upper, work)
    proxies = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    proxies.update((f"{scheme}_proxy", url) for scheme, url in machine.proxies().items())
    own = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("w") as output:
        done = subprocess.run(
            [*_ALONE, *([] if network else ["--net"]), f"--root={root}", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
            env={**own, **proxies},
        )
    kernel.unmount_below(build)
    if done.returncode != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise FleetError(f"building the directories failed: {lines[-1].strip() if lines else 'no output'} (log: {log})")
