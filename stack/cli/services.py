"""The stack as a whole: start, stop, look at, wipe."""

from __future__ import annotations

import os
import sys

import click

from stack.cli.common import main, settings_with
from stack.core.errors import StackError


@main.command()
@click.option("--runtime", type=click.Choice(["auto", "local", "compose"]), help="How to run the services.")
@click.option("--profiles", help="Optional services from now on, separated by commas: feast-ui, lan, dask; or none.")
@click.option("--pipeline/--no-pipeline", default=True, help="Run the first pipeline of projects without a champion.")
def up(runtime: str | None, profiles: str | None, pipeline: bool) -> None:
    """Start every service, wait until all are healthy, and run the first pipeline."""
    from stack.ops import runtimes, welcome

    settings = settings_with(runtime=runtime, profiles=profiles)
    chosen = runtimes.to_start(settings, click.echo)
    if profiles:
        runtimes.remember(chosen, settings)
    click.echo(f"starting the services ({chosen.NAME})")
    chosen.up(settings, click.echo)
    if settings.join_url:
        return
    outcomes = welcome.first_pipelines(settings, click.echo) if pipeline else {}
    click.echo(welcome.page(settings))
    for name, outcome in outcomes.items():
        if not outcome.good:
            raise StackError(
                f"first pipeline of {name}",
                found=f"{outcome.state.lower()}: {outcome.message}",
                expected="a champion",
                todo=f"read {outcome.url}, then `make run PROJECT={name}`",
            )


@main.command()
def down() -> None:
    """Stop every service; the state stays."""
    from stack.ops import runtimes

    settings = settings_with()
    stopped = runtimes.current(settings).down(settings)
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing ran")


@main.command()
def status() -> None:
    """Show health, port, memory, restarts and uptime of every service; end with 1 if one is unwell."""
    from stack.ops import runtimes, status

    settings = settings_with()
    rows = runtimes.current(settings).rows(settings)
    click.echo(status.table(rows))
    sys.exit(0 if all(row.well for row in rows) else 1)


@main.command()
@click.argument("service", required=False)
@click.option("-n", "--lines", default=50, show_default=True, help="Lines to begin with.")
@click.option("--follow/--no-follow", default=None, help="Go on as lines are written; the default in a terminal.")
def logs(service: str | None, lines: int, follow: bool | None) -> None:
    """Show the log of SERVICE, or of all services."""
    from stack.ops import runtimes

    settings = settings_with()
    on = sys.stdout.isatty() if follow is None else follow
    for line in runtimes.current(settings).logs(settings, service, lines, on):
        click.echo(line)


@main.command()
def doctor() -> None:
    """Look for what keeps the stack from running well; end with 1 if there is something to do."""
    from stack.ops import runtimes

    settings = settings_with()
    found = runtimes.current(settings).findings(settings)
    for finding in found:
        click.echo(str(finding))
    sys.exit(0 if all(finding.good for finding in found) else 1)


@main.command()
def env() -> None:
    """Print shell exports, for eval "$(make env)": the tools' addresses and the virtual environment on PATH."""
    from stack.ops import runtimes

    settings = settings_with()
    click.echo(runtimes.current(settings).exports(settings, os.environ))


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(yes: bool) -> None:
    """Stop the stack and delete its state: data, models, runs, reports."""
    from stack.ops import runtimes

    settings = settings_with()
    chosen = runtimes.current(settings)
    place = chosen.place(settings)
    if not yes:
        click.confirm(f"Delete all state in {place or settings.home}?", abort=True)
    chosen.clean(settings)
    click.echo(f"deleted {place or 'nothing'}")


@main.command()
def apply() -> None:
    """Apply the Feast definitions of feature_repo/ to the registry; a project with broken ones is left out."""
    from stack.core import database
    from stack.features import features
    from stack.ops import versions

    settings = settings_with()
    versions.check(settings)
    database.engine(settings.state_database)
    for name, error in features.apply(settings).items():
        click.echo(f"left out: {name}: {error}")
    versions.write(settings)
