# Copyright: (c) 2026, identity.roster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which password hashes may stand in a Linux host's shadow file."""

from __future__ import annotations

import pytest
from hypothesis import given

from ansible_collections.identity.roster.plugins.module_utils._roster.model import User
from ansible_collections.identity.roster.plugins.module_utils._roster.posix import hash_problem, user_problem

from .roster_strategies import CANARY, anything

#: What crypt(3) of libxcrypt makes of "test".
HASHES = (
    "$y$j9T$7Sd7FZQgxZ8N4rr9CbjQb/$a.HzIkBLe2/55YYB6o8Hns0iCKLLL64bFg5/UFzfth9",
    "$gy$j9T$7Sd7FZQgxZ8N4rr9CbjQb/$mwfZfaCbKAgH.iTAuH24mEYZrIy4HXkM37ERsLpDEq9",
    "$7$CU..../....abcdefghijklmnop$VDG7O5mFeU2Xv1LcBS0mG1HEmYq3z/ojl.AXKft./S3",
    "$2b$05$abcdefghijklmnopqrstuuMceFj4VbmHOj8C7PetMxzZkwre/z.Ri",
    "$2a$05$abcdefghijklmnopqrstuuMceFj4VbmHOj8C7PetMxzZkwre/z.Ri",
    "$2y$12$abcdefghijklmnopqrstuuMceFj4VbmHOj8C7PetMxzZkwre/z.Ri",
    "$2x$17$abcdefghijklmnopqrstuuMceFj4VbmHOj8C7PetMxzZkwre/z.Ri",
    "$6$saltsalt$JcVDtuB6d1BHhCd5RPBh8g8xX/1CbY8EU2PN0MTaj2/Mypw4P./C6dN4j0HALhzBDTocyW1Jm.gYaTPjFGCV40",
    "$6$rounds=5000$saltsalt$JcVDtuB6d1BHhCd5RPBh8g8xX/1CbY8EU2PN0MTaj2/Mypw4P./C6dN4j0HALhzBDTocyW1Jm.gYaTPjFGCV40",
    "$6$sa-lt_=+$Aso3iLQoGdI1Gjt9pEn63DVF7elXRVhbABGCPYOICttTbc4pU6WNYeC7NhKVF3TN8u986GitlVN7eIQXo1bj41",
    "$6$$6QSjyCZ4UTABm7iK56Bu/FSrlxpvZLspm/TLE3/o10bt9Kkf9vk4CzV.eF6R8Xc7oxRO65kpgL.VICoaadDA80",
    "$5$saltsalt$q6kNPzk9GPb3dpYKO2TUS45z2kiVxsUVz7eWVJcih.0",
    "$5$rounds=10000$s$ZQoLejMvPRefgnYdRIfzHbU/A9rZhfgNTgkLT97mCW1",
    "$1$saltsalt$tTWg0JeO/sYmHvtKmZE8c.",
    CANARY,
)
NO_HASHES: dict[str, str] = {
    "empty": "",
    "locked": "!",
    "two locks": "!!",
    "nobody's": "*",
    "in shadow": "x",
    "plain": "hunter2",
    "plain and long": "correct horse battery staple",
    "locked hash": "!" + HASHES[0],
    "starred hash": "*" + HASHES[0],
    "DES": "abgOeLfPimXQo",
    "BSD DES": "_J9..rasm3kk6ykRwAfc",
    "SunMD5": "$md5$saltsalt$wUvxdf082iqeBOxlIbZWJ0",
    "SHA-1": "$sha1$1000$saltsalt$ogIu1O8ZKC8WbvZhECLAVzjTdPu3",
    "NT": "$3$$0cb6948805f797bf2a82807973b89537",
    "LDAP": "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr",
    "LDAP crypt": "{CRYPT}" + HASHES[0],
    "PBKDF2": "pbkdf2_sha256$260000$abcdefgh$4Ud1Eb5U7jvvYzzhuMn2wT0Ws9JGEAZ1pAv5iLcyGbE=",
    "Argon2": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$4Ud1Eb5U7jvvYzzhuMn2wT0Ws9JGEAZ1pAv5iLcyGbE",
    "MD5 in hexadecimal": "098f6bcd4621d373cade4e832627b4f6",
    "an id alone": "$6$",
    "SHA-512 for minutes": "$6$rounds=5000001$s$" + "a" * 86,
    "bcrypt for hours": HASHES[3].replace("$05$", "$18$"),
    "an error of crypt": "*0",
    "one character short": HASHES[0][:-1],
    "one character more": HASHES[0] + "a",
    "line break": HASHES[0] + "\n",
    "colon": HASHES[0] + ":0",
    "colon in the salt": HASHES[7].replace("saltsalt", "salt:alt"),
    "control character in the salt": HASHES[7].replace("saltsalt", "salt\x01alt"),
    "umlaut in the salt": HASHES[7].replace("saltsalt", "sältsalt"),
    "too few rounds": HASHES[8].replace("5000", "999"),
    "rounds from zero": HASHES[8].replace("5000", "05000"),
    "cost of 3": HASHES[3].replace("$05$", "$03$"),
    "cost of 32": HASHES[3].replace("$05$", "$32$"),
}


@pytest.mark.parametrize("password_hash", HASHES)
def test_hashes_of_crypt(password_hash: str) -> None:
    assert hash_problem(password_hash) is None
    assert user_problem(User("1", "anna", password_hash=password_hash)) is None


@pytest.mark.parametrize("text", NO_HASHES.values(), ids=NO_HASHES.keys())
def test_what_is_no_hash(text: str) -> None:
    problem = user_problem(User("1", "anna", password_hash=text))
    assert problem == ("password_hash", hash_problem(text))
    assert len(text) < 4 or text not in str(problem)


@given(anything)
def test_no_text_slips_into_shadow(text: str) -> None:
    assert hash_problem(text) is not None
    for hash_of_test in HASHES:
        for spoilt in (text + hash_of_test, hash_of_test + text):
            assert (hash_problem(spoilt) is None) is (text == "")
