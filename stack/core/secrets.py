"""Secrets of a project's sources and sinks: ``${NAME}`` in its project.yaml stands for the key NAME of ``.env``."""

import json
import os
import re

from dotenv import dotenv_values

from stack.core.errors import StackError, nearest
from stack.core.settings import PREFIX, ROOT

VARIABLE = "PROJECT_SECRETS"
FILE = ROOT / ".env"
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
SHORTEST = 4
"""A shorter value is no secret: it is in many words."""


def resolve(text: str, where: str) -> str:
    """Return a text of project.yaml with each ``${NAME}`` replaced, to be used at once and kept nowhere.

    Args:
        text: may hold any number of references; another dollar sign stays as it is.
        where: the file and key of the text, for the error.

    Raises:
        StackError: ``.env`` has no such key, or it is a setting of the stack.
    """
    names = REFERENCE.findall(text)
    if not names:
        return text
    known = _values()
    for name in names:
        if name not in known:
            expected = f"a key of .env that does not begin with {PREFIX}"
            found = f"${{{name}}}, which .env does not define{nearest(name, known)}"
            raise StackError(where, found=found, expected=expected, todo=f"add the line {name}=... to .env")
    return REFERENCE.sub(lambda reference: known[reference[1]], text)


def redact(text: str) -> str:
    """Return a message with ``${NAME}`` instead of each secret: tools quote addresses in their errors."""
    for name, value in sorted(_values().items(), key=lambda item: -len(item[1])):
        if len(value) >= SHORTEST:
            text = text.replace(value, f"${{{name}}}")
    return text


def exported() -> str:
    """Return all secrets as JSON, for the environment of a container, which has no ``.env``; empty where none is."""
    return json.dumps(secrets) if (secrets := _values()) else ""


def _values() -> dict[str, str]:
    """Return the secrets by name: those of the file, as it is now, above those that a container was given."""
    from_file = {name: value or "" for name, value in dotenv_values(FILE, interpolate=False).items()}
    given: dict[str, str] = json.loads(os.environ.get(VARIABLE) or "{}")
    return given | {name: value for name, value in from_file.items() if not name.startswith(PREFIX)}
