"""The keys of services and the passwords of database servers: generated once, kept in ``.env`` for its owner alone."""

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from stack.core import files, variables
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings

FILE = ROOT / ".env"
KEYS = ("prefect_key", "access_key")
"""Of both runtimes."""
PASSWORDS = tuple(name for name in Settings.model_fields if name.endswith("_password"))
"""Of the servers of Docker Compose, which keep those of their first start."""
FIELDS = (*KEYS, *PASSWORDS)


def missing(settings: Settings, fields: Iterable[str] = FIELDS) -> list[str]:
    """Return those of the fields that are not set yet."""
    return [name for name in fields if not getattr(settings, name)]


def complete(settings: Settings, file: Path = FILE, fields: Iterable[str] = FIELDS) -> Settings:
    """Return the settings with all of the fields; those that are missing are generated and kept in the file."""
    generated = {name: secrets.token_hex(24) for name in missing(settings, fields)}
    if generated:
        keep(generated, file)
    return settings.model_copy(update=generated)


def keep(settings: Mapping[str, str], file: Path = FILE) -> None:
    """Set settings in the file, in quotes within which a dollar sign is none of a variable; its other lines stay.

    Raises:
        StackError: a value has a character that ends the quotes or the line.
    """
    values = {variables.key(name): value for name, value in settings.items()}
    for key, value in values.items():
        if found := [character for character in value if character in "'\\" or not character.isprintable()]:
            expected = "no quote, backslash or control character"
            raise StackError(f"{file.name}, key {key}", found=repr(found[0]), expected=expected, todo="leave it out")
    before = file.read_text().splitlines() if file.exists() else []
    others = [line for line in before if line.removeprefix("export ").partition("=")[0].strip() not in values]
    lines = [*others, *(f"{key}='{value}'" for key, value in values.items())]
    files.write(file, "\n".join(lines) + "\n", mode=0o600)
