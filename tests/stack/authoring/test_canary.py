"""The switch of canaries: one number of the file changes and nothing else of it, and the canary that answers goes."""

import pytest

from stack.authoring import canary
from stack.core.errors import StackError

BLOCK = "name: a  # mine\nrollout:\n  # a comment\n  shadow: true\n\ngate: {}\n"
WRITTEN = {
    "no section": ("name: a  # mine\n", "name: a  # mine\nrollout:\n  canary: 0.1\n"),
    "block": (BLOCK, BLOCK.replace("  shadow", "  canary: 0.1\n  shadow")),
    "known": (BLOCK + "#\n", BLOCK.replace("  shadow", "  canary: 0.1\n  shadow") + "#\n"),
    "flow": ("rollout: {shadow: true}\nname: a\n", "rollout: {canary: 0.1, shadow: true}\nname: a\n"),
    "empty": ("rollout: {}\n", "rollout: {canary: 0.1}\n"),
}


@pytest.mark.parametrize(("text", "wanted"), WRITTEN.values(), ids=WRITTEN)
def test_one_number_is_written_and_the_rest_stays(text, wanted):
    assert canary.with_number(text, "rollout", "canary", 0.1) == wanted
    off = canary.with_number(wanted, "rollout", "canary", 0)
    assert off == wanted.replace("0.1", "0")


def test_a_section_that_cannot_be_changed_in_place_is_left_to_a_person():
    text = "other: &a {shadow: true}\nrollout: *a\n"
    with pytest.raises(StackError, match="by hand"):
        canary.with_number(text, "rollout", "canary", 0.1)
