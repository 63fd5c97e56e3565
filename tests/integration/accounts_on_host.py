# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""linux_accounts itself on a host, many rosters in one process: a hundred tasks would take minutes.

``SCRIPT`` runs inside the host. It reads cases as JSON, brings the host back to its state before each of them, runs the
module three times (check mode, for real, check mode) and prints what the host says then: its files, the C library, PAM,
sudo, pwck and grpck. It judges nothing, and leaves the host as the last case made it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.fleet.host import Host
from tests.tools.checkout import ROOT

SCRIPT = r"""
import base64, copy, ctypes, grp, hashlib, json, os, pickle, pwd, shutil, stat, subprocess, sys, types

sys.path.insert(0, sys.argv[1])
for name in ("ansible", "ansible.module_utils", "ansible.module_utils.basic"):
    sys.modules[name] = types.ModuleType(name)
asked = json.load(sys.stdin)

DATABASES = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
OURS = {f"/etc/{name}{end}" for name in DATABASES for end in ("", "-")} | {"/etc/.pwd.lock"}
STATE = "/var/lib/identity-roster"
SNAPSHOT_FILE = "/run/hostile-snapshot"
TREES = ("/etc", "/root", "/home", "/srv", "/var/mail", "/var/spool")
FOLDERS = ("/", "/var", "/var/lib", "/opt", "/mnt", "/media", "/usr", "/tmp")


class Ended(Exception):
    pass


class Module:
    # What Ansible gives a module: its options with their defaults, and two ways to end.
    given, check_mode = {}, False

    def __init__(self, argument_spec, supports_check_mode):
        unknown = set(self.given) - set(argument_spec)
        if unknown:
            raise Ended({"fails": True, "msg": f"unknown options {sorted(unknown)}", "warnings": []})
        self.params = {name: copy.deepcopy(option.get("default")) for name, option in argument_spec.items()}
        self.params.update(copy.deepcopy(self.given))
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)

    def exit_json(self, **result):
        raise Ended({**result, "fails": False, "warnings": self.warnings})

    def fail_json(self, **result):
        raise Ended({**result, "fails": True, "warnings": self.warnings})


sys.modules["ansible.module_utils.basic"].AnsibleModule = Module
from plugins.modules.linux_accounts import main


def once(case, check_mode):
    content = base64.b64decode(case["roster"])
    digest = hashlib.sha256(content).hexdigest()
    with open("/run/hostile-roster.json", "wb") as file:
        file.write(content)
    told = {"roster_digest": digest, "sent_digest": digest, "connected_user": "ansible", "run_id": "hostile"}
    told.update(case["told"])
    Module.given = {"roster": "/run/hostile-roster.json", "_controller": told, **case["options"]}
    Module.check_mode = check_mode
    try:
        main()
    except Ended as ended:
        return ended.args[0]


def entries():
    # Everything that a sync could leave somewhere, but for the account files themselves.
    found = {}
    for folder in FOLDERS:
        look(folder, found, False)
    for folder in TREES:
        look(folder, found, True)
    return found


def look(folder, found, deep):
    for entry in os.scandir(folder):
        path = entry.path
        if path in OURS or path in ("/home/ansible", "/etc/ssl/certs"):
            continue
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            found[path] = (status.st_mode, status.st_uid, status.st_gid)
            if deep:
                look(path, found, True)
        elif deep or path not in found:
            found[path] = (
                status.st_mode, status.st_uid, status.st_gid, status.st_ino, status.st_size, status.st_ctime_ns
            )


def contents():
    return {name: open(f"/etc/{name}", "rb").read() for name in DATABASES}


def owners():
    status = {name: os.lstat(f"/etc/{name}") for name in DATABASES}
    return {name: [found.st_mode, found.st_uid, found.st_gid, found.st_nlink] for name, found in status.items()}


def state_files():
    # Path to content (None: a folder), each folder before what is in it.
    found = {}
    for folder, _folders, files in os.walk(STATE):
        found[folder] = None
        found.update((path, open(path, "rb").read()) for path in (os.path.join(folder, name) for name in files))
    return found


class Snapshot:
    def __init__(self):
        self.contents, self.state, self.entries, self.owners = contents(), state_files(), entries(), owners()

    def restore(self):
        for name, content in self.contents.items():
            if open(f"/etc/{name}", "rb").read() != content:
                with open(f"/etc/{name}", "wb") as file:
                    file.write(content)
            os.chmod(f"/etc/{name}", stat.S_IMODE(self.owners[name][0]))
            os.chown(f"/etc/{name}", *self.owners[name][1:3])
        found = entries()
        for path in sorted(set(found) - set(self.entries), reverse=True):
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
            del found[path]
        shutil.rmtree(STATE, ignore_errors=True)
        for path, content in self.state.items():
            if content is None:
                os.mkdir(path, 0o700)
            else:
                with open(path, "wb") as file:
                    file.write(content)
        return found


# PAM, as sshd asks it. Never let it sleep after a refusal.
libpam = ctypes.CDLL("libpam.so.0")
libc = ctypes.CDLL(None)
libc.strdup.argtypes, libc.strdup.restype = [ctypes.c_char_p], ctypes.c_void_p
libc.calloc.argtypes, libc.calloc.restype = [ctypes.c_size_t, ctypes.c_size_t], ctypes.c_void_p
POINTER = ctypes.c_void_p


class Response(ctypes.Structure):
    _fields_ = [("text", POINTER), ("code", ctypes.c_int)]


CONVERSATION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, POINTER, ctypes.POINTER(POINTER), POINTER)
DELAY = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_uint, POINTER)


class Conversation(ctypes.Structure):
    _fields_ = [("function", CONVERSATION), ("data", POINTER)]


libpam.pam_start.argtypes = [
    ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Conversation), ctypes.POINTER(POINTER)
]
libpam.pam_set_item.argtypes = [POINTER, ctypes.c_int, POINTER]
for function in (libpam.pam_authenticate, libpam.pam_acct_mgmt, libpam.pam_end):
    function.argtypes = [POINTER, ctypes.c_int]


def pam(username, password):
    # [authentication, account] as PAM's return codes: 0 lets in.
    @CONVERSATION
    def answer(count, _messages, responses, _data):
        block = libc.calloc(count, ctypes.sizeof(Response))
        for item in (Response * count).from_address(block):
            item.text = libc.strdup(password.encode())
        responses[0] = block
        return 0

    @DELAY
    def no_delay(_status, _microseconds, _data):
        pass

    handle = POINTER()
    conversation = Conversation(answer, None)
    if libpam.pam_start(b"sshd", username.encode(), ctypes.byref(conversation), ctypes.byref(handle)):
        return [-1, -1]
    libpam.pam_set_item(handle, 10, ctypes.cast(no_delay, POINTER))
    codes = [libpam.pam_authenticate(handle, 0), libpam.pam_acct_mgmt(handle, 0)]
    libpam.pam_end(handle, 0)
    return codes


def judges(listed):
    # Every program that is asked, all at the same time.
    commands = {name: ["timeout", "20", name, "-r"] for name in ("pwck", "grpck")}
    for name in asked["admins"]:
        user = pwd.getpwnam(name)
        enter = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
        commands[f"sudo {name}"] = [*enter, "sudo", "-k", "-S", "-p", "", "id", "-u"]
    for name in listed:
        commands[f"rights {name}"] = ["sudo", "-l", "-U", name]
    running = {
        name: subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", text=True
        )
        for name, command in commands.items()
    }
    said = {}
    for name, process in running.items():
        text = process.communicate(asked["password"] + "\n" if name.startswith("sudo ") else "")[0]
        said[name] = [process.returncode, text]
    return said


ANSWERS = {}


def asked_once(after, others, listed):
    # Where every file is as it was when these programs were asked before, they would say the same again.
    state = repr((sorted(after.items()), sorted(owners().items()), sorted(others.items())))
    accounts, names = pwd.getpwall(), {group.gr_gid: group.gr_name for group in grp.getgrall()}
    listed = sorted({user.pw_name for user in accounts}.intersection(listed))
    key = hashlib.sha256((state + repr(listed)).encode()).hexdigest()
    if key not in ANSWERS:
        ANSWERS[key] = {
            "superusers": [user.pw_name for user in accounts if user.pw_uid == 0],
            "groups": {
                user.pw_name: sorted({names.get(gid, "?") for gid in os.getgrouplist(user.pw_name, user.pw_gid)})
                for user in accounts
            },
            "pam": {name: pam(name, asked["password"]) for name in asked["logins"]},
            "said": judges(listed),
        }
    return ANSWERS[key]


def as_text(found):
    return {name: content.decode("utf-8", "surrogateescape") for name, content in found.items()}


def attempt(case):
    seen = SNAPSHOT.restore() if SNAPSHOT else None
    if case["prepare"]:
        subprocess.run(["sh", "-euc", case["prepare"]], check=True, stdout=subprocess.DEVNULL)
    if case["prepare"] or seen is None:
        seen = entries()
    files, owner, state = contents(), owners(), state_files()
    planned = once(case, True)
    untouched = (contents(), owners(), entries(), state_files()) == (files, owner, seen, state)
    done = once(case, False)
    after, others = contents(), entries()
    again = once(case, True)
    text = json.dumps([planned, done, again], ensure_ascii=False)
    kept = {path: content for path, content in state_files().items() if path.endswith(".json")}
    text += b"".join(content for path, content in kept.items() if os.path.dirname(path) == STATE).decode()
    return {
        "planned": planned, "done": done, "again": again, "untouched": untouched,
        "leaks": sum(secret in text for secret in case["secrets"]),
        "before": as_text(files), "after": as_text(after), "owners": [owner, owners()],
        "strange": sorted(path for path in {*seen, *others} if seen.get(path) != others.get(path)),
        **asked_once(after, others, case["listed"]),
    }


def snapshot():
    # Of the first time: later calls find the host as the last case left it.
    if not os.path.exists(SNAPSHOT_FILE):
        with open(SNAPSHOT_FILE, "wb") as file:
            pickle.dump(Snapshot(), file)
    with open(SNAPSHOT_FILE, "rb") as file:
        return pickle.load(file)


SNAPSHOT = snapshot() if asked["restore"] else None
json.dump([attempt(case) for case in asked["cases"]], sys.stdout)
"""

Case = dict[str, Any]
FOLDER = "opt/roster-test"


def attempts(
    host: Host, cases: list[Case], *, password: str, logins: list[str], admins: list[str], restore: bool = True
) -> list[dict[str, Any]]:
    """What came of each case on one host, in order.

    A case has: roster (base64), told (what the action plugin would say otherwise), options (the module's), prepare (a
    shell script, or ""), secrets (that nothing may show), listed (whose rights sudo is asked for, if they exist).
    ``logins`` are asked of PAM and ``admins`` use sudo, all with one password. With ``restore``, each case begins where
    the first one of the first such call began.
    """
    folder = host.root / FOLDER
    if not folder.exists():
        for part in ("plugins/modules", "plugins/module_utils"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        Path(folder, "script.py").write_text(SCRIPT, encoding="utf-8")
    asked = {"cases": cases, "password": password, "logins": logins, "admins": admins, "restore": restore}
    done = host.run(["python3", "-B", f"/{FOLDER}/script.py", f"/{FOLDER}"], input=json.dumps(asked), timeout=600)
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
