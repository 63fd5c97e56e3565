# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results as targets make them, for the tests of the report."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ansible_collections.identity.roster.plugins.module_utils._outcome import Change, Outcome

CENSORED = {"censored": "the output has been hidden", "changed": True}
CREATE = Change("user", "anna", "create", {"uid": (None, 5000)})
DISABLE = Change("user", "bert", "disable", {"enabled": (True, False)})
GROUP = Change("group", "sales", "create", {"gid": (None, 6000)})


def answer(*changes: Change, **more: Any) -> dict[str, Any]:
    """A contract's result as the module makes it."""
    given = {key: more.pop(key) for key in ("rejected", "failed", "pending") if key in more}
    return {**Outcome(changes=list(changes), **given).as_result(), **more}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.dictionaries(st.sampled_from(["kind", "name", "id", "action", "field", "fields", "reason"]), JSON)
