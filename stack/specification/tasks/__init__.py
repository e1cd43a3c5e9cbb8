"""What a project predicts: the probability of an outcome, one of several classes, or a number.

To add a kind of task: a class in a module beside this one, named in :data:`KINDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stack.specification.tasks.binary import Binary
from stack.specification.tasks.multiclass import Multiclass
from stack.specification.tasks.regression import Regression
from stack.specification.tasks.task import Task

if TYPE_CHECKING:
    from stack.specification.specs import ProjectSpec

__all__ = ["KINDS", "Binary", "Multiclass", "Regression", "Task", "answering", "check_classes", "known", "of", "suited"]

KINDS: dict[str, type[Task]] = {kind.name: kind for kind in (Binary, Multiclass, Regression)}
"""Name in project.yaml -> the class."""


def of(spec: ProjectSpec) -> Task:
    """Return the task of a project."""
    return KINDS[spec.task](spec.classes)


def answering(name: str, outputs: Sequence[str]) -> Task:
    """Return the task of a served model from the columns of its answers."""
    return KINDS[name].answering(outputs)


def suited(values: int) -> str:
    """Return the name of the classification that takes so many classes."""
    return next(name for name, kind in KINDS.items() if not kind.numeric and values in kind.class_counts)


def known(name: str) -> str:
    """Return the name of a kind of task.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in KINDS:
        raise ValueError(f"one of {', '.join(map(repr, KINDS))}")
    return name


def check_classes(name: str, classes: Sequence[object]) -> None:
    """Check the key ``classes`` of project.yaml.

    Raises:
        ValueError: a task of this kind has another number of classes, or one stands twice.
    """
    kind = KINDS[name]
    if len(classes) not in kind.class_counts or len(set(classes)) < len(classes):
        raise ValueError(f"classes: {len(classes)} found, a {name} task has {kind.class_rule}, each once")
