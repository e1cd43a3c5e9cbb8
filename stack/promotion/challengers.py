"""Challengers: a training registers a single version, however often it is run.

A run that was killed after it had registered its version is completed by the next run of the same training. Where two
machines have run the same training, because the first seemed lost and came back, the first registered version stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from stack.core import code
from stack.core.notices import Reporter
from stack.project import Project
from stack.promotion import decisions
from stack.registry.registry import Version
from stack.specification.specs import ProjectSpec

if TYPE_CHECKING:
    from stack.core.workers import Workers
    from stack.training.training import TrainingResult, TrainingSet

IDENTITY = ("stack.project", "stack.cutoff", "stack.data_revision", "stack.code_digest")
"""The tags that two trainings share when they give the same model."""


def identity(spec: ProjectSpec, cutoff: datetime, data_revision: str) -> dict[str, str]:
    """Return the tags of `IDENTITY` of a training with this checkout."""
    return dict(zip(IDENTITY, (spec.name, cutoff.isoformat(), data_revision, code.digest(spec.name)), strict=True))


def train(project: Project, data: TrainingSet, report: Reporter, workers: Workers | None = None) -> TrainingResult:
    """Train a project's model, as :func:`stack.training.training.train`, and make the version challenger.

    Where the same training has registered a version before, that version stays, and the new version is deleted. The
    registry numbers its versions in order, so all machines agree on which was first.
    """
    from stack.training import training  # 5 s that those who only ask for a challenger save

    trained = training.train(project, data, report, workers)
    tags = {key: trained.tags[key] for key in IDENTITY}
    first = project.registry.tagged(tags)
    if first is not None and first.version != trained.version:
        project.registry.delete(trained.version)
        find_existing(project, tags)  # its own run may have been killed before the registry answered
        trained = replace(trained, version=first.version)
    else:
        decisions.make_challenger(project, project.registry.numbered(trained.version))
    report(f"version {trained.version} is challenger")
    return trained


def find_existing(project: Project, tags: Mapping[str, str]) -> Version | None:
    """Find the version that a training with these tags has registered; while nothing is decided, it is challenger."""
    version = project.registry.tagged(tags)
    if version is None:
        return None
    project.registry.finish(version)
    if not any(entry.version == version.version for entry in decisions.entries(project)):
        decisions.make_challenger(project, version)
    return version


def undecided(project: Project) -> Version | None:
    """Return the challenger that awaits a person's decision while no version is live."""
    version = project.registry.challenger()
    if version is None or project.registry.champion() is not None:
        return None
    decided = any(entry.version == version.version for entry in decisions.entries(project))
    return None if decided else version
