"""What the form of a new project calls the options of ``stack new``, and messages about these in the form's words."""

import re

from stack.core.errors import StackError

LABELS = {
    "from": "Table",
    "name": "Name",
    "target": "Predict",
    "task": "as",
    "time": "Asked at",
    "known": "Known at",
    "keys": "Whose past counts",
    "group": "Held out together",
    "steps": "Values to forecast",
    "ahead": "Known ahead",
    "zone": "Time zone",
    "keep": "use it anyway",
    "missing": "Stand for a missing value",
    "table": "Table or query of a database",
    "sensor": "Sensors of Home Assistant",
}
"""Option -> label of its field."""
NAMES = "|".join(map(str.upper, LABELS))
COMMAND = re.compile(r"make new NAME=\S+ FROM=\S+ ")
OPTION = re.compile(rf"(?<![\w`'\"])({NAMES})\b(?:=('[^']*'|`[^`]*`|[^\s,;`]*))?")
"""An option in a text, with its value if it has one; not what is quoted there, like a column of the same name."""
UPLOADED = re.compile(r"[^\s=]*/uploads/[0-9a-f]{32}/")
"""The folder of a file that came by the form."""


def worded(text: str) -> str:
    """Return a message of ``stack new`` in the words of the form."""
    return OPTION.sub(_label, COMMAND.sub("", UPLOADED.sub("", text)))


def reworded(error: StackError) -> StackError:
    """Return an error of ``stack new`` in the words of the form; what was found are the user's own words."""
    where = UPLOADED.sub("", error.where)
    first = OPTION.match(where)
    named = _label(first) + where[first.end() :] if first else where
    found, expected = UPLOADED.sub("", error.found), UPLOADED.sub("", error.expected)
    return StackError(named, found=found, expected=expected, todo=worded(error.todo))


def _label(option: re.Match[str]) -> str:
    name, value = option.groups()
    label = f"“{LABELS[name.lower()]}”"
    return f"{label}: {value}" if value else label
