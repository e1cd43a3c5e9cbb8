"""Which version of a project is live, and whether anything of it starts by itself."""

from datetime import UTC, datetime

import click

from stack.cli.common import current_runtime, flow_command, opened, project_command, settings_with

flow_command("promote", "Judge the challenger of PROJECT, and make it champion when it passes.")


@project_command
@click.option("--reason", default="asked for", show_default=True, help="Why; it stands in the audit.")
def rollback(project: str, reason: str) -> None:
    """Make the previous version of PROJECT champion again, at once and without the worker."""
    from stack.promotion import rollout
    from stack.promotion.decisions import DecisionTime

    subject = opened(project)

    def here() -> None:
        rollout.roll_back_and_wait(subject, DecisionTime(subject.clock.now(), datetime.now(UTC)), reason, click.echo)

    current_runtime().beside_state(here, ["rollback", project, "--reason", reason], click.echo)


@project_command
@click.option("--comment", default="", help="Why; it stands in the audit.")
def approve(project: str, comment: str) -> None:
    """Make the version of PROJECT champion that is awaiting approval."""
    _answer(project, approve=True, comment=comment)


@project_command
@click.option("--comment", default="", help="Why; it stands in the audit.")
def refuse(project: str, comment: str) -> None:
    """Refuse the version of PROJECT that is awaiting approval."""
    _answer(project, approve=False, comment=comment)


def _answer(project: str, *, approve: bool, comment: str) -> None:
    from stack.ops.project_runs import ProjectRuns

    ProjectRuns(settings_with(), project).answer(approve=approve, comment=comment)
    click.echo("approved: it becomes champion" if approve else "refused")


@project_command
@click.option("--share", type=click.FloatRange(0, 1, max_open=True), help="Of the requests, as 0.1; 0 ends it.")
def canary(project: str, share: float | None) -> None:
    """Let versions of PROJECT that pass the gate answer a share of the requests before they are champion, or say it."""
    from stack.authoring import canary

    settings = settings_with()
    if share is None:
        click.echo(f"{project}: {canary.describe(opened(project).spec.rollout)}")
        return
    click.echo(canary.switch(settings, project, share, datetime.now(UTC)))
    if share:
        return

    def here() -> None:
        version = canary.withdraw(settings, project, "the canary was switched off")
        click.echo(f"version {version} is withdrawn" if version else "no canary answers")

    current_runtime().beside_state(here, ["canary", project, "--share", "0"], click.echo)


@project_command
def pause(project: str) -> None:
    """Start nothing of PROJECT by itself: no schedule, no retraining on drift; requests are answered as before."""
    _pause(project, paused=True)


@project_command
def resume(project: str) -> None:
    """Let schedules and retraining of PROJECT start again."""
    _pause(project, paused=False)


def _pause(project: str, *, paused: bool) -> None:
    from stack.ops.project_runs import ProjectRuns
    from stack.specification.specs import load

    load(project)
    ProjectRuns(settings_with(), project).pause(paused=paused)
    click.echo(f"{project} is paused: nothing starts by itself" if paused else f"{project} goes on")


@project_command
@click.option("-n", "--last", default=20, show_default=True, help="How many decisions, the newest last.")
def audit(project: str, last: int) -> None:
    """Show the decisions about which version of PROJECT is live, and what was done in the browser."""
    from stack.access import actions
    from stack.promotion import decisions

    subject = opened(project)

    def here() -> None:
        for entry in decisions.entries(subject, last):
            undone = "" if entry.state == "done" else f" ({entry.state})"
            after = f" after {entry.champion}" if entry.champion else ""
            click.echo(f"{entry.at:%Y-%m-%d %H:%M}  {entry.kind} {entry.version}{after}{undone}: {entry.reason}")
        if done := actions.entries(subject.settings.state_database, project, last):
            click.echo("in the browser:")
        for action in done:
            outcome = " ".join(action.outcome.split())
            click.echo(f"{action.at:%Y-%m-%d %H:%M}  {action.action} by {action.caller}: {outcome}")

    current_runtime().beside_state(here, ["audit", project, "--last", str(last)], click.echo)
