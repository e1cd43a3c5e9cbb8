"""Environment variables as fields of a settings class."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource

from stack.core.errors import StackError, nearest

PREFIX = "STACK_"


def key(field: str) -> str:
    """Return the variable of a field."""
    return f"{PREFIX}{field}".upper()


def fields(model: type[BaseSettings], where: str, variables: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the fields that variables set; refuse an unknown one."""
    known = {key(name) for name in model.model_fields}
    strange = (variable for variable in variables if variable not in known and not _is_secret(variable, known))
    if unknown := next(strange, None):
        found, todo = f"an unknown key{nearest(unknown, known)}", "correct or remove the key"
        raise StackError(f"{where}, key {unknown}", found=found, expected="a key of .env.example", todo=todo)
    source = EnvSettingsSource(model)
    source.env_vars = {variable.lower(): value for variable, value in variables.items()}
    return source()


def _is_secret(variable: str, known: Iterable[str]) -> bool:
    """Return whether a variable is one of :mod:`stack.core.secrets`, and not a misspelt one of the stack."""
    return not variable.startswith(PREFIX) and not get_close_matches(variable.upper(), known, n=1, cutoff=0.9)


def refusal(error: ValidationError, sources: Mapping[str, Mapping[str, Any]]) -> StackError:
    """Return the error of a value that is not valid.

    Args:
        error: of the settings class.
        sources: place -> fields that it has set, the decisive place first.
    """
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else "home"
    where = next((place for place, given in sources.items() if field in given), "settings")
    todo = f"fix {key(field)}; .env.example lists every key with its default"
    return StackError(f"{where}, key {key(field)}", found=repr(first["input"]), expected=first["msg"], todo=todo)
