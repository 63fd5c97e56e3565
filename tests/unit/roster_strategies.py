# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of every kind for the roster's tests: good ones, nearly good ones, and garbage."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._roster.model import Rejected, Roster
from ansible_collections.identity.roster.plugins.module_utils._roster.validation import (
    GROUP_FIELDS,
    USER_FIELDS,
    build_from_records,
)

Record = Any

#: A secret that can be found again wherever it goes.
CANARY = "$6$canarysalt$" + "CaNaRy" * 14 + "CA"
HASH = "$y$j9T$PndeLmXAIF6ajTjz2nltU1$gkyv5rCC6IX8nL3CIpR9VjbqWxlorjf8M/Whn65GKi8"

#: Few enough to meet each other, in every way in which two names can be one.
NAMES = (
    *(
        "anna",
        "Anna",
        "ANNA",
        "\uff41\uff4e\uff4e\uff41",
        "an\u200bna",
        "berta",
        "straße",
        "STRASSE",
        "σας",
        "ΣΑΣ",
        "\u03c3\u03b1\u03c3",
    ),
    *(
        "jürgen",
        "ju\u0308rgen",
        "JÜRGEN",
        "İnci",
        "i\u0307nci",
        "\u0131nci",
        "ﬁona",
        "fiona",
        "root",
        "4711",
        "a:b",
        " x",
    ),
)

anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
plain = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12)
names = st.sampled_from(NAMES) | plain.filter(lambda text: text.strip() == text != "" and ":" not in text)
numbers = st.sampled_from((0, 1000, 10001, 2**32 - 2)) | st.integers(0, 2**32 - 2)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(anything, inner, max_size=4),
    max_leaves=8,
)

avatars = st.fixed_dictionaries({"path": names, "sha256": st.text("0123456789abcdef", min_size=64, max_size=64)})
good_users = st.fixed_dictionaries(
    {"username": names},
    optional={
        "id": names,
        "uid": numbers,
        "gid": numbers,
        "full_name": plain,
        "first_name": plain,
        "last_name": plain,
        "email": names | st.sampled_from(("", " ")),
        "enabled": st.booleans(),
        "admin": st.booleans(),
        "password_hash": st.just(HASH),
        "groups": st.lists(names, max_size=4),
        "shell": plain,
        "home": plain,
        "ssh_public_keys": st.lists(names, max_size=3),
        "external_id": names,
        "avatar": avatars,
        "profile": st.dictionaries(names, plain | st.just("two\nlines"), max_size=3),
    },
)
good_groups = st.fixed_dictionaries({"name": names}, optional={"gid": numbers, "description": plain})


@st.composite
def spoilt(draw: st.DrawFn, good: st.SearchStrategy[dict[str, Any]], fields: tuple[str, ...]) -> dict[str, Any]:
    """A good record of which a few fields are replaced, taken away or added."""
    record = dict(draw(good))
    for key in draw(st.lists(st.sampled_from(fields) | anything, min_size=1, max_size=3)):
        if draw(st.booleans()):
            record[key] = draw(json_values)
        else:
            record.pop(key, None)
    return record


users: st.SearchStrategy[Record] = good_users | spoilt(good_users, tuple(USER_FIELDS)) | json_values
groups: st.SearchStrategy[Record] = good_groups | spoilt(good_groups, tuple(GROUP_FIELDS)) | json_values
user_lists = st.lists(users, max_size=8)
group_lists = st.lists(groups, max_size=5)
refusals = st.builds(
    Rejected,
    kind=st.sampled_from(("user", "group")),
    field=anything,
    reason=anything,
    id=st.none() | anything | names,
    name=st.none() | anything | names,
    record=st.none() | anything,
)
sources = st.dictionaries(plain, plain, max_size=3)


@st.composite
def rosters(draw: st.DrawFn) -> Roster:
    return build_from_records(draw(sources), draw(user_lists), draw(group_lists), draw(st.lists(refusals, max_size=3)))
