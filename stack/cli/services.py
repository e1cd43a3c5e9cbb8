"""The stack as a whole: start, stop, look at, wipe."""

from __future__ import annotations

import os
import sys

import click

from stack.cli.common import current_runtime, main, runtime_option, settings_with
from stack.core.errors import StackError


@main.command()
@runtime_option
@click.option("--profiles", help="Optional services from now on, separated by commas: feast-ui, lan, dask; or none.")
@click.option("--pipeline/--no-pipeline", default=True, help="Run the first pipeline of projects without a champion.")
def up(runtime: str | None, profiles: str | None, pipeline: bool) -> None:
    """Start every service, wait until all are healthy, and run the first pipeline."""
    from stack.ops import runtimes, welcome

    settings = settings_with(runtime=runtime, profiles=profiles)
    chosen = runtimes.to_start(settings, click.echo)
    if profiles:
        runtimes.remember(chosen)
    click.echo(f"starting the services ({chosen.name})")
    chosen.up(click.echo)
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
    stopped = current_runtime().down()
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing ran")


@main.command()
def status() -> None:
    """Show health, port, memory, restarts and uptime of every service; end with 1 if one is unwell."""
    from stack.ops import status

    rows = current_runtime().status()
    click.echo(status.table(rows))
    sys.exit(0 if all(row.well for row in rows) else 1)


@main.command()
@click.argument("service", required=False)
@click.option("-n", "--lines", default=50, show_default=True, help="Lines to begin with.")
@click.option("--follow/--no-follow", default=None, help="Go on as lines are written; the default in a terminal.")
def logs(service: str | None, lines: int, follow: bool | None) -> None:
    """Show the log of SERVICE, or of all services."""
    on = sys.stdout.isatty() if follow is None else follow
    for line in current_runtime().logs(service, lines, on):
        click.echo(line)


@main.command()
def doctor() -> None:
    """Check what the stack needs to run well; end with 1 if something is to be done."""
    findings = current_runtime().findings()
    for finding in findings:
        click.echo(str(finding))
    sys.exit(0 if all(finding.good for finding in findings) else 1)


@main.command()
def env() -> None:
    """Print shell exports, for eval "$(make env)": the tools' addresses and the virtual environment on PATH."""
    click.echo(current_runtime().exports(os.environ))


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(yes: bool) -> None:
    """Stop the stack and delete its state: data, models, runs, reports."""
    runtime = current_runtime()
    location = runtime.state_location()
    if not yes:
        click.confirm(f"Delete all state in {location or runtime.settings.home}?", abort=True)
    runtime.clean()
    click.echo(f"deleted {location or 'nothing'}")


@main.command()
def apply() -> None:
    """Bring state and lake up to date; apply the Feast definitions of feature_repo/, leaving out broken projects."""
    from stack.core import migrations, notices
    from stack.features import features
    from stack.lake import lake
    from stack.ops import versions

    settings = settings_with()
    versions.check(settings)
    migrations.upgrade(settings.state_database)
    if migrated := lake.migrate(settings):
        notices.emit(f"partitioned the lake's data of {', '.join(migrated)}; all its revisions stay readable")
    for name, error in features.apply(settings).items():
        notices.emit(f"left out: {name}: {error}")
    versions.write(settings)
