# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ldap_info's reading against ldapsearch and against ldap3's paged_search: 50,000 people in a real slapd, one run."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from tests.servers.directories.people import PASSWORD, READER, SUFFIX
from tests.servers.directories.server import DirectoryServer, directory
from tests.tools.checkout import ROOT, linked_tree

PEOPLE = 50000
BASE = f"ou=many,{SUFFIX}"
ATTRIBUTES = "uid cn sn givenName displayName mail telephoneNumber employeeNumber title l".split()
_PAGE = 1000

#: Before slapd starts: a scratch directory of its own with many people in it.
_LOAD = f"""
python3 - > /tmp/many.ldif <<END
print("dn: {BASE}\\nobjectClass: organizationalUnit\\nou: many\\n")
for number in range({PEOPLE}):
    name = f"user{{number:05}}"
    print(f"dn: uid={{name}},{BASE}\\nobjectClass: inetOrgPerson\\nuid: {{name}}")
    print(f"cn: Given{{number}} Surname{{number}}")
    print(f"sn: Surname{{number}}\\ngivenName: Given{{number}}\\ndisplayName: Given{{number}} Surname{{number}}")
    print(f"mail: {{name}}@example.test\\ntelephoneNumber: +49 30 {{number:07}}\\nemployeeNumber: {{number}}")
    print("title: Colleague\\nl: Berlin\\n")
END
slapadd -q -f /etc/roster/slapd.conf -l /tmp/many.ldif
rm /tmp/many.ldif
"""

#: Each reader in a process of its own, told its memory in KiB after the first page and at the end.
_READERS = {
    "ldap3": """
import ldap3
connection = ldap3.Connection(ldap3.Server(url, get_info=ldap3.ALL), reader, password, auto_bind=True)
found = connection.extend.standard.paged_search(
    base, "(objectClass=inetOrgPerson)", attributes=attributes, paged_size=page, generator=True)
entries = (entry for entry in found if entry["type"] == "searchResEntry")
""",
    "ldap_info": """
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_connection import (
    ConnectionSettings, open_connection)
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_directory import Directory
settings = ConnectionSettings([url], allow_plaintext=True, bind_method="simple", bind_dn=reader, bind_password=password)
directory = Directory(open_connection(settings), page, 60)
directory.introduce()
entries = directory.search("people", base, "subtree", "(objectClass=inetOrgPerson)", attributes)
""",
    "whole": """
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap import DirectorySettings, fetch
from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_connection import ConnectionSettings
settings = ConnectionSettings([url], allow_plaintext=True, bind_method="simple", bind_dn=reader, bind_password=password)
mapping = {"profile": {"phone": "telephoneNumber", "title": "title", "city": "l"}, "external_id": "employeeNumber"}
reading = fetch(DirectorySettings(settings, base, page_size=page, mapping=mapping))
entries = reading.roster.users
""",
}
_SCRIPT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
url, reader, password, base, page, attributes = json.loads(sys.argv[1])
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
began = time.monotonic()
%s
count, first = 0, 0
for count, entry in enumerate(entries, start=1):
    if count == page:
        first = peak()
print(json.dumps([count, time.monotonic() - began, first, peak()]))
"""


def measure() -> str:
    """All readers against one slapd, as a table."""
    with directory("openldap", before=_LOAD) as server:
        peer = _ldapsearch(server)
        rows = {name: _read(server, name) for name in _READERS}
    lines = [f"{PEOPLE} people of {len(ATTRIBUTES)} attributes in slapd, pages of {_PAGE}, one run:"]
    lines.append(f"{'':42} {'seconds':>8} {'peak MiB':>9} {'growth after the first page':>28}")
    labels = {
        "ldap3": "ldap3 paged_search, generator",
        "ldap_info": "ldap_info, entries",
        "whole": "ldap_info, all of it: entries to a roster",
    }
    lines.append(f"{'ldapsearch (C)':42} {peer:8.2f}")
    for name, (_count, seconds, first, peak) in rows.items():
        growth = f"{(peak - first) / 1024:24.1f} MiB" if name != "whole" else ""
        lines.append(f"{labels[name]:42} {seconds:8.2f} {peak / 1024:9.0f} {growth}")
    base = rows["ldap3"][1]
    lines.append(
        f"against ldap3: entries {base / rows['ldap_info'][1]:.1f} times as fast, "
        f"all of it {base / rows['whole'][1]:.1f} times"
    )
    return "\n".join(lines)


def _read(server: DirectoryServer, name: str) -> tuple[int, float, int, int]:
    arguments = json.dumps([server.url, READER, PASSWORD, BASE, _PAGE, ATTRIBUTES])
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT % _READERS[name], arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{linked_tree()}:{ROOT}", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    count, seconds, first, peak = json.loads(done.stdout)
    if count != PEOPLE:
        raise RuntimeError(f"{name} found {count} of {PEOPLE} people")
    return count, seconds, first, peak


def _ldapsearch(server: DirectoryServer) -> float:
    """Seconds of ldapsearch inside the server's own root, where Debian's package is."""
    inner = server.inner()
    if inner is None:
        raise RuntimeError("the directory has ended")
    command = ["nsenter", f"--target={inner.pid}", "--mount", "--root", "--wd", "ldapsearch", "-x", "-LLL"]
    command += ["-H", server.url, "-D", READER, "-w", PASSWORD, "-b", BASE, "-E", f"pr={_PAGE}/noprompt"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "(objectClass=inetOrgPerson)", *ATTRIBUTES],
        stdout=subprocess.PIPE,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    seconds = time.monotonic() - began
    if done.stdout.count(b"\ndn: uid=") + done.stdout.startswith(b"dn: uid=") < PEOPLE:
        raise RuntimeError("ldapsearch found too few people")
    return seconds
