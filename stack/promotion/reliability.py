"""How far the answers of a version are what comes true, on the rows that it was not fitted on.

``python -m stack.promotion.reliability PROJECT VERSION ...`` prints it as JSON: the portal asks in a process of its
own, as reading the rows takes memory that the portal does not have.
"""

import json
import sys

import numpy as np
from pandas import DataFrame

from stack.project import Project
from stack.registry import artifacts
from stack.training import evaluation


def of_rows(project: Project, holdout: DataFrame, bins: int = 10) -> list[tuple[float, float, int]]:
    """Return mean answer, mean outcome and rows of bins, of a task whose answer is one number."""
    if len(project.task.outputs) != 1 or holdout.empty:
        return []
    answers = evaluation.answers(project.spec, holdout)[:, 0]
    return evaluation.reliability(answers, holdout[project.spec.label].to_numpy(np.float64), bins)


def of_version(project: Project, number: str) -> list[tuple[float, float, int]]:
    """Return the same of the held-out rows of a version."""
    return of_rows(project, artifacts.holdout(project.settings, project.registry.numbered(number)))


if __name__ == "__main__":
    opened = Project.open(sys.argv[1])
    print(json.dumps({number: of_version(opened, number) for number in sys.argv[2:]}))
