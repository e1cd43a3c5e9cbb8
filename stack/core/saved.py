"""Settings that the browser saves in the home: in force at once, beneath the environment and ``.env``.

Containers do not reach the ``.env`` of their checkout, and processes would have to be started anew for it.
"""

import os
from pathlib import Path

from dotenv import dotenv_values

from stack.core.variables import key

FIELDS = ("title", "alert_urls", "backup_daily", "backup_weekly")
"""Those that are read whenever they are needed."""
NAME = "settings.env"


def path(home: Path) -> Path:
    """Return the file of a home."""
    return home / NAME


def read(home: Path) -> dict[str, str]:
    """Return what has been saved, by field; other lines of the file count for nothing.

    Nothing to another user than the stack's, as the one of a notebook in a container: the file has secrets.
    """
    variables = dotenv_values(path(home), interpolate=False) if os.access(path(home), os.R_OK) else {}
    return {name: value for name in FIELDS if (value := variables.get(key(name))) is not None}
