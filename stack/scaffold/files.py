"""How a file is read: CSV with any of the usual separators, TSV or Parquet."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stack.errors import StackError

SEPARATORS = ",;\t|"
SNIFFED = 64 * 1024
LEAST = 20
"""Rows from which a model can be learnt at all."""


@dataclass(frozen=True)
class Source:
    """A file's name and the pandas function that reads it."""

    name: str
    reader: str
    options: str = ""
    separator: str = ","

    @classmethod
    def of(cls, file: Path) -> Source:
        """See what kind of file it is.

        Raises:
            StackError: there is no such file, or it is of no known kind.
        """
        if not file.is_file():
            raise StackError(
                "FROM", found=f"no file {file}", expected="a CSV, TSV or Parquet file", todo="mend the path"
            )
        if file.suffix == ".parquet":
            return cls(file.name, "read_parquet")
        if not {".csv", ".tsv", ".txt"} & {*file.suffixes}:
            raise StackError(f"FROM={file}", found=f"a file {file.suffix}", expected=".csv, .csv.gz, .tsv or .parquet")
        separator = _separator(file)
        return cls(
            file.name, "read_csv", "" if separator == "," else f", sep={separator!r}".replace("'", '"'), separator
        )

    def read(self, file: Path) -> pd.DataFrame:
        """Read the table as the project will.

        Raises:
            StackError: it cannot be read, or has too few rows.
        """
        try:
            table = pd.read_parquet(file) if self.reader == "read_parquet" else pd.read_csv(file, sep=self.separator)
        except (ValueError, OSError) as error:
            raise StackError(f"FROM={file}", found=str(error), expected="a table") from None
        if len(table) < LEAST or len(table.columns) < 2:
            found = f"{len(table)} rows, {len(table.columns)} columns"
            raise StackError(f"FROM={file}", found=found, expected=f"at least {LEAST} rows and 2 columns")
        return table


def _separator(file: Path) -> str:
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        head = lines.readline() + "".join(lines.readlines(SNIFFED))
    try:
        return csv.Sniffer().sniff(head, SEPARATORS).delimiter
    except csv.Error:
        return max(SEPARATORS, key=head.partition("\n")[0].count)
