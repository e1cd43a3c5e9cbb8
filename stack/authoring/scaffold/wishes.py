"""What a user asks for of a new project."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wishes:
    """What the user asked for; None where nothing."""

    target: str | None = None
    time: str | None = None
    """The column, or several by commas."""
    known: str | None = None
    keys: str | None = None
    task: str | None = None
    zone: str | None = None
    group: str | None = None
    """Column whose rows of the same value are held out together."""
    keep: str | None = None
    """Columns that are used although they seem to give the target away, or are after the row, by commas."""
    ahead: str | None = None
    """Of a forecast: columns that are known ahead, by commas."""
    steps: int | None = None
    """Of a forecast: how many."""
    missing: str | None = None
    """Of a CSV file or workbook: what stands for a missing value, besides a blank, by commas."""
    table: str | None = None
    """Of a database: the table or query."""
    sensor: str | None = None
    """Of Home Assistant: sensors, by commas."""

    @property
    def kept(self) -> list[str]:
        """The names in `keep`."""
        return [column.strip() for column in (self.keep or "").split(",")]

    @property
    def absent(self) -> list[str]:
        """The values in `missing`."""
        return [value.strip() for value in self.missing.split(",")] if self.missing else []
