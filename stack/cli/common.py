"""What the commands have in common: the group itself, settings, and following a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from stack.core.errors import StackError
from stack.core.runtimes import RUNTIMES

if TYPE_CHECKING:
    from stack.core.settings import Settings
    from stack.ops.runtimes import Runtime
    from stack.project import Project

Option = Callable[[Any], Any]


class Group(click.Group):
    """Commands in the order in which they are added; a `StackError` is shown without a traceback."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StackError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from stack.core.version import version

        click.echo(version())
        context.exit()


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def main() -> None:
    """Run a home-lab MLOps stack and its projects."""


def settings_with(**options: str | None) -> Settings:
    """Return the settings of the environment and .env; options override them."""
    from stack.core.settings import load
    from stack.core.variables import key

    return load(os.environ | {key(name): value for name, value in options.items() if value})


def opened(project: str) -> Project:
    """Return a project of the stack that the environment and .env describe."""
    from stack.project import Project

    return Project.open(project, settings_with())


def current_runtime(**options: str | None) -> Runtime:
    """Return the runtime of the stack that the environment and .env describe."""
    from stack.ops import runtimes

    return runtimes.current(settings_with(**options))


runtime_option = click.option("--runtime", type=click.Choice(["auto", *RUNTIMES]), help="How to run the services.")


def out_option(default: str, text: str) -> Option:
    """Return the option ``--out``, a path."""
    return click.option("--out", type=click.Path(path_type=Path), default=default, show_default=True, help=text)


def instant_option(*names: str, text: str) -> Option:
    """Return an option that takes an instant with its zone, and passes it on as ISO 8601."""

    def iso(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
        from stack.core.clock import instant

        return instant(value).isoformat() if value else None

    return click.option(*names, callback=iso, help=text)


def project_command(function: Callable[..., None]) -> click.Command:
    """Add a command with the argument PROJECT."""
    return main.command()(click.argument("project")(function))


def flow_command(flow: str, text: str, *options: Option) -> None:
    """Add a command that runs a flow of PROJECT and follows it; the options are the flow's parameters."""

    @main.command(flow, help=text)
    @click.argument("project")
    def command(project: str, **parameters: str | int | None) -> None:
        follow(flow, project, parameters)

    for option in options:
        option(command)


def follow(flow: str, project: str, parameters: Mapping[str, str | int | None]) -> None:
    """Run a deployment and print its log; end with 1 unless it succeeds."""
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
    if not outcome.good:
        sys.exit(1)
