"""What a shadow answers beside the champion, on the same requests."""

from dataclasses import dataclass

from stack.prediction_log.predictions import SHADOW
from stack.project import Project
from stack.promotion.rollout import Losses
from stack.specification import tasks
from stack.training.evaluation import answers, labelled

MOST = 10_000
"""Newest answers that are compared."""


@dataclass(frozen=True)
class Comparison:
    """The answers of a shadow beside those that the callers received."""

    version: str
    rows: int
    difference: float
    """Mean absolute difference of an answer: of its probabilities, or of the number ..."""
    largest: float
    """... and the largest one."""
    losses: Losses
    """Of the shadow, and of what was answered, on the rows with a label."""


def compare(project: Project) -> Comparison | None:
    """Compare the challenger's answers in the monitoring window with those that the callers received.

    Returns:
        None where there is no challenger, or it has answered nothing.

    Raises:
        httpx.HTTPError: the registry does not answer.
    """
    spec, now = project.spec, project.clock.now()
    challenger = project.registry.challenger()
    if challenger is None:
        return None
    rows = project.log.read_shadows(now - spec.monitoring.window, now, MOST)
    rows = rows[rows["shadow_version"] == challenger.version].rename(columns={"label": spec.label})
    if rows.empty:
        return None
    task = tasks.of(spec)
    apart = abs(answers(spec, rows, SHADOW) - answers(spec, rows))
    known = labelled(rows, [*task.outputs], spec.label)
    mean, other = (task.losses(known[spec.label], answers(spec, known, whose)).sum() for whose in (SHADOW, ""))
    losses = Losses(len(known), mean / max(len(known), 1), other / max(len(known), 1))
    return Comparison(challenger.version, len(rows), apart.mean(), apart.max(), losses)
