"""Settings that the browser changes: in force at once where the home keeps them, after a restart where `.env` does."""

from typing import Any

from dotenv import dotenv_values

from services.portal import unattended
from services.portal.portal import Portal
from stack.core import saved
from stack.core import settings as core
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.core.variables import key
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
SAVED, LATER = "saved", "saved; it holds after a restart of the services"


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables of a restart: those of now, without what `.env` says about the settings of this module."""
    said = dotenv_values(credentials.FILE, interpolate=False)
    changed = {key(name) for name in TITLES} & {*said}
    return {name: value for name, value in settings.environment().items() if name not in changed}


def after_restart(settings: Settings) -> Settings:
    """Return the settings that the services have after a restart."""
    return core.load(environment(settings), credentials.FILE)


def pending(settings: Settings) -> list[str]:
    """Return what is called differently after a restart."""
    later = after_restart(settings)
    return [title for name, title in TITLES.items() if getattr(later, name) != getattr(settings, name)]


def kept_in_env(settings: Settings) -> set[str]:
    """Return the settings of this module that `.env` keeps: those of a start, and what it or the shell has set."""
    return {name for name in TITLES if name not in saved.FIELDS or name in settings.model_fields_set}


def keep(portal: Portal, **changes: Any) -> str:
    """Keep settings; return what is to be said about it.

    Raises:
        StackError: a value is not valid, or one is kept in `.env` and the stack runs in containers, which do not
            reach that file.
    """
    settings = portal.settings
    texts = {name: str(value) for name, value in changes.items()}
    later = texts.keys() & kept_in_env(settings)
    if later and not unattended.possible():
        keys = ", ".join(sorted(map(key, later)))
        todo = "change it there, on the machine; then `make up`"
        raise StackError(keys, found="in `.env`, which containers do not reach", expected="another place", todo=todo)
    core.load(environment(settings) | {key(name): text for name, text in texts.items()}, credentials.FILE)
    for file, names in ((credentials.FILE, later), (saved.path(settings.home), texts.keys() - later)):
        if names:
            credentials.keep({name: texts[name] for name in texts if name in names}, file)
    portal.settings = settings.renewed()
    return LATER if later else SAVED
