"""The passwords of the database servers: made up once, kept in ``.env``, which only its owner may read."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from stack.core import files
from stack.core.settings import PREFIX, ROOT, Settings

FILE = ROOT / ".env"
FIELDS = tuple(name for name in Settings.model_fields if name.endswith("_password"))


def missing(settings: Settings) -> list[str]:
    """Settings of a password that nobody has given yet."""
    return [name for name in FIELDS if not getattr(settings, name)]


def complete(settings: Settings, file: Path = FILE) -> Settings:
    """Add the missing passwords to the file, which keeps its other lines; what is given stays.

    Returns:
        The settings with every password.
    """
    generated = {name: secrets.token_hex(24) for name in missing(settings)}
    if generated:
        keep(generated, file)
    return settings.model_copy(update=generated)


def keep(settings: Mapping[str, str], file: Path = FILE) -> None:
    """Set settings in the file, in quotes within which a dollar sign is none of a variable; its other lines stay."""
    values = {f"{PREFIX}{name}".upper(): value for name, value in settings.items()}
    before = file.read_text().splitlines() if file.exists() else []
    others = [line for line in before if line.removeprefix("export ").partition("=")[0].strip() not in values]
    lines = [*others, *(f"{key}='{value}'" for key, value in values.items())]
    files.write(file, "\n".join(lines) + "\n", mode=0o600)
