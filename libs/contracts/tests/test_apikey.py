"""A key is recognised by its form; a mistyped one is not."""

import pytest
from warmlane_contracts.apikey import is_well_formed, key_id, new_key


def test_new_keys_are_well_formed_and_differ() -> None:
    one, other = new_key(), new_key()
    assert one != other
    assert is_well_formed(one)
    assert key_id(one) in one


def test_a_mistyped_key_is_not_well_formed() -> None:
    key = new_key()
    for place in range(len(key)):
        wrong = "a" if key[place] != "a" else "b"
        assert not is_well_formed(key[:place] + wrong + key[place + 1 :])


@pytest.mark.parametrize("text", ["", "wl", "wl___", "wl_a_b_c", "é_b_c_d", "a" * 500])
def test_other_text_is_no_key(text: str) -> None:
    assert not is_well_formed(text)
