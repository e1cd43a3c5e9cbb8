"""Sources that tests read, and the servers that hold them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from pydantic import TypeAdapter

from stack import sources
from stack.core import secrets
from stack.core.settings import ROOT
from stack.sources import Query
from stack.specification.sources import Source

Read = Callable[..., pd.DataFrame]
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def declared(section: dict[str, Any]) -> Any:
    """The section ``source`` of a project.yaml."""
    return TypeAdapter(Source).validate_python(section)


def documented(page: str) -> list[dict[str, Any]]:
    """The sections ``source`` that a page shows, as they stand there."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    lines = [part for block in blocks for part in re.split(r"^(?=source:)", block, flags=re.MULTILINE) if part]
    return [yaml.safe_load(part)["source"] for part in lines]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read the rows of a section in a window, the whole time when none is given."""

    def rows(section: dict[str, Any], columns: list[str], time: str | None = None, since=FIRST, until=LAST):
        return sources.read(declared(section), tmp_path, Query(columns, time, since, until))

    return rows


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write the secrets of .env."""
    monkeypatch.setattr(secrets, "FILE", tmp_path / ".env")

    def write(**values: str) -> None:
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    return write
