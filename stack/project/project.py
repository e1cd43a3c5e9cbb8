"""One project of the stack, opened from its settings and its specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

from stack.core.clock import Clock
from stack.core.settings import Settings, settings
from stack.project import contract
from stack.specification import specs
from stack.specification.specs import ProjectSpec

if TYPE_CHECKING:
    from stack.lake.lake import Lake
    from stack.prediction_log.predictions import PredictionLog
    from stack.registry.registry import Registry
    from stack.specification.tasks import Task


T = TypeVar("T")


class Module(Generic[T]):
    """A module of a project: ``projects/<name>/<attribute>.py``."""

    def __init__(self, load: Callable[[str], T]) -> None:
        self._load = load

    def __get__(self, project: Project, _: type[Project]) -> T:
        return self._load(project.name)


@dataclass(frozen=True)
class Project:
    """A project: its specification, modules, clock, data, models and predictions.

    A property imports its module when it is read: the registry needs no pandas, the portal no DVC.
    """

    settings: Settings
    spec: ProjectSpec

    @classmethod
    def open(cls, name: str, of: Settings | None = None) -> Project:
        """Open a project, with the settings of this process or `of`. StackError: no such project, or a wrong key."""
        return cls(of or settings(), specs.load(name))

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.spec.name

    source = Module(contract.source)
    features = Module(contract.features)
    checks = Module(contract.checks)
    model = Module(contract.model)
    drift = Module(contract.drift)

    @cached_property
    def task(self) -> Task:
        """What is predicted: an outcome, a class, a number."""
        from stack.specification import tasks

        return tasks.of(self.spec)

    @cached_property
    def clock(self) -> Clock:
        """The project's clock."""
        return Clock(self.settings.state_database, self.name, self.spec.clock.kind, self.spec.clock.start)

    @cached_property
    def lake(self) -> Lake:
        """The project's raw tables."""
        from stack.lake.lake import Lake
        from stack.lake.repository import Repository

        return Lake(Repository(self.settings), self.spec)

    @cached_property
    def registry(self) -> Registry:
        """The versions of the project's model."""
        from stack.registry.registry import Registry

        return Registry(self.settings, self.name)

    @cached_property
    def log(self) -> PredictionLog:
        """The predictions that were answered."""
        from stack.prediction_log.predictions import PredictionLog

        return PredictionLog(self.settings.state_database, self.spec)
