"""What a shadow answers beside the champion, on the same requests.

``python -m stack.promotion.shadows flights`` prints the comparison as JSON, empty for none. The portal runs it in
a process of its own, as reading the rows takes memory that the portal does not have.
"""

import json
import sys
from dataclasses import asdict, dataclass

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
    losses = Losses(len(known), *(float(total) / max(len(known), 1) for total in (mean, other)))
    return Comparison(challenger.version, len(rows), float(apart.mean()), float(apart.max()), losses)


if __name__ == "__main__":
    found = compare(Project.open(sys.argv[1]))
    print(json.dumps(asdict(found) if found else {}))
