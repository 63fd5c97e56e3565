# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The root file systems the fleet's hosts start from: debootstrap once, then keep.

A build takes minutes and a host must start in a fraction of a second, so builds are cached by what they are made of:
the folder's name has a hash of the recipe, and it appears by a rename when the build is complete. Whatever is under
that name is whole, and an aborted build is never used. debootstrap runs in namespaces of its own: when it or we are
killed, the mounts it made inside its target and every process it started go too.

Nothing here depends on one fleet: accounts and sshd's settings that all hosts share are in the image, keys are not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fleet import kernel, machine
from tests.fleet.machine import SYSTEM_PATH, FleetError
from tests.tools.checkout import cache, locked
from tests.tools.console import say


@dataclass(frozen=True)
class Suite:
    """One Debian release the fleet has hosts of."""

    codename: str
    release: int
    python: str

    @property
    def prefix(self) -> str:
        """What its hosts' names begin with."""
        return f"deb{self.release}"

    @property
    def group(self) -> str:
        """Its group in the inventory."""
        return f"debian{self.release}"


SUITES = (Suite("bookworm", 12, "3.11"), Suite("trixie", 13, "3.13"))

CONTROL_USER = "ansible"
CONTROL_UID = 1000

# minbase is a container's idea of Debian: these make it a machine one logs in to. strace is for the fault tests.
PACKAGES = (
    *("acl", "adduser", "ca-certificates", "curl", "iproute2", "login", "openssh-server", "openssl", "passwd"),
    *("procps", "python3", "strace", "sudo", "uidmap"),
)

# Left to apt: debootstrap knows only the first alternative of a dependency, and fails over cron's systemd on Debian 13.
LATER = {12: "cron", 13: "cron systemd-standalone-sysusers"}

# /proc/sys is this machine's, and procps applies its settings when it is installed: read only.
# pam_loginuid fails where the kernel lets a login uid be set only once: optional, as container images have it.
# Penalties (OpenSSH 9.8 and later) would lock the controller's address out after a few logins that are meant to fail.
CUSTOMISE = f"""
set -eu
umask 022
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
apt-get -qq update
apt-get -qq install --yes --no-install-recommends $LATER
apt-get -qq clean
rm -rf /usr/sbin/policy-rc.d /etc/ssh/ssh_host_* /var/lib/apt/lists/* /var/log/bootstrap.log
mkdir -p /run/sshd
cat > /etc/ssh/sshd_config.d/00-fleet.conf <<END
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM yes
PermitRootLogin prohibit-password
PasswordAuthentication yes
PubkeyAuthentication yes
UseDNS no
MaxStartups 1000
MaxSessions 1000
END
if [ -e /usr/lib/openssh/sshd-session ]; then
    echo 'PerSourcePenalties no' >> /etc/ssh/sshd_config.d/00-fleet.conf
fi
sed -i -E 's/^session +required +pam_loginuid.so/session optional pam_loginuid.so/' /etc/pam.d/*
useradd --create-home --uid {CONTROL_UID} --user-group --groups sudo --shell /bin/bash --password '*' {CONTROL_USER}
echo '{CONTROL_USER} ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/{CONTROL_USER}
chmod 0440 /etc/sudoers.d/{CONTROL_USER}
visudo -cq
grep -q 'optional pam_loginuid' /etc/pam.d/sshd
"""

_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")


def image_of(suite: Suite) -> Path:
    """Where the suite's image is, or will be."""
    recipe = repr((suite.codename, PACKAGES, LATER[suite.release], CUSTOMISE))
    return cache() / "images" / f"{suite.codename}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def cached() -> bool:
    """Whether a fleet can start at once."""
    return all(image_of(suite).is_dir() for suite in SUITES)


def ensure() -> dict[str, Path]:
    """Build what is missing, all suites at the same time; answer with one image per suite's codename."""
    missing = [suite for suite in SUITES if not image_of(suite).is_dir()]
    if missing:
        machine.require_root()
        keyring = machine.require_debootstrap()
        with ThreadPoolExecutor(len(missing)) as pool:
            list(pool.map(lambda suite: _build(suite, keyring), missing))
        _remove_stale()
    return {suite.codename: image_of(suite) for suite in SUITES}


def _build(suite: Suite, keyring: Path) -> None:
    image = image_of(suite)
    with locked(image.parent / f"{suite.codename}.lock"):
        if image.is_dir():
            return
        for leftover in image.parent.glob(f".build-{suite.codename}-*"):
            kernel.remove_tree(leftover)
        began = time.monotonic()
        build = image.parent / f".build-{suite.codename}-{os.getpid()}"
        _make(suite, build, keyring, image.parent / f"{suite.codename}.log")
        os.sync()
        build.rename(image)
        say(f"Debian {suite.release} ({suite.codename}) built in {time.monotonic() - began:.0f} s: {image}")


def _make(suite: Suite, build: Path, keyring: Path, log: Path) -> None:
    packages = cache() / "debs" / suite.codename
    packages.mkdir(parents=True, exist_ok=True)
    mirror = machine.mirror_for(suite.codename)
    where = machine.without_credentials(mirror) if mirror else "debootstrap's default mirror"
    say(f"building Debian {suite.release} ({suite.codename}) from {where}: a few minutes; log: {log}")
    log.unlink(missing_ok=True)
    _alone(
        log,
        *("--mount-proc", "debootstrap", "--variant=minbase", "--force-check-gpg", f"--keyring={keyring}"),
        *(f"--cache-dir={packages}", f"--include={','.join(PACKAGES)}", suite.codename, str(build)),
        *([mirror] if mirror else []),
    )
    _alone(log, f"--root={build}", "sh", "-c", CUSTOMISE, LATER=LATER[suite.release])


def _alone(log: Path, *command: str, **variables: str) -> None:
    """Run a command in namespaces that end with it."""
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    proxies.update((f"{scheme}_proxy", url) for scheme, url in machine.proxies().items())
    own = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("a") as output:
        done = subprocess.run(
            [*_DIES_WITH_US, "unshare", "--mount", "--pid", "--fork", "--kill-child", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
            env={**own, **proxies, **variables},
        )
    if done.returncode != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise FleetError(f"building an image failed: {lines[-1].strip() if lines else 'no output'} (log: {log})")


def _remove_stale() -> None:
    """Remove images of older recipes, except those a running fleet stands on."""
    current = {image_of(suite) for suite in SUITES}
    for folder in (cache() / "images").iterdir():
        stale = folder.is_dir() and not folder.name.startswith(".") and folder not in current
        if stale and not kernel.is_lower_layer(folder):
            say(f"removing the image of an older recipe: {folder}")
            shutil.rmtree(folder)
