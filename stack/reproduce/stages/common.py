"""What the stages have in common: their options, and the project as the options change it."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from stack.core.errors import StackError
from stack.specification.specs import ProjectSpec, instant, load

ROWS = "training.parquet"
MODEL = "model.json"


def stage(*options: Callable[[Any], Any]) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command of a stage: the option ``--project``, more of them, and paths; errors in one line."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def told(**given: Any) -> None:
            # Of libraries, about libraries: Feast calls what DuckDB's binding renames.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            try:
                function(**given)
            except StackError as error:
                click.echo(f"error: {error}", err=True)
                sys.exit(1)

        made: Any = told
        for option in reversed((click.option("--project", required=True), *options)):
            made = option(made)
        return click.command(help=function.__doc__)(made)

    return decorate


def moment(name: str) -> Callable[[Any], Any]:
    """An option that is an instant with its zone."""
    return click.option(f"--{name}", required=True, callback=lambda _, __, text: instant(text))


def path(name: str) -> Callable[[Any], Any]:
    """An argument that is a path."""
    return click.argument(name, type=click.Path(path_type=Path))


def protocol(function: Any) -> Any:
    """The options of the protocol of training; what is left out is as project.yaml says."""
    for name in ("trials", "folds", "seed", "holdout_days"):
        function = click.option(f"--{name}", type=int)(function)
    return function


def specification(project: str, **protocol: int | None) -> ProjectSpec:
    """The project, with a protocol of training that differs in what is given."""
    spec = load(project)
    given: dict[str, Any] = {name: value for name, value in protocol.items() if value is not None}
    if "holdout_days" in given:
        given["holdout"] = timedelta(days=given.pop("holdout_days"))
    return spec.model_copy(update={"training": spec.training.model_copy(update=given)})


def say(stage: str, text: str) -> None:
    """Tell how a stage went."""
    click.echo(f"{stage}: {text}")
