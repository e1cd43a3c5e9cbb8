"""What is to be predicted: the user says it, or else the most plausible columns are named."""

import re
from typing import Any

from stack.authoring.scaffold.choices import Ask, Choices, named
from stack.authoring.scaffold.columns import Column
from stack.authoring.scaffold.wishes import Wishes
from stack.core.errors import StackError

TARGETS = ("target", "label", "outcome", "class", "y", "churn", "churned", "survived", "species", "diagnosis")
MEASURES = re.compile(
    r"(^|_)(price|cost|count|cnt|total|sales|amount|demand|load|rate|status|result|default|fail|failed|risk|score|"
    r"quality|grade|consumption|revenue|units|riders|medv|is_\w+)$"
)
PARTS = re.compile(r"year|yr|month|mnth|day|hour|hr|minute|working_?day|weekday|season|holiday|index|id|lat|lon|long")
MOST = 3


def choose(columns: list[Column], name: str, file: Any, wishes: Wishes, ask: Ask | None) -> Column:
    """Return the column that is to be predicted.

    Raises:
        StackError: it is not named, and there is no terminal to ask at; the most plausible are named.
    """
    usable = [column for column in columns if column.usable]
    if not usable:
        raise StackError("FROM", found="no column with values to predict", expected="a table with a target")
    ranked = plausible(usable, name, columns[0])
    if wishes.target:
        return named(columns, wishes.target, "TARGET")
    if len(usable) == 1 and all(column.kind == "datetime" for column in columns if column is not usable[0]):
        return usable[0]
    if ask is None:
        lines = "; ".join(f"{column.source} ({reason})" for column, reason in ranked[:MOST])
        raise StackError(
            "TARGET",
            found=f"nothing that says what is to be predicted; plausible are {lines}",
            expected="the name of a column",
            todo=f"make new NAME={name} FROM={file} TARGET='{ranked[0][0].source}'",
        )
    best = [column.source for column, _ in ranked]
    return named(columns, ask("Which column is to be predicted?", best[0], best), "TARGET")


def require_learnable(choices: Choices) -> None:
    """Raise a StackError where a table has nothing to predict its target from."""
    if choices.features or choices.time:
        return
    unused = "; ".join(f"{column} is left out: {reason}" for column, reason in choices.left_out.items())
    raise StackError(
        "FROM",
        found=f"nothing to predict {choices.target.source} from" + (f" ({unused})" if unused else ""),
        expected="a column that is known when the question is asked, or the instant of each row",
        todo="add one to the table",
    )


def plausible(usable: list[Column], name: str, first: Column) -> list[tuple[Column, str]]:
    """Return the columns that may be a target, the most plausible first, each with the reason.

    Args:
        usable: those of the table's columns that a model can learn, the first of which may be none of them.
        name: of the project.
        first: column of the table.
    """

    def judged(column: Column) -> tuple[int, str]:
        facts = {
            "it has the project's name": 5 * (column.name == name),
            "its name is that of a target": 4 * (column.name in TARGETS),
            "its name is that of a result": 3 * bool(MEASURES.search(column.name)),
            "it is the last column": 2 * (column is usable[-1]),
            "it has two values": column.distinct == 2,
            "it is the first column": column is first,
        }
        points = sum(facts.values()) - 4 * bool(PARTS.fullmatch(column.name))
        return points, ", ".join(reason for reason, weight in facts.items() if weight) or f"a {column.kind}"

    order = sorted(usable, key=lambda column: -judged(column)[0])
    return [(column, judged(column)[1]) for column in order]
