"""Messages of `make new` name what the form shows, and leave the user's own words alone."""

import pytest

from services.portal.wishes import LABELS, reworded, worded
from stack.cli.projects import new
from stack.core.errors import StackError

UPLOAD = "/var/uploads/0123456789abcdef0123456789abcdef/"


def test_every_option_has_a_label():
    options = {part.opts[0].lstrip("-") for part in new.params} - {"unfinished"}
    assert options == set(LABELS)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name another column, or TASK=regression", "name another column, or “as”: regression"),
        ("with KEEP=`end reason`.", "with “use it anyway”: `end reason`."),
        (f"make new NAME=a FROM={UPLOAD}a.csv TARGET='net price'", "“Predict”: 'net price'"),
        ("the column `TIME` and 'KEYS' stay", "the column `TIME` and 'KEYS' stay"),
        ("AHEAD= those that are known", "“Known ahead” those that are known"),
    ],
)
def test_options_are_named_by_their_labels_but_not_what_is_quoted(text, wanted):
    assert worded(text) == wanted


def test_an_error_keeps_what_was_found():
    error = StackError(f"FROM={UPLOAD}a.csv, column TIME", found="KEYS", expected="rows", todo="leave KEYS out")
    shown = reworded(error)
    assert (shown.where, shown.found) == ("“Table”: a.csv, column TIME", "KEYS")
    assert shown.todo == "leave “Whose past counts” out"
    assert reworded(StackError(f"{UPLOAD}a.csv", found="x", expected="y")).where == "a.csv"
