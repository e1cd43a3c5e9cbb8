"""The gate: judge the challenger, and make it champion in one step when it passes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import INPUTS
from prefect.deployments import run_deployment
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import Field

from flows.common import MINUTE, MOMENTARY, context

if TYPE_CHECKING:
    from stack.promotion.gate import Decision


@task(timeout_seconds=MINUTE, **MOMENTARY)
def awaiting(project: str) -> bool:
    """Complete what a killed run has begun; then say whether a challenger awaits the gate."""
    from stack.promotion import decisions

    opened, _ = context(project)
    for entry in decisions.complete_pending(opened):
        get_run_logger().warning("completed: %s version %s, as %s", entry.kind, entry.version, entry.reason)
    return opened.registry.challenger() is not None


@task(timeout_seconds=20 * MINUTE, **MOMENTARY)
def judge(project: str) -> Decision:
    """Hold the challenger against the limits and against the champion, on the same rows."""
    from stack.promotion import gate

    opened, _ = context(project)
    return gate.run(opened)


@task(timeout_seconds=5 * MINUTE, **MOMENTARY)
def decide(project: str, decision: Decision, wall: datetime) -> None:
    """Make the version champion, or first canary, when it passed; either way the audit keeps the decision."""
    from stack.promotion import decisions

    opened, at = context(project)
    passed = decisions.try_out if decision.champion and opened.spec.rollout.canary else decisions.promote
    (passed if decision.passed else decisions.refuse)(opened, decision, decisions.DecisionTime(at, wall))


class Approval(RunInput):
    """What Prefect's UI asks for when a promotion waits for a person."""

    approve: bool = Field(description="Make this version champion")
    comment: str = Field("", description="Why; it stands in the audit")


@task(persist_result=True, cache_policy=INPUTS)
def call(project: str, version: str, champion: str) -> bool:
    """Alarm that a person is waited for: once for these two versions, however often the run begins anew."""
    from stack.core import alerts

    opened, _ = context(project)
    link = f"{opened.settings.link('prefect')}/runs/flow-run/{flow_run.id}"
    title = f"{project}: version {version} waits for your word"
    alerts.notify(opened.settings, title, f"It passed the gate and would follow version {champion}: {link}")
    return True


def asked(project: str, decision: Decision) -> Decision:
    """Wait for a person's word. The run leaves its process until it is resumed, and then begins anew.

    An answer holds for this version against this champion; where either has changed meanwhile, it is asked again.
    """
    call(project, decision.version, str(decision.champion))
    form = Approval.with_initial_data(description=decision.markdown())
    answer = suspend_flow_run(wait_for_input=form, key=f"{decision.version}-after-{decision.champion}")
    return decision.answered(answer.approve, answer.comment)


@flow(name="promote", flow_run_name="promote {project}", timeout_seconds=30 * MINUTE)
def promote(project: str) -> bool:
    """Judge the challenger and promote it when it passes.

    With `approval: manual` the run is suspended in between, when a champion would be followed.

    Returns:
        Whether a challenger went live, or is tried out as a canary. A refusal is an outcome, not a failure: the
        champion stays and the run says why.
    """
    log = get_run_logger()
    if not awaiting(project):
        log.info("no challenger awaits the gate")
        return False
    decision = judge(project)
    create_markdown_artifact(decision.markdown(), key=f"{project.replace('_', '-')}-gate")
    for reason in decision.reasons:
        (log.info if reason.ok else log.warning)("%s", reason)
    if not decision.passed:
        tell_refusal(project, decision)
    if decision.passed and decision.champion and manual(project):
        decision = asked(project, decision)
    decide(project, decision, datetime.now(UTC))
    tried = decision.champion and context(project)[0].spec.rollout.canary
    passed = f"answers {tried:.0%} of the requests" if tried else "is champion"
    log.info("version %s %s", decision.version, passed if decision.passed else "was refused")
    return decision.passed


def tell_refusal(project: str, decision: Decision) -> None:
    """Alarm that the champion stays: refused again and again, it grows old."""
    from stack.core import alerts

    opened, _ = context(project)
    alerts.notify(opened.settings, f"{project}: version {decision.version} refused", decision.reason)


def manual(project: str) -> bool:
    """Say whether a person approves the promotions of a project."""
    opened, _ = context(project)
    return opened.spec.gate.approval == "manual"


def pass_on(project: str) -> None:
    """Let the gate judge the challenger of a training: here, or in a run of its own where it may wait for a person."""
    if manual(project):
        run_deployment(f"promote/{project}", timeout=0, as_subflow=False)
    else:
        promote(project)
