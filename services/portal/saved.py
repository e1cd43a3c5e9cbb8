"""Settings that the browser changes: kept in `.env`, in force after a restart of the services."""

from typing import Any

from dotenv import dotenv_values

from services.portal import unattended
from stack.core import settings as core
from stack.core.errors import StackError
from stack.core.settings import PREFIX, Settings
from stack.ops import credentials

TITLES = {
    "title": "the name",
    "alert_urls": "where alarms go",
    "backup_folder": "where backups go",
    "backup_daily": "the days with a backup",
    "backup_weekly": "the weeks with a backup",
    "profiles": "who gets in from other machines",
    "lan_password_hash": "the login",
}
"""Name of each such setting -> what it is called on pages."""


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables of a restart: those of now, without what `.env` says about the settings of this module."""
    said = dotenv_values(credentials.FILE, interpolate=False)
    changed = {key for name in TITLES if (key := f"{PREFIX}{name}".upper()) in said}
    return {key: value for key, value in settings.environment().items() if key not in changed}


def after_restart(settings: Settings) -> Settings:
    """Return the settings that the services have after a restart."""
    return core.load(environment(settings), credentials.FILE)


def pending(settings: Settings) -> list[str]:
    """Return what is called differently after a restart."""
    later = after_restart(settings)
    return [title for name, title in TITLES.items() if getattr(later, name) != getattr(settings, name)]


def keep(settings: Settings, **changes: Any) -> None:
    """Keep settings in `.env`.

    Raises:
        StackError: a value is not valid, or the stack runs in containers, which do not reach the file.
    """
    if not unattended.possible():
        raise StackError(".env", found="containers", expected="a checkout", todo="add the line to .env on the machine")
    texts = {name: str(value) for name, value in changes.items()}
    keys = {f"{PREFIX}{name}".upper(): text for name, text in texts.items()}
    core.load(environment(settings) | keys, credentials.FILE)
    credentials.keep(texts, credentials.FILE)
