"""What would be understood of a table, as JSON: ``python -m stack.authoring.scaffold.preview NAME PLACE WISHES``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from stack.authoring.scaffold import project, series
from stack.authoring.scaffold.choices import NONE, Choices, dates
from stack.authoring.scaffold.project import Understood
from stack.authoring.scaffold.wishes import Wishes
from stack.core.errors import StackError
from stack.specification import tasks

ROWS = 8
LETTERS = 40
"""Of a value, at most."""


def preview(name: str, place: str, wishes: Wishes, now: datetime) -> dict[str, Any]:
    """Return the first rows of a place, and for each column what a project would do with it.

    Where no target is wished for, the likeliest is taken.

    Raises:
        StackError: as :func:`stack.authoring.scaffold.project.understand`.
    """
    understood = project.understand(name, place, wishes, now, lambda question, default, known: default)
    choices, table = understood.choices, understood.table
    return {
        "question": choices.title,
        "count": len(table),
        "task": choices.task,
        "tasks": list(tasks.KINDS),
        "zone": choices.zone,
        "every": series.words(choices.every) if choices.every else "",
        "steps": choices.steps,
        "ahead": ",".join(column.source for column in choices.features if column not in choices.keys),
        "chosen": _chosen(choices),
        "columns": [*_columns(understood)],
        "rows": [[_text(value) for value in row] for row in table.head(ROWS).to_numpy(object).tolist()],
        "sources": [column.source for column in understood.columns],
        "dates": [column.source for column in dates(understood.columns)],
        "header": [str(source) for source in table.columns],
        "notes": understood.notes,
    }


def _chosen(choices: Choices) -> dict[str, str]:
    """Return the wishes that would give the same project."""
    return {
        "target": choices.target.source,
        "time": choices.time.source if choices.time else NONE,
        "known": choices.known.source if choices.known else NONE,
        "keys": ",".join(column.source for column in choices.keys) or NONE,
        "group": choices.group.source if choices.group else NONE,
        "task": choices.task,
    }


def _columns(understood: Understood) -> Iterator[dict[str, Any]]:
    choices = understood.choices
    roles: dict[str, list[Any]] = {
        "target": [choices.target],
        "time": [choices.time],
        "known at": [choices.known],
        "key": choices.keys,
        "group": [choices.group],
        "known later": choices.later,
        "feature": choices.features,
        "names the row": choices.row_key,
    }
    for column in understood.columns:
        role = next((role for role, columns in roles.items() if column in columns), "left out")
        leak = choices.leaks.get(column.source, "")
        yield {
            "source": column.source,
            "kind": column.kind,
            "role": "leak" if leak else role,
            "why": leak or choices.left_out.get(column.source, ""),
            "may_keep": bool(leak) or "KEEP=" in choices.left_out.get(column.source, ""),
        }


def _text(value: Any) -> str:
    text = "" if value is None or value != value else str(value)  # noqa: PLR0124  # a missing value is not itself
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


def main() -> None:
    """Print the preview, or the error under the key ``error``."""
    name, place, wishes = sys.argv[1:]
    try:
        given = json.loads(wishes)
        given |= {"steps": int(given["steps"])} if "steps" in given else {}
        found = preview(name, place, Wishes(**given), datetime.now(UTC))
    except StackError as error:
        found = {"error": vars(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
