"""The files of a window of the lake, which any process reads that sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from stack.lake import contents
from stack.specification.sections import Table


@dataclass(frozen=True)
class Files:
    """The files with the rows that became known in a window; of snapshot tables, up to its end."""

    tables: Mapping[str, Table]
    stored: Mapping[str, Mapping[str, str]]
    """Table -> batch -> path."""
    since: datetime
    until: datetime

    @property
    def paths(self) -> list[Path]:
        """Return all files."""
        return [Path(path) for files in self.stored.values() for path in files.values()]

    def read(self) -> dict[str, pd.DataFrame]:
        """Read the rows, as :meth:`.lake.Lake.recent` does."""
        return {
            name: contents.known_rows(table, self.stored[name], None if table.snapshot else self.since, self.until)
            for name, table in self.tables.items()
        }
