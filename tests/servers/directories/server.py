# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real directories on loopback: slapd, 389 Directory Server, and Samba's Active Directory.

Each runs in namespaces of its own on a scratch layer in memory. Its mounts are in its own mount namespace, so that
nothing is left when it is killed. Each has a loopback address to itself, where it listens at the usual ports.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fleet import kernel
from tests.fleet.kernel import Process
from tests.fleet.machine import SYSTEM_PATH, FleetError
from tests.servers.directories.image import HOST, layers
from tests.servers.directories.people import GROUPS, PASSWORD, PEOPLE, READER, Kind
from tests.servers.tls import Pair

#: $1 the layers, topmost first, $2 where to mount, $3 the folder that the server finds as /srv/run, $4 what to run.
_BOOT = f"""
set -eu
umask 022
hostname {HOST}
mount -t tmpfs -o mode=0755 tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
cd "$2/root"
mount -t proc proc proc
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mkdir -p srv/run run/samba run/slapd run/dirsrv
chroot . chown dirsrv:dirsrv /run/dirsrv
mount --bind "$3" srv/run
exec chroot . sh -euc "$4"
"""

# None of them is the first process itself: 389 Directory Server changes its user, and the kernel then forgets that it
# was to end with its parent.
_OPENLDAP = """
slapd -d 0 -f /etc/roster/slapd.conf -h "ldap://$ADDRESS ldaps://$ADDRESS"
"""
_389DS = """
cd /etc/dirsrv/slapd-roster
sed -i "/^dn: cn=config$/a nsslapd-listenhost: $ADDRESS\\nnsslapd-securelistenhost: $ADDRESS" dse.ldif
if [ -e /srv/run/leaf.p12 ]; then
    certutil -D -d . -n Server-Cert -f pwdfile.txt
    pk12util -i /srv/run/leaf.p12 -W '' -d . -k pwdfile.txt
fi
ns-slapd -D /etc/dirsrv/slapd-roster -i /run/dirsrv/slapd-roster.pid -d 0
"""
_SAMBA = """
samba -F --no-process-group --model=single --debug-stdout --option='server services=ldap' \\
    --option="interfaces=$ADDRESS/8" --option='bind interfaces only=yes' $TLS
"""
_COMMANDS: Mapping[Kind, str] = {"openldap": _OPENLDAP, "389ds": _389DS, "active_directory": _SAMBA}
_NAMESPACES = ("--mount", "--uts", "--pid", "--ipc", "--fork", "--kill-child")


@dataclass
class DirectoryServer:
    """A running directory."""

    kind: Kind
    address: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"ldap://{self.address}"

    @property
    def secure_url(self) -> str:
        return f"ldaps://{self.address}"

    def inner(self) -> Process | None:
        """The first process in the server's namespaces, with whose end all others end."""
        return next(iter(Process(self.process.pid, 0).children()), None)

    def stop(self) -> None:
        """Kill it as a power cut would."""
        inner = self.inner()
        self.process.kill()
        self.process.wait()
        kernel.end([inner] if inner else [])

    def options(self) -> dict[str, object]:
        """How ldap_info reads it as the reader, without the certificate's authority."""
        # So written that Active Directory takes it as well as its own DNs.
        account = "reader@example.test" if self.kind == "active_directory" else READER
        return {
            "server_url": self.secure_url,
            "bind_dn": account,
            "bind_password": PASSWORD,
            "base_dn": PEOPLE,
            "groups": {"base_dn": GROUPS},
        }


@contextlib.contextmanager
def directory(
    kind: Kind, certificate: Pair | None = None, address: str | None = None, before: str = ""
) -> Iterator[DirectoryServer]:
    """Start a directory at an address (a free one by default), with a certificate (its package's own by default).

    `before` is a shell script that runs first in the directory's root.
    """
    certificates = {kind: certificate} if certificate else {}
    with directories([kind], certificates, {kind: address} if address else {}, before) as (server,):
        yield server


@contextlib.contextmanager
def directories(
    kinds: Sequence[Kind],
    certificates: Mapping[Kind, Pair] | None = None,
    addresses: Mapping[Kind, str] | None = None,
    before: str = "",
) -> Iterator[list[DirectoryServer]]:
    """Start several at the same time."""
    below = layers()
    with contextlib.ExitStack() as stack:
        servers = []
        for kind in kinds:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roster-directory-")))
            address = (addresses or {}).get(kind) or free_address()
            servers.append(_start(stack, kind, below, folder, address, (certificates or {}).get(kind), before))
        for server in servers:
            _wait(server)
        yield servers


def _start(
    stack: contextlib.ExitStack,
    kind: Kind,
    below: Sequence[Path],
    folder: Path,
    address: str,
    certificate: Pair | None,
    before: str,
) -> DirectoryServer:
    run, scratch = folder / "run", folder / "scratch"
    for each in (run, scratch):
        each.mkdir()
    folder.chmod(0o755)
    tls = _install(certificate, run) if certificate else ""
    if not certificate:
        (run / "tls.conf").touch()
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, "sh", "-c", _BOOT, "boot"]
    command += [":".join(map(str, below)), str(scratch), str(run), f"{before}{_COMMANDS[kind].rstrip()} &\nwait $!"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8", "ADDRESS": address, "TLS": tls},
        )
    server = DirectoryServer(kind, address, process, folder / "log")
    stack.callback(server.stop)
    return server


def _install(certificate: Pair, run: Path) -> str:
    """Put a certificate where each kind finds it; Samba's options for that."""
    shutil.copy(certificate.certificate, run / "leaf.pem")
    shutil.copy(certificate.key, run / "leaf.key")
    (run / "leaf.key").chmod(0o600)
    export = ["openssl", "pkcs12", "-export", "-name", "Server-Cert", "-passout", "pass:"]
    export += ["-in", str(run / "leaf.pem"), "-inkey", str(run / "leaf.key"), "-out", str(run / "leaf.p12")]
    subprocess.run(export, check=True, capture_output=True)
    ca = certificate.certificate.parent / "ca.pem"
    shutil.copy(ca if ca.exists() else certificate.certificate, run / "ca.pem")
    (run / "tls.conf").write_text(
        "TLSCertificateFile /srv/run/leaf.pem\nTLSCertificateKeyFile /srv/run/leaf.key\n"
        "TLSCACertificateFile /srv/run/ca.pem\nTLSVerifyClient try\n",
        encoding="utf-8",
    )
    paths = {"tls certfile": "leaf.pem", "tls keyfile": "leaf.key", "tls cafile": "ca.pem"}
    # Without spaces around: the words are parted by the shell.
    return " ".join(f"--option={name.replace(' ', '')}=/srv/run/{file}" for name, file in paths.items())


def _wait(server: DirectoryServer, patience: float = 60) -> None:
    deadline = time.monotonic() + patience
    for port in (389, 636):
        while True:
            if server.process.poll() is not None or time.monotonic() > deadline:
                said = " / ".join(server.log.read_text(errors="replace").split("\n")[-4:]).strip(" /")
                raise FleetError(f"the directory {server.kind} does not start: {said or 'no reason given'}")
            try:
                socket.create_connection((server.address, port), timeout=5).close()
                break
            except OSError:
                time.sleep(0.02)


def free_address() -> str:
    """A loopback address where nobody listens at the ports of directories."""
    for _attempt in range(100):
        address = f"127.{random.randint(64, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"
        try:
            for port in (389, 636, 3268, 3269):
                with socket.socket() as probe:
                    probe.bind((address, port))
        except OSError:
            continue
        return address
    raise FleetError("no loopback address is free at the ports of directories")
