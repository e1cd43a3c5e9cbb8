"""The stack as a whole: start, stop, inspect, wipe, back up, upgrade, and train for another stack."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stack.cli.common import current_runtime, main, runtime_option, settings_with
from stack.core.errors import StackError
from stack.core.notices import Reporter

if TYPE_CHECKING:
    from stack.ops.status import Row

KEY = re.compile(r"[0-9a-f]{64}\..+")
"""Without the first part, any authority would be trusted with the password."""
OUT = "Folder or file; by default STACK_BACKUP_FOLDER."
archive_option = click.option("--out", type=click.Path(path_type=Path), help=OUT)


@main.command()
@runtime_option
@click.option("--profiles", help="Optional services from now on, by commas: feast-ui, lan, dask, grafana; or none.")
@click.option("--pipeline/--no-pipeline", default=True, help="Run the first pipeline of projects without a champion.")
def up(runtime: str | None, profiles: str | None, pipeline: bool) -> None:
    """Start every service, wait until all are healthy, and run the first pipeline."""
    from stack.ops import credentials, runtimes, welcome

    settings = settings_with(runtime=runtime, profiles=profiles)
    if not settings.join_url:
        settings = credentials.complete(settings, fields=credentials.KEYS)
    chosen = runtimes.to_start(settings, click.echo)
    if profiles:
        runtimes.remember(chosen)
    click.echo(f"starting the services ({chosen.name})")
    try:
        chosen.up(click.echo)
        outcomes = welcome.first_pipelines(settings, click.echo) if pipeline and not settings.join_url else {}
    except KeyboardInterrupt:
        click.echo(_interrupted(chosen.status()))
        sys.exit(130)
    if settings.join_url:
        return
    click.echo(welcome.page(settings))
    for name, outcome in outcomes.items():
        if not outcome.good:
            raise StackError(
                f"first pipeline of {name}",
                found=f"{outcome.state.lower()}: {outcome.message}",
                expected="a champion",
                todo=f"read {outcome.url}, then `make run PROJECT={name}`",
            )


def _interrupted(rows: list[Row]) -> str:
    """Say what of an interrupted start goes on, and what does not."""
    on = [row.name for row in rows if row.memory]
    off = [row.name for row in rows if not row.memory and row.health != "done"]
    lines = [
        "\ninterrupted",
        f"  runs on:     {', '.join(on) or 'nothing'}; a pipeline that has begun goes on too",
        f"  not started: {', '.join(off) or 'nothing'}",
        "`make up` completes the start, `make down` stops everything",
    ]
    return "\n".join(lines)


@main.command()
def down() -> None:
    """Stop every service; the state stays."""
    stopped = current_runtime().down()
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing ran")


@main.command()
def status() -> None:
    """Show health, port, memory, restarts and uptime of every service, and problems; end with 1 if one is unwell."""
    from stack.core.version import version
    from stack.ops import status

    runtime = current_runtime()
    rows = runtime.status()
    click.echo(f"{status.table(rows)}\nversion {version()}")
    for problem in runtime.problems(datetime.now(UTC)):
        click.echo(str(problem))
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
@click.option("--deep", is_flag=True, help="Read all data, models and databases, and compare them with their hashes.")
def doctor(deep: bool) -> None:
    """Check what the stack needs to run well, and list its problems; end with 1 if something is to be done."""
    from stack.ops.doctor import Finding

    runtime = current_runtime()
    if deep:
        runtime.beside_state(lambda: _verify(click.echo), ["verify"], click.echo)
    problems = runtime.problems(datetime.now(UTC))
    findings = [
        *runtime.findings(),
        *(Finding(problem.title, False, problem.text, problem.todo) for problem in problems),
    ]
    if not problems:
        findings.append(Finding("problems", True, "none"))
    for finding in findings:
        click.echo(str(finding))
    sys.exit(0 if all(finding.good for finding in findings) else 1)


@main.command(hidden=True)
def verify() -> None:
    """Read all data, models and databases, compare them with their hashes, and record what is damaged."""
    _verify(click.echo)


def _verify(report: Reporter) -> None:
    from stack.ops import integrity

    damaged = integrity.check(settings_with(), report)
    report(f"{len(damaged)} damaged" if damaged else "data, models and databases are as they were written")


@main.command()
def alarm() -> None:
    """Send an alarm to the addresses that are saved, to see that it arrives; end with 1 unless each takes it."""
    import logging

    from stack.core import alerts

    settings = settings_with()

    def send() -> None:
        if not settings.alert_urls:
            found, todo = "no address", "add one on the page Settings, or as STACK_ALERT_URLS to .env"
            raise StackError("alarms", found=found, expected="Apprise URLs", todo=todo)
        logging.basicConfig(format="%(message)s")
        if not alerts.notify(settings, "a test", "This is no alarm: it was sent to see it arrive."):
            raise StackError("alarms", found="an address that did not take it", expected="that each does")
        click.echo("sent")

    if "alert_urls" in settings.model_fields_set:
        send()
    else:  # the browser's addresses are where the state is
        current_runtime().beside_state(send, ["alarm"], click.echo)


@main.command()
@click.option("--trust", is_flag=True, help="Believe it as it is now.")
def clock(trust: bool) -> None:
    """Say whether the clock has jumped since it was last looked at."""
    from stack.core import wall_clock

    def look() -> None:
        if trust:
            wall_clock.trust(settings_with())
        problems = wall_clock.problems(settings_with())
        click.echo(str(problems[0]) if problems else f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC is believed")

    current_runtime().beside_state(look, ["clock", *["--trust"] * trust], click.echo)


@main.command()
@click.option("--secrets", is_flag=True, help="Addresses of alarms, keys and passwords too.")
def env(secrets: bool) -> None:
    """Print shell exports, for eval "$(make env)": the tools' addresses and the virtual environment on PATH."""
    runtime = current_runtime()
    lines, key = runtime.exports(os.environ, secrets=secrets), runtime.settings.prefect_key
    # What stands on a terminal is read by people, and pasted elsewhere.
    hidden = key and not secrets and sys.stdout.isatty()
    click.echo(lines.replace(key, "hidden-on-a-terminal") if hidden else lines)


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


@main.command()
def refresh() -> None:
    """Apply and register what has changed in projects/ and feature_repo/, without stopping a service."""
    current_runtime().apply_changes(click.echo)


@main.command()
@archive_option
@click.option("--secrets", is_flag=True, help="Put .env in too.")
def backup(out: Path | None, secrets: bool) -> None:
    """Write all state into one archive, while the stack runs."""
    from stack.ops import contents

    env, runtime = contents.ENV if secrets else None, current_runtime()
    runtime.backup(out or runtime.settings.backup_folder, datetime.now(UTC), click.echo, secrets=env)


@main.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@runtime_option
@click.option("--yes", is_flag=True, help="Move the state that is there aside.")
@click.option("--secrets", is_flag=True, help="Write .env from the archive.")
def restore(file: Path | None, runtime: str | None, yes: bool, secrets: bool) -> None:
    """Bring back the state in FILE, an archive of `backup`, by default the newest one; the stack must be down."""
    chosen = current_runtime(runtime=runtime)
    if file is None:
        from stack.ops import backups

        file = backups.newest(chosen.settings.backup_folder)
        if not yes:
            click.confirm(f"Restore {file}, the newest archive?", abort=True)
    chosen.restore(file, datetime.now(UTC), click.echo, replace=yes, secrets=secrets)


@main.command()
@archive_option
def upgrade(out: Path | None) -> None:
    """Back up, install the locked packages, and start the checked-out version, which migrates the databases."""
    from stack.ops import upgrade

    settings = settings_with()
    upgrade.upgrade(settings, out or settings.backup_folder, datetime.now(UTC), click.echo)


@main.command()
@click.option("--url", required=True, help="Address of the gateway there: https://<machine>:8443.")
@click.option(
    "--key",
    envvar="JOIN_KEY",
    prompt=True,
    hide_input=True,
    help="What `make token FOR=train` prints there; in JOIN_KEY or typed, no other user sees it.",
)
@click.option("--profiles", help="Optional services for the training there: dask, a cluster of that machine.")
@runtime_option
def join(url: str, key: str, profiles: str | None, runtime: str | None) -> None:
    """Train for the stack on another machine, from now on; `down` ends it."""
    from stack.ops import credentials, runtimes

    if not KEY.fullmatch(key):
        raise StackError(
            "KEY",
            found="a text of another form" if key else "nothing",
            expected="the SHA-256 of the gateway's authority, a dot, and a token",
            todo="take what `make token FOR=train` prints there",
        )
    joined = {"profiles": ",".join(["scale", *filter(None, [profiles])]), "join_url": url.rstrip("/"), "join_key": key}
    settings = settings_with(runtime=runtime, **joined)
    chosen = runtimes.to_start(settings, click.echo)
    if any(getattr(settings_with(), name) != value for name, value in joined.items()):
        credentials.keep(joined)  # for status, logs and down
    chosen.up(click.echo)
    click.echo(f"this machine trains for {settings.join_url}")
