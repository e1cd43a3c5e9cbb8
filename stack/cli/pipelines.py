"""The steps of a project's pipeline, each a Prefect run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stack.cli.common import current_runtime, follow, followed, instant_or_none, main, opened, project_and


@main.command()
@project_and()
def run(project: str) -> None:
    """Run the whole pipeline of PROJECT: ingest, train, promote, monitor; then ask for one prediction."""
    from stack.ops import welcome

    subject = opened(project)
    current_runtime().apply_changes(click.echo)
    if not followed("pipeline", project, {}):
        sys.exit(1)
    click.echo(f"\n$ {welcome.curl(subject)}\n{welcome.answer(subject)}")


@main.command()
@project_and("since", "until")
def ingest(project: str, since: str | None, until: str | None) -> None:
    """Fetch, check and append the rows of PROJECT that became known in a window; by default since the last batch."""
    follow("ingest", project, {"since": instant_or_none(since), "until": instant_or_none(until)})


@main.command()
@project_and("until")
def train(project: str, until: str | None) -> None:
    """Train PROJECT on the labels known at --until; the gate decides whether the model goes live."""
    follow("train", project, {"cutoff": instant_or_none(until)})


@main.command()
@click.option("--trials", default=50, show_default=True, help="Until so many are done; earlier ones count.")
@project_and("until")
def sweep(project: str, trials: int, until: str | None) -> None:
    """Compare models, feature sets and hyper-parameters of PROJECT on one page; nothing is registered."""
    follow("sweep", project, {"trials": trials, "cutoff": instant_or_none(until)})


@main.command()
@project_and("since", "until", "input", "output")
def predict(project: str, since: str | None, until: str | None, input: Path | None, output: Path | None) -> None:  # noqa: A002
    """Score a file or a window with the champion of PROJECT."""
    from datetime import UTC, datetime

    runtime = current_runtime()
    window = {"since": instant_or_none(since), "until": instant_or_none(until)}
    name = input.stem if input else f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    default = runtime.settings.home / "predictions" / project / f"{name}.parquet"
    with runtime.files(input, output, default, click.echo) as (given, wanted):
        follow("predict", project, window | {"input": given, "output": wanted})


@main.command()
@project_and("until")
def monitor(project: str, until: str | None) -> None:
    """Report drift and performance of PROJECT over the window that ends at --until."""
    follow("monitor", project, {"at": instant_or_none(until)})


@main.command()
@project_and("since", "until")
def skew(project: str, since: str | None, until: str | None) -> None:
    """Recompute the features of the predictions of PROJECT asked in a window; end with 1 if any differs."""
    follow("skew", project, {"since": instant_or_none(since), "until": instant_or_none(until)})


@main.command()
@click.argument("project")
@click.option("--until", required=True, help="Play to the end of this date (UTC), or to an instant with a zone.")
def replay(project: str, until: str) -> None:
    """Play the recorded data of PROJECT forward from its clock's now: asked again, it goes on where it was stopped."""
    from stack.specification.specs import end_of

    follow("replay", project, {"until": end_of(until).isoformat()})


@main.command()
@project_and()
def report(project: str) -> None:
    """Write the page of a replay of PROJECT: live, frozen and weekly retrained model, drift and decisions."""
    follow("report", project, {})
