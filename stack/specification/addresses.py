"""Addresses and secrets in a project's specification, which names a secret as ``${NAME}``: its value is in ``.env``."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from stack.core.errors import StackError
from stack.specification.sections import Spec
from stack.specification.yaml_errors import IN_PLAIN_TEXT

SECRET_NAME = re.compile(r"auth|token|api.?key|secret|password|cookie", re.IGNORECASE)
PASSWORD = re.compile(r"://[^/@]*:([^/@]+)@")


def _is_reference(secret: str) -> str:
    """Refuse a secret that stands in project.yaml, without repeating it."""
    if secret and "${" not in secret:
        raise PydanticCustomError(IN_PLAIN_TEXT, "its name, as ${SALES_PASSWORD}, with the value in .env")
    return secret


def _hides_password(url: str) -> str:
    if password := PASSWORD.search(url):
        _is_reference(password[1])
    return url


def require_no_password(place: str) -> None:
    """Refuse the address of a new project's rows that holds a password, without repeating it."""
    if (password := PASSWORD.search(place)) and "${" not in password[1]:
        todo = "put the address into .env, as SALES_DB=postgresql://..., and say FROM=SALES_DB"
        raise StackError("FROM", found="a password", expected="an address without one", todo=todo)


Secret = Annotated[str, AfterValidator(_is_reference)]
"""A secret by name."""
Url = Annotated[str, AfterValidator(_hides_password)]
"""An address that holds no password."""


def _as_text(values: Any) -> Any:
    """Take numbers as YAML reads them: a parameter is a text."""
    if not isinstance(values, dict):
        return values
    return {name: str(value) if isinstance(value, int | float) else value for name, value in values.items()}


def _hide_secrets(values: dict[str, str]) -> dict[str, str]:
    for name, value in values.items():
        if SECRET_NAME.search(name):
            _is_reference(value)
    return values


SecretValues = Annotated[dict[str, str], BeforeValidator(_as_text), AfterValidator(_hide_secrets)]
"""Headers or parameters: those whose name says that they are secret name theirs."""


class Broker(Spec):
    """An MQTT broker."""

    host: str
    """Of the broker."""
    port: int = Field(1883, ge=1, le=65535)
    """Of the broker; usually 8883 with TLS."""
    tls: bool = False
    """Whether the connection is encrypted, and the broker's certificate checked."""
    username: str = ""
    """Of the broker; without a login when left out."""
    password: Secret = ""
    """Of the broker, as `${MQTT_PASSWORD}`."""
