"""The command line: ``stack COMMAND``; each make target is one of these.

Imports stay inside the commands, so that ``stack --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from stack.errors import StackError

if TYPE_CHECKING:
    from stack.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


class Group(click.Group):
    """Commands in the order of this file; a `StackError` is told without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Keep the order in which a user meets the commands."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end with 1 on an error that the user can mend."""
        try:
            return super().invoke(ctx)
        except StackError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run a home-lab MLOps stack and its projects."""


@main.command()
@click.option("--runtime", type=click.Choice(["auto", "local", "compose"]), help="How to run the services.")
@click.option("--profiles", help="Optional services, separated by commas: feast-ui.")
@click.option("--pipeline/--no-pipeline", default=True, help="Run the first pipeline of projects without a champion.")
def up(runtime: str | None, profiles: str | None, pipeline: bool) -> None:
    """Start every service, wait until all are healthy, and run the first pipeline."""
    from stack.runtime import runtimes, welcome

    settings = _settings(runtime=runtime, profiles=profiles)
    chosen = runtimes.to_start(settings, click.echo)
    click.echo(f"starting the services ({chosen.NAME})")
    chosen.up(settings, click.echo)
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
    from stack.runtime import runtimes

    settings = _settings()
    stopped = runtimes.current(settings).down(settings)
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing ran")


@main.command()
def status() -> None:
    """Show health, port, memory, restarts and uptime of every service; end with 1 if one is unwell."""
    from stack.runtime import runtimes, status

    settings = _settings()
    rows = runtimes.current(settings).rows(settings)
    click.echo(status.table(rows))
    sys.exit(0 if all(row.well for row in rows) else 1)


@main.command()
@click.argument("service", required=False)
@click.option("-n", "--lines", default=50, show_default=True, help="Lines to begin with.")
@click.option("--follow/--no-follow", default=None, help="Go on as lines are written; the default in a terminal.")
def logs(service: str | None, lines: int, follow: bool | None) -> None:
    """Show the log of SERVICE, or of all services."""
    from stack.runtime import runtimes

    settings = _settings()
    on = sys.stdout.isatty() if follow is None else follow
    for line in runtimes.current(settings).logs(settings, service, lines, on):
        click.echo(line)


@main.command()
def doctor() -> None:
    """Look for what keeps the stack from running well; end with 1 if there is something to do."""
    from stack.runtime import runtimes

    settings = _settings()
    found = runtimes.current(settings).findings(settings)
    for finding in found:
        click.echo(str(finding))
    sys.exit(0 if all(finding.good for finding in found) else 1)


@main.command()
def env() -> None:
    """Print shell exports, for eval "$(make env)": the tools' addresses and the virtual environment on PATH."""
    from stack.runtime import runtimes

    settings = _settings()
    click.echo(runtimes.current(settings).exports(settings, os.environ))


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(yes: bool) -> None:
    """Stop the stack and delete its state: data, models, runs, reports."""
    from stack.runtime import runtimes

    settings = _settings()
    chosen = runtimes.current(settings)
    place = chosen.place(settings)
    if not yes:
        click.confirm(f"Delete all state in {place or settings.home}?", abort=True)
    chosen.clean(settings)
    click.echo(f"deleted {place or 'nothing'}")


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default="backups", show_default=True, help="Folder or file.")
@click.option("--secrets", is_flag=True, help="Put .env in too.")
def backup(out: Path, secrets: bool) -> None:
    """Write all state into one archive, while the stack runs."""
    from datetime import UTC, datetime

    from stack.backup import contents, runtimes

    settings = _settings()
    env = contents.ENV if secrets else None
    runtimes.current(settings).make(settings, out, datetime.now(UTC), click.echo, secrets=env)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--runtime", type=click.Choice(["auto", "local", "compose"]), help="Where to restore.")
@click.option("--yes", is_flag=True, help="Move the state that is there aside.")
@click.option("--secrets", is_flag=True, help="Write .env from the archive.")
def restore(file: Path, runtime: str | None, yes: bool, secrets: bool) -> None:
    """Bring back the state in FILE, an archive of `backup`; the stack must be down."""
    from datetime import UTC, datetime

    from stack.backup import runtimes

    settings = _settings(runtime=runtime)
    back = runtimes.current(settings).bring_back
    back(settings, file, datetime.now(UTC), click.echo, replace=yes, secrets=secrets)


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default="backups", show_default=True, help="Folder or file.")
def upgrade(out: Path) -> None:
    """Back up, install the locked packages, and start the checked-out version, which migrates the databases."""
    from datetime import UTC, datetime

    from stack.backup import upgrade

    upgrade.upgrade(_settings(), out, datetime.now(UTC), click.echo)


@main.command()
def apply() -> None:
    """Apply the Feast definitions of feature_repo/ to the registry; a project with broken ones is left out."""
    from stack import features, state
    from stack.runtime import versions

    settings = _settings()
    versions.check(settings)
    state.engine(settings.state_database)
    for name, error in features.apply(settings).items():
        click.echo(f"left out: {name}: {error}")
    versions.write(settings)


def _project_and(*options: str) -> Callable[[Command], Command]:
    """The argument PROJECT, and of the options since, until, input and output those that a flow takes."""
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


@main.command()
@_project_and()
def run(project: str) -> None:
    """Run the whole pipeline of PROJECT: ingest, train, promote, monitor."""
    _follow("pipeline", project, {})


@main.command()
@_project_and("since", "until")
def ingest(project: str, since: str | None, until: str | None) -> None:
    """Fetch, check and append the rows of PROJECT that became known in a window; by default since the last batch."""
    _follow("ingest", project, {"since": _instant(since), "until": _instant(until)})


@main.command()
@_project_and("until")
def train(project: str, until: str | None) -> None:
    """Train PROJECT on the labels known at --until; the gate decides whether the model goes live."""
    _follow("train", project, {"cutoff": _instant(until)})


@main.command()
@_project_and()
def promote(project: str) -> None:
    """Judge the challenger of PROJECT, and make it champion when it passes."""
    _follow("promote", project, {})


@main.command()
@click.argument("project")
@click.option("--reason", default="asked for", show_default=True, help="Why; it stands in the audit.")
def rollback(project: str, reason: str) -> None:
    """Make the previous version of PROJECT champion again, at once and without the worker."""
    from datetime import UTC, datetime

    from stack import clock, rollback
    from stack.audit import Instant
    from stack.project import load

    settings, spec = _settings(), load(project)
    if _in_containers(settings):
        _follow("rollback", project, {"reason": reason})  # ends the command
    when = Instant(clock.now(settings, spec), datetime.now(UTC))
    rollback.run(settings, spec, when, reason, click.echo)


@main.command()
@click.argument("project")
@click.option("-n", "--last", default=20, show_default=True, help="How many decisions, the newest last.")
def audit(project: str, last: int) -> None:
    """Show the decisions about which version of PROJECT is live."""
    from stack import audit
    from stack.project import load

    settings, spec = _settings(), load(project)
    if _in_containers(settings):
        todo = f"docker compose exec worker stack audit {project}"
        raise StackError("audit", found="a state database in a container", expected="one on this host", todo=todo)
    for one in audit.entries(settings, spec, last):
        undone = "" if one.state == "done" else f" ({one.state})"
        after = f" after {one.champion}" if one.champion else ""
        click.echo(f"{one.at:%Y-%m-%d %H:%M}  {one.kind} {one.version}{after}{undone}: {one.reason}")


@main.command()
@_project_and("since", "until", "input", "output")
def predict(project: str, since: str | None, until: str | None, input: Path | None, output: Path | None) -> None:  # noqa: A002
    """Score a file or a window with the champion of PROJECT."""
    from stack.runtime import runtimes

    settings = _settings()
    window = {"since": _instant(since), "until": _instant(until)}
    with runtimes.current(settings).exchange(settings, input, output) as (given, wanted):
        _follow("predict", project, window | {"input": given, "output": wanted})


@main.command()
@_project_and("until")
def monitor(project: str, until: str | None) -> None:
    """Report drift and performance of PROJECT over the window that ends at --until."""
    _follow("monitor", project, {"at": _instant(until)})


@main.command()
@_project_and("since", "until")
def skew(project: str, since: str | None, until: str | None) -> None:
    """Recompute the features of the predictions of PROJECT asked in a window; end with 1 if any differs."""
    _follow("skew", project, {"since": _instant(since), "until": _instant(until)})


@main.command()
@click.argument("project")
@click.option("--until", required=True, help="Play to the end of this date (UTC), or to an instant with a zone.")
def replay(project: str, until: str) -> None:
    """Play the recorded data of PROJECT forward from its clock's now: asked again, it goes on where it was stopped."""
    from stack.project import end_of

    _follow("replay", project, {"until": end_of(until).isoformat()})


def _settings(**options: str | None) -> Settings:
    """The settings of the environment and .env; an option that is given wins."""
    from stack.settings import load

    given = {f"STACK_{name}".upper(): value for name, value in options.items() if value}
    return load(os.environ | given)


def _in_containers(settings: Settings) -> bool:
    """Whether the state database is out of this process's reach."""
    from stack.runtime import containers, runtimes

    return runtimes.current(settings).NAME == containers.NAME


def _follow(flow: str, project: str, parameters: Mapping[str, str | None]) -> NoReturn:
    """Run a deployment and tell its log; end with 1 unless it succeeds."""
    from stack.project import load
    from stack.runtime.runs import Runs

    load(project)
    runs = Runs(_settings())
    run = runs.start(flow, project, {name: value for name, value in parameters.items() if value is not None})
    click.echo(f"{flow} of {project}: {runs.url(run)}")
    try:
        outcome = runs.follow(run, click.echo)
    except KeyboardInterrupt:
        runs.cancel(run)
        click.echo(f"{flow} of {project} is being stopped")
        sys.exit(130)
    click.echo(f"{outcome.state.lower()}{': ' + outcome.message if outcome.message else ''}")
    sys.exit(0 if outcome.good else 1)


def _instant(text: str | None) -> str | None:
    from stack.project import instant

    return instant(text).isoformat() if text else None
