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

from flows.common import MINUTE, RETRIES, artifact_key, instant
from stack.core import alerts
from stack.project import Project
from stack.promotion import decisions

if TYPE_CHECKING:
    from stack.promotion.gate import Decision


@task(timeout_seconds=MINUTE, **RETRIES)
def has_challenger(project: Project) -> bool:
    """Complete the decisions of a killed run; then say whether a challenger awaits the gate."""
    for entry in decisions.complete_pending(project):
        get_run_logger().warning("completed: %s version %s, as %s", entry.kind, entry.version, entry.reason)
    return project.registry.challenger() is not None


@task(timeout_seconds=20 * MINUTE, **RETRIES)
def judge(project: Project) -> Decision:
    """Compare the challenger with the limits and with the champion, on the same rows."""
    from stack.promotion import gate

    return gate.run(project)


@task(timeout_seconds=5 * MINUTE, **RETRIES)
def describe(project: Project, decision: Decision) -> str:
    """Write the card of the version; return its address."""
    from stack.promotion import card

    return card.write(project, decision)


@task(timeout_seconds=5 * MINUTE, **RETRIES)
def decide(project: Project, decision: Decision, wall: datetime) -> None:
    """Make the version champion, or first canary, when it passed; either way the audit keeps the decision."""
    passed = decisions.try_out if decision.champion and project.spec.rollout.canary else decisions.promote
    when = decisions.DecisionTime(instant(project), wall)
    (passed if decision.passed else decisions.refuse)(project, decision, when)


class Approval(RunInput):
    """The form in Prefect's UI when a promotion is awaiting approval."""

    approve: bool = Field(description="Make this version champion")
    comment: str = Field("", description="The reason; it is written to the audit")


@task(persist_result=True, cache_policy=INPUTS)
def request_approval(project: str, version: str, champion: str, suspicion: str = "") -> bool:
    """Alert that a version is awaiting approval: once for these two versions, however often the run begins anew.

    The arguments are text: they are the key under which the result is kept.
    """
    settings = Project.open(project).settings
    link = f"{settings.link('prefect')}/runs/flow-run/{flow_run.id}"
    title = f"{project}: version {version} is awaiting approval"
    reason = f"It looks too good to be true. {suspicion} It" if suspicion else "It passed the gate and"
    alerts.notify(settings, title, f"{reason} would replace {champion}: {link}")
    return True


def await_approval(project: Project, decision: Decision) -> Decision:
    """Wait for a person's answer. The run leaves its process until it is resumed, and then begins anew.

    An answer holds for this version against this champion; when either has changed meanwhile, it is requested again.
    """
    champion = f"version {decision.champion}" if decision.champion else "no version, as none is live"
    request_approval(project.name, decision.version, champion, decision.suspicion)
    form = Approval.with_initial_data(description=decision.markdown())
    answer = suspend_flow_run(wait_for_input=form, key=f"{decision.version}-after-{decision.champion or 0}")
    return decision.answered(answer.approve, answer.comment)


@flow(name="promote", flow_run_name="promote {project}", timeout_seconds=30 * MINUTE)
def promote(project: str) -> bool:
    """Judge the challenger and promote it when it passes.

    The run is suspended in between where a person decides: of a version that looks too good to be true, and with
    `approval: manual`, when a champion would be replaced. A part of another run cannot be: a run of its own is started.

    Returns:
        Whether a challenger went live, or is tried out as a canary. A refusal is an outcome, not a failure: the
        champion stays and the run gives the reasons.
    """
    opened, log = Project.open(project), get_run_logger()
    if not has_challenger(opened):
        log.info("no challenger awaits the gate")
        return False
    decision = judge(opened)
    create_markdown_artifact(decision.markdown(), key=artifact_key(project, "gate"))
    # A card that cannot be written holds no version up.
    card = describe(opened, decision, return_state=True)
    log.info("card: %s", card.result(raise_on_failure=False))
    for reason in decision.reasons:
        (log.info if reason.ok else log.warning)("%s", reason)
    if not decision.passed:
        # Refused again and again, the champion grows old.
        alerts.notify(opened.settings, f"{project}: version {decision.version} refused", decision.reason)
    manual = decision.champion and opened.spec.gate.approval == "manual"
    if decision.passed and (decision.leaks or manual):
        if decision.leaks:
            log.warning("version %s looks too good to be true: %s", decision.version, decision.suspicion)
        if flow_run.parent_flow_run_id:
            request_run(opened)
            log.warning("version %s is awaiting approval", decision.version)
            return False
        decision = await_approval(opened, decision)
    decide(opened, decision, datetime.now(UTC))
    canary = decision.champion and opened.spec.rollout.canary
    passed = f"answers {canary:.0%} of the requests" if canary else "is champion"
    log.info("version %s %s", decision.version, passed if decision.passed else "was refused")
    return decision.passed


def request_run(project: Project) -> None:
    """Start the gate as a run of its own."""
    run_deployment(f"promote/{project.name}", timeout=0, as_subflow=False)


def run_gate(project: Project) -> None:
    """Run the gate on the challenger of a training: here, or as a run of its own where it may await approval."""
    if project.spec.gate.approval == "manual":
        request_run(project)
    else:
        promote(project.name)
