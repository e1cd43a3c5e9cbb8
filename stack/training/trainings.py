"""A training is made once: what the same data, cut-off and code have made already is taken up, not made again.

A run that was killed after it had registered its version is completed by whoever starts the same training next.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from stack import code
from stack.data import lake
from stack.project import ProjectSpec
from stack.promotion import audit, registry
from stack.promotion.registry import Version
from stack.settings import Settings


def identity(settings: Settings, spec: ProjectSpec, cutoff: datetime) -> dict[str, str]:
    """The tags that two trainings share when they give the same model."""
    return {
        "stack.project": spec.name,
        "stack.cutoff": cutoff.isoformat(),
        "stack.data_revision": lake.revision(settings),
        "stack.code_digest": code.digest(spec.name),
    }


def take_up(settings: Settings, spec: ProjectSpec, tags: Mapping[str, str]) -> Version | None:
    """Find the version that a training with these tags has registered; while nothing is decided, it is challenger."""
    version = registry.tagged(settings, spec, tags)
    if version is None:
        return None
    registry.finish(settings, version)
    if not any(entry.version == version.version for entry in audit.entries(settings, spec)):
        registry.nominate(settings, spec, version)
    return version
