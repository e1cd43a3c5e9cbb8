"""The same training is not done twice: what a killed run has registered is taken up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pandas import DataFrame, Timestamp

from stack.core import code
from stack.core.settings import Settings
from stack.project import Project
from stack.promotion import challengers, decisions
from stack.promotion.decisions import DecisionTime, Judgement
from stack.specification.specs import ProjectSpec
from stack.training.training import TrainingResult, TrainingSet

CUTOFF = datetime(2024, 1, 22, tzinfo=UTC)


def train(settings: Settings, spec: ProjectSpec, rows: DataFrame, data_revision: str = "3f2a") -> TrainingResult:
    data = TrainingSet(rows, CUTOFF, data_revision, code.version())
    return challengers.train(Project(settings, spec), data, lambda _: None)


def test_what_is_registered_is_taken_up_once(
    tracked: Settings, toy: ProjectSpec, toy_rows: Callable[..., DataFrame]
) -> None:
    spec = toy.model_copy(update={"name": "once"})
    tags = challengers.identity(spec, CUTOFF, "3f2a")
    assert challengers.find_existing(Project(tracked, spec), tags) is None

    trained = train(tracked, spec, toy_rows())
    existing = challengers.find_existing(Project(tracked, spec), tags)
    assert existing is not None and existing.version == trained.version
    assert (
        challengers.find_existing(
            Project(tracked, spec), challengers.identity(spec, CUTOFF + timedelta(days=1), "3f2a")
        )
        is None
    )

    # A version that the gate has judged is not brought before it again.
    judged = Judgement(trained.version, None, "passed", {})
    decisions.promote(Project(tracked, spec), judged, DecisionTime(CUTOFF, CUTOFF))
    assert challengers.find_existing(Project(tracked, spec), tags) == Project(tracked, spec).registry.champion()
    assert Project(tracked, spec).registry.challenger() is None

    # A machine that had been given up comes back and has trained the same: it registers no second version, and the
    # decision stands.
    late = train(tracked, spec, toy_rows())
    assert late.version == trained.version and late.run_id != trained.run_id
    with pytest.raises(httpx.HTTPStatusError, match="RESOURCE_DOES_NOT_EXIST"):
        Project(tracked, spec).registry.numbered(str(int(trained.version) + 1))
    assert Project(tracked, spec).registry.tagged(tags) == Project(tracked, spec).registry.champion()
    assert Project(tracked, spec).registry.challenger() is None


def test_a_training_is_known_again_after_another_project_has_ingested(
    tracked: Settings, toy: ProjectSpec, toy_rows: Callable[..., DataFrame], tmp_path: Path
) -> None:
    home, spec, other = Settings(home=tmp_path), *(toy.model_copy(update={"name": name}) for name in ("mine", "theirs"))

    def ingest(owner: ProjectSpec, day: int) -> None:
        since = CUTOFF + timedelta(days=day)
        rows = DataFrame({"day": [str(day)], "available_at": [Timestamp(since + timedelta(hours=1))]})
        Project(home, owner).lake.append({"days": rows}, since, since + timedelta(days=1))

    def again() -> str | None:
        tags = challengers.identity(spec, CUTOFF, Project(home, spec).lake.revision())
        existing = challengers.find_existing(Project(tracked, spec), tags)
        return existing.version if existing else None

    ingest(spec, 0)
    trained = train(tracked, spec, toy_rows(), Project(home, spec).lake.revision())
    ingest(other, 0)
    assert again() == trained.version
    ingest(spec, 1)
    assert again() is None
