# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNs: equal names have equal keys, and only they."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._sources.ldap_names import normalised_dn, parse_dn

SAME = {
    "case": ["CN=Anna,DC=Example,DC=Org", "cn=anna,dc=example,dc=org"],
    "spaces": ["cn = Anna , dc=example", "cn=anna,dc=example"],
    "inner spaces": ["cn=Anna   Maria,dc=a", "cn=anna maria,dc=a"],
    "escaped comma": [r"cn=Strauß\, Jürgen,dc=a", r"cn=STRAUSS\2C JÜRGEN,dc=a", 'cn="Strauß, Jürgen",dc=a'],
    "escaped hex": [r"cn=J\C3\BCrgen,dc=a", "cn=jürgen,dc=a"],
    "decomposed": ["cn=Jürgen,dc=a", "cn=Ju\u0308rgen,dc=a"],
    "order of values": ["cn=a+uid=b,dc=c", "UID=B + CN=A,dc=c"],
    "names of types": ["2.5.4.3=a,oid.2.5.4.10=b", "commonName=A,o=B"],
    "ber": ["cn=#0403616263,dc=a", "cn=ABC,dc=a"],
    "semicolon": ["cn=a;dc=b", "cn=a,dc=b"],
    "trailing space": ["cn=a\\ ,dc=b", "cn=a,dc=b"],
    "nothing": ["", "  "],
}
OTHER = [
    (r"cn=a\,dc=b", "cn=a,dc=b"),
    (r"cn=a\+uid=b,dc=c", "cn=a+uid=b,dc=c"),
    ("cn=a,dc=b", "cn=a,ou=b"),
    ("cn=a,dc=b", "cn=a,dc=b,dc=c"),
    (r"cn=a\\,dc=b", "cn=a,dc=b"),
    (r"cn=a\3Db,dc=c", r"cn=a\3Dc,dc=c"),
]


@pytest.mark.parametrize("names", SAME.values(), ids=SAME.keys())
def test_one_name_written_in_several_ways(names: list[str]) -> None:
    assert len({normalised_dn(name) for name in names}) == 1


@pytest.mark.parametrize(("one", "other"), OTHER, ids=[pair[0] for pair in OTHER])
def test_different_names(one: str, other: str) -> None:
    assert normalised_dn(one) != normalised_dn(other)


@pytest.mark.parametrize("text", ["anna", "cn", "=a", "cn=a,,dc=b", "c n=a", 'cn="a', "cn=a\\", "cn=#xy", "1.=a"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="is no DN"):
        normalised_dn(text)


def test_the_parts_of_a_name() -> None:
    assert parse_dn(r"CN=a\2Cb+uid=c, DC=d") == [(("cn", "a,b"), ("uid", "c")), (("dc", "d"),)]


def _escaped(value: str) -> str:
    return "".join("".join(f"\\{byte:02X}" for byte in each.encode()) for each in value)


@given(st.lists(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_escapes_change_nothing(values: list[str]) -> None:
    name = ",".join(f"cn={_escaped(value)}" for value in values)
    assert [part[0][1] for part in parse_dn(name)] == values
    assert normalised_dn(name) == normalised_dn(name.lower())


@given(st.text())
def test_any_text_is_a_name_or_not(text: str) -> None:
    try:
        key = normalised_dn(text)
    except ValueError:
        return
    assert normalised_dn(f" {text}") == key
