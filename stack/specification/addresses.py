"""Addresses and secrets in a project's specification, which names a secret as ``${NAME}``: its value is in ``.env``."""

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from stack.specification.yaml_errors import IN_PLAIN_TEXT

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


Secret = Annotated[str, AfterValidator(_is_reference)]
"""A secret by name."""
Url = Annotated[str, AfterValidator(_hides_password)]
"""An address that holds no password."""
