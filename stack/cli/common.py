"""What the commands have in common: the group itself, settings, and following a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from stack.core.errors import StackError
from stack.core.runtimes import RUNTIMES

if TYPE_CHECKING:
    from stack.core.settings import Settings
    from stack.ops.runtime import Runtime
    from stack.project import Project

Command = TypeVar("Command", bound=Callable[..., Any])


class Group(click.Group):
    """Commands in the order in which they are added; a `StackError` is shown without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Keep the order of the modules, and of their commands."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end with 1 on an error that the user can fix."""
        try:
            return super().invoke(ctx)
        except StackError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run a home-lab MLOps stack and its projects."""


def settings_with(**options: str | None) -> Settings:
    """Return the settings of the environment and .env; an option that is given wins."""
    from stack.core.settings import load

    given = {f"STACK_{name}".upper(): value for name, value in options.items() if value}
    return load(os.environ | given)


def opened(project: str) -> Project:
    """Return a project of the stack that the environment and .env describe."""
    from stack.project import Project

    return Project.open(project, settings_with())


def current_runtime(**options: str | None) -> Runtime:
    """Return the runtime of the stack that the environment and .env describe."""
    from stack.ops import runtimes

    return runtimes.current(settings_with(**options))


runtime_option = click.option("--runtime", type=click.Choice(["auto", *RUNTIMES]), help="How to run the services.")


def project_and(*options: str) -> Callable[[Command], Command]:
    """Return the argument PROJECT, and of the options since, until, input and output those that a flow takes."""
    known = {
        "since": click.option("--since", help="Start of the window, ISO 8601 with a zone, exclusive."),
        "until": click.option("--until", help="End of the window, ISO 8601 with a zone, inclusive."),
        "input": click.option(
            "--input", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CSV or Parquet to score."
        ),
        "output": click.option(
            "--output", type=click.Path(dir_okay=False, path_type=Path), help="CSV or Parquet for the answers."
        ),
    }

    def decorate(command: Command) -> Command:
        for name in reversed(options):
            command = known[name](command)
        return click.argument("project")(command)

    return decorate


def follow(flow: str, project: str, parameters: Mapping[str, str | int | None]) -> NoReturn:
    """Run a deployment and print its log; end with 1 unless it succeeds."""
    sys.exit(0 if followed(flow, project, parameters) else 1)


def followed(flow: str, project: str, parameters: Mapping[str, str | int | None]) -> bool:
    """Run a deployment and print its log; return whether it succeeded."""
    from stack.ops.runs import Runs
    from stack.specification.specs import load

    load(project)
    runs = Runs(settings_with())
    run = runs.start(flow, project, {name: value for name, value in parameters.items() if value is not None})
    click.echo(f"{flow} of {project}: {runs.url(run)}")
    try:
        outcome = runs.follow(run, click.echo)
    except KeyboardInterrupt:
        runs.cancel(run)
        click.echo(f"{flow} of {project} is being stopped")
        sys.exit(130)
    click.echo(f"{outcome.state.lower()}{': ' + outcome.message if outcome.message else ''}")
    return outcome.good


def instant_or_none(text: str | None) -> str | None:
    """Return an instant with its zone, as ISO 8601."""
    from stack.specification.specs import instant

    return instant(text).isoformat() if text else None
