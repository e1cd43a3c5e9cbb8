"""Run the command of a packaged model: answer the rows of a CSV or JSON file, one JSON object a line."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stack.core.errors import StackError

Rows = list[dict[str, Any]]


def main(predict: Callable[[Rows], Rows], arguments: Sequence[str]) -> int:
    """Answer the rows of the file and return the exit code."""
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print("usage: give one file: .csv with a header, or .json with a list of rows; - reads JSON from the input")
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    try:
        for answer in predict(read(arguments[0])):
            print(json.dumps(answer))
    except (StackError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def read(name: str) -> Rows:
    """Read rows; an empty cell of a CSV file is a missing value."""
    if name.endswith(".csv"):
        with Path(name).open(newline="", encoding="utf-8-sig") as file:
            return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]
    content = json.loads(sys.stdin.read() if name == "-" else Path(name).read_text())
    rows: Any = content.get("rows") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise StackError(name, found=str(content)[:80], expected='a list of objects, or {"rows": [...]}')
    return list(rows)
