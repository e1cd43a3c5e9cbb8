"""Which version of a project is live, and why."""

from __future__ import annotations

import click

from stack.cli.common import follow, in_containers, main, opened, project_and, settings_with


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
    if in_containers(subject.settings):
        follow("rollback", project, {"reason": reason})  # ends the command
    when = DecisionTime(subject.clock.now(), datetime.now(UTC))
    rollback.run(subject, when, reason, click.echo)


@main.command()
@click.argument("project")
@click.option("-n", "--last", default=20, show_default=True, help="How many decisions, the newest last.")
def audit(project: str, last: int) -> None:
    """Show the decisions about which version of PROJECT is live."""
    from stack.promotion import decisions

    subject = opened(project)
    if in_containers(subject.settings):
        from stack.ops import docker

        click.echo(docker.inside(subject.settings, "stack", "audit", project, "--last", str(last)), nl=False)
        return
    for one in decisions.entries(subject, last):
        undone = "" if one.state == "done" else f" ({one.state})"
        after = f" after {one.champion}" if one.champion else ""
        click.echo(f"{one.at:%Y-%m-%d %H:%M}  {one.kind} {one.version}{after}{undone}: {one.reason}")


@main.command()
@click.argument("run")
@click.option("--anyway", is_flag=True, help="With the code and the packages as they are now.")
def reproduce(run: str, anyway: bool) -> None:
    """Rebuild the model of RUN, a training in MLflow, and compare metrics and predictions with the recorded ones."""
    from stack.ops import exchange
    from stack.reproduce import reproduce

    settings = settings_with()
    if not in_containers(settings):
        reproduce.reproduce(settings, run, click.echo, as_it_is=anyway)
        return
    recipe = reproduce.recipe_of(settings, run)
    if anyway or reproduce.is_of_this_code(recipe):
        follow("reproduce", recipe["project"], {"run_id": run, "as_it_is": anyway or None})  # ends the command
    click.echo("trained with other code than the containers': rebuilt here, on a copy of their lake")
    with exchange.lake(settings) as home:
        reproduce.reproduce(home, run, click.echo)
