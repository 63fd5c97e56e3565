# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which texts are public keys that may log in, and what ssh-keygen calls them."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._roster.ssh_keys import fingerprint, key_problem

from .roster_strategies import anything

KEYGEN = shutil.which("ssh-keygen")


def key(*parts: bytes, kind: str = "", comment: str = "") -> str:
    """A line whose blob has these parts; the type is the first part's unless another one is named."""
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"{kind or parts[0].decode()} {base64.b64encode(blob).decode()} {comment}".rstrip()


def rsa(bits: int, exponent: bytes = b"\x01\x00\x01") -> str:
    modulus = (1 << bits - 1) | 1
    return key(b"ssh-rsa", exponent, modulus.to_bytes(bits // 8 + 1, "big"))


ED25519 = key(b"ssh-ed25519", bytes(range(32)), comment="anna@example.org")
POINT = b"\x04" + bytes(64)
GOOD = {
    "ed25519": ED25519,
    "no comment": ED25519.rsplit(" ", 1)[0],
    "a long comment": ED25519 + " of Anna's laptop, 2026; ä ö ü",
    "a space after it": ED25519.rsplit(" ", 1)[0] + " ",
    "rsa 2048": rsa(2048),
    "rsa 16384": rsa(16384),
    "rsa exponent 3": rsa(3072, b"\x03"),
    "ecdsa 256": key(b"ecdsa-sha2-nistp256", b"nistp256", POINT),
    "ecdsa 384": key(b"ecdsa-sha2-nistp384", b"nistp384", b"\x04" + bytes(96)),
    "ecdsa 521": key(b"ecdsa-sha2-nistp521", b"nistp521", b"\x04" + bytes(132)),
    "sk ed25519": key(b"sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:"),
    "sk ecdsa": key(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", POINT, b"ssh:"),
}
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"
CUT = key(b"ssh-ed25519", bytes(32))
BAD: dict[str, tuple[str, str]] = {
    "empty": ("", "not of the form"),
    "a type alone": ("ssh-ed25519", "not of the form"),
    "space before": (" " + ED25519, "not of the form"),
    "options": ('command="/bin/sh" ' + ED25519, "options are not accepted"),
    "option without a value": ("restrict " + ED25519, "options are not accepted"),
    "options with a comma": (f"no-pty,{ED25519}", "options are not accepted"),
    "a marker of known_hosts": ("@cert-authority * " + ED25519, "options are not accepted"),
    "commented out": ("# " + ED25519, "options are not accepted"),
    "a private key": (PRIVATE, "options are not accepted"),
    "dss": (key(b"ssh-dss", b"\x01", b"\x01", b"\x01", b"\x01"), "DSA"),
    "a certificate": (key(b"ssh-ed25519-cert-v01@openssh.com", bytes(32)), "does not begin with a type"),
    "the type in capitals": (ED25519.replace("ssh-ed25519", "SSH-ED25519"), "does not begin with a type"),
    "two lines": (ED25519 + "\n" + ED25519, "U+000A"),
    "a line break at the end": (ED25519 + "\n", "U+000A"),
    "a carriage return": (ED25519 + "\r", "U+000D"),
    "a tab": (ED25519.replace(" ", "\t"), "U+0009"),
    "a null": (ED25519 + "\0", "U+0000"),
    "a line separator": (ED25519 + "\u2028x", "U+2028"),
    "a lone surrogate": (ED25519 + "\ud800", "U+D800"),
    "a no-break space": (ED25519.replace(" ", "\u00a0"), "not of the form"),
    "too long": (ED25519 + "x" * 8192, "longer than"),
    "base64 of the URL kind": (key(b"ssh-ed25519", b"\xff" * 32).replace("/", "_"), "base64 is damaged"),
    "base64 with a hole": (ED25519.replace("AAAA", "AA*AA", 1), "base64 is damaged"),
    "base64 without its padding": (key(b"ssh-rsa", b"\x03", b"\x01" * 257).rstrip("="), "base64 is damaged"),
    "base64 with more padding": (CUT + "=", "base64 is damaged"),
    "base64 with bits left over": ("ssh-ed25519 AAAAC3==", "base64 is damaged"),
    "base64 in letters that only look so": (ED25519.replace("A", "\u0410"), "base64 is damaged"),
    "base64 of nothing": ("ssh-ed25519 ====", "base64 is damaged"),
    "cut off": (CUT[:-4], "cut off"),
    "more than the key": (key(b"ssh-ed25519", bytes(32), b"more"), "the parts"),
    "less than the key": (key(b"ssh-ed25519"), "the parts"),
    "another type inside": (key(b"ssh-rsa", bytes(32), kind="ssh-ed25519"), "another type"),
    "31 bytes": (key(b"ssh-ed25519", bytes(31)), "32 bytes"),
    "rsa 1024": (rsa(1024), "1024 bits; at least 2048"),
    "rsa 2047": (key(b"ssh-rsa", b"\x03", ((1 << 2046) | 1).to_bytes(256, "big")), "2047 bits"),
    "rsa too large": (rsa(16392), "at most 16384"),
    "rsa modulus even": (key(b"ssh-rsa", b"\x03", b"\x00" + b"\x80" + bytes(255)), "no usable RSA modulus"),
    "rsa modulus negative": (key(b"ssh-rsa", b"\x03", b"\xff" * 256), "no usable RSA modulus"),
    "rsa modulus padded": (key(b"ssh-rsa", b"\x03", b"\x00\x00" + b"\xff" * 256), "no usable RSA modulus"),
    "rsa modulus empty": (key(b"ssh-rsa", b"\x03", b""), "no usable RSA modulus"),
    "rsa modulus zero": (key(b"ssh-rsa", b"\x03", b"\x00"), "no usable RSA modulus"),
    "rsa exponent 1": (rsa(2048, b"\x01"), "no usable RSA exponent"),
    "rsa exponent even": (rsa(2048, b"\x02"), "no usable RSA exponent"),
    "rsa exponent empty": (rsa(2048, b""), "no usable RSA exponent"),
    "ecdsa of another curve": (key(b"ecdsa-sha2-nistp256", b"nistp384", POINT), "another curve"),
    "ecdsa compressed": (key(b"ecdsa-sha2-nistp256", b"nistp256", b"\x02" + bytes(32)), "no point"),
    "ecdsa of another form": (key(b"ecdsa-sha2-nistp256", b"nistp256", b"\x03" + bytes(64)), "no point"),
    "sk without application": (key(b"sk-ssh-ed25519@openssh.com", bytes(32)), "the parts"),
    "sk with an empty one": (key(b"sk-ssh-ed25519@openssh.com", bytes(32), b""), "no application"),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_keys(text: str) -> None:
    assert key_problem(text) is None
    assert fingerprint(text).startswith("SHA256:") and len(fingerprint(text)) == 50


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_key(name: str) -> None:
    text, words = BAD[name]
    problem = key_problem(text)
    assert problem and words in problem
    assert not any(part in problem for part in text.split(" ")[1:] if len(part) > 40)
    assert fingerprint(text) == "no key" or fingerprint(text).startswith("SHA256:")


@given(anything)
def test_what_is_no_key_has_no_fingerprint(text: str) -> None:
    """Users write what they like between our markers."""
    assert fingerprint(text) == "no key"


@given(anything | st.binary(max_size=80).map(lambda blob: "ssh-ed25519 " + base64.b64encode(blob).decode()))
def test_garbage_is_refused(text: str) -> None:
    assert key_problem(text)


@given(st.data())
def test_no_prefix_of_a_key_is_one(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(sorted(GOOD.values())))
    encoded = text.split(" ")[1]
    length = data.draw(st.integers(0, len(encoded) - 1))
    assert key_problem(f"{text.split(' ')[0]} {encoded[:length]}")


@pytest.mark.skipif(KEYGEN is None, reason="ssh-keygen is not installed")
@pytest.mark.parametrize(
    "options",
    ["-t ed25519", "-t rsa -b 2048", "-t rsa -b 3072", "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521"],
)
def test_what_ssh_keygen_makes(tmp_path: Path, options: str) -> None:
    path = tmp_path / "key"
    subprocess.run([str(KEYGEN), *options.split(), "-q", "-N", "", "-C", "anna's key", "-f", path], check=True)
    text = path.with_suffix(".pub").read_text().rstrip("\n")
    assert key_problem(text) is None
    assert fingerprint(text) == listed(path.with_suffix(".pub"))
    assert key_problem(path.read_text())


@pytest.mark.skipif(KEYGEN is None, reason="ssh-keygen is not installed")
@pytest.mark.parametrize("name", ["ed25519", "rsa 2048", "rsa 16384", "sk ed25519"])
def test_what_ssh_keygen_reads(tmp_path: Path, name: str) -> None:
    """Also types that need a security key to be made."""
    (tmp_path / "key.pub").write_text(GOOD[name] + "\n")
    assert fingerprint(GOOD[name]) == listed(tmp_path / "key.pub")


@pytest.mark.skipif(KEYGEN is None, reason="ssh-keygen is not installed")
def test_a_security_key_of_the_other_type(tmp_path: Path) -> None:
    """Its point is a real one, since ssh-keygen looks whether it lies on the curve."""
    subprocess.run([str(KEYGEN), "-t", "ecdsa", "-b", "256", "-q", "-N", "", "-f", tmp_path / "made"], check=True)
    blob = base64.b64decode((tmp_path / "made.pub").read_text().split()[1])
    text = key(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", blob[-65:], b"ssh:")
    (tmp_path / "key.pub").write_text(text + "\n")
    assert fingerprint(text) == listed(tmp_path / "key.pub")


def listed(path: Path) -> str:
    done = subprocess.run([str(KEYGEN), "-l", "-f", path], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]
