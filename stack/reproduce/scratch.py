"""A training set from raw tables alone: features computed and joined in a scratch home, beside the live ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from pandas import DataFrame

from stack.core.settings import Settings
from stack.features import datasets, feature_tables, features
from stack.project import Project, contract
from stack.specification.specs import ProjectSpec


def training_set(spec: ProjectSpec, tables: Mapping[str, DataFrame], cutoff: datetime) -> DataFrame:
    """Join the events whose label was known at the cut-off with the features of their own instant.

    Nothing is remembered: the feature tables and the Feast registry are made anew, and gone afterwards.

    Args:
        tables: the raw rows known at the cut-off.

    Returns:
        As :func:`stack.features.datasets.labelled`.
    """
    build = contract.features(spec.name).build
    with TemporaryDirectory(prefix="features-") as home:
        settings = Settings(home=Path(home))
        for view, frame in build(tables, spec.clock.start, cutoff).items():
            feature_tables.replace(settings.feature_tables / spec.name / view, frame, spec.clock.start, cutoff)
        features.apply_alone(Project(settings, spec))
        return features.training_set(Project(settings, spec), datasets.answered(spec, tables, cutoff))
