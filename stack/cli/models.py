"""Which version of a project is live, and why."""

from __future__ import annotations

import click

from stack.cli.common import current_runtime, follow, main, opened, project_and


@main.command()
@project_and()
def promote(project: str) -> None:
    """Judge the challenger of PROJECT, and make it champion when it passes."""
    follow("promote", project, {})


@main.command()
@click.argument("project")
@click.option("--reason", default="asked for", show_default=True, help="Why; it stands in the audit.")
def rollback(project: str, reason: str) -> None:
    """Make the previous version of PROJECT champion again, at once and without the worker."""
    from datetime import UTC, datetime

    from stack.promotion import rollback
    from stack.promotion.decisions import DecisionTime

    subject = opened(project)

    def here() -> None:
        rollback.run(subject, DecisionTime(subject.clock.now(), datetime.now(UTC)), reason, click.echo)

    current_runtime().beside_state(here, ["rollback", project, "--reason", reason], click.echo)


@main.command()
@click.argument("project")
@click.option("-n", "--last", default=20, show_default=True, help="How many decisions, the newest last.")
def audit(project: str, last: int) -> None:
    """Show the decisions about which version of PROJECT is live."""
    from stack.promotion import decisions

    subject = opened(project)

    def here() -> None:
        for entry in decisions.entries(subject, last):
            undone = "" if entry.state == "done" else f" ({entry.state})"
            after = f" after {entry.champion}" if entry.champion else ""
            click.echo(f"{entry.at:%Y-%m-%d %H:%M}  {entry.kind} {entry.version}{after}{undone}: {entry.reason}")

    current_runtime().beside_state(here, ["audit", project, "--last", str(last)], click.echo)


@main.command()
@click.argument("run")
@click.option("--anyway", is_flag=True, help="With the code and the packages as they are now.")
def reproduce(run: str, anyway: bool) -> None:
    """Rebuild the model of RUN, a training in MLflow, and compare metrics and predictions with the recorded ones."""
    from stack.reproduce import reproduce

    runtime = current_runtime()
    recipe = reproduce.recipe_of(runtime.settings, run)
    if anyway or reproduce.is_of_this_code(recipe):

        def here() -> None:
            reproduce.reproduce(runtime.settings, run, click.echo, as_it_is=anyway)

        runtime.beside_state(here, ["reproduce", run, *["--anyway"] * anyway], click.echo)
        return
    with runtime.lake() as settings:
        reproduce.reproduce(settings, run, click.echo)
