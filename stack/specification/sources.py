"""The section ``source`` of a project's specification: where its rows come from, a class for each kind."""

from datetime import timedelta
from typing import Any, Literal
from zoneinfo import available_timezones

from pydantic import field_validator

from stack.core.errors import nearest
from stack.specification.sections import Spec


class SourceSection(Spec):
    """What every kind of source has. Values that name a secret of ``.env`` are written ``${NAME}``."""

    key: list[str] = []
    """Columns that identify a row, as the project calls them; when left out, the number of its line does."""
    zone: str = "UTC"
    """Zone of instants that name none, and of the local clock of formulas such as `hour(date)`."""
    known_after: timedelta = timedelta(0)
    """How long after its instant the outcome of a row is known, where no column says so (`role: known`)."""

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"the name of a time zone, like Europe/Berlin{nearest(name, available_timezones())}")
        return name


class File(SourceSection):
    """A CSV or Parquet file."""

    kind: Literal["file"] = "file"
    path: str
    """The file; a relative path is below the project's folder."""
    options: dict[str, Any] = {}
    """Arguments of `pandas.read_csv`, as `sep` and `decimal`."""


Source = File
