"""The same training is not done twice: what a killed run has registered is taken up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pandas import DataFrame

from stack import code
from stack.project import ProjectSpec
from stack.promotion import audit, registry
from stack.promotion.audit import Instant, Judged
from stack.settings import Settings
from stack.training import training, trainings

CUTOFF = datetime(2024, 1, 22, tzinfo=UTC)


def test_what_is_registered_is_taken_up_once(
    tracked: Settings, toy: ProjectSpec, toy_rows: Callable[..., DataFrame]
) -> None:
    spec = toy.model_copy(update={"name": "once"})
    tags = trainings.identity(tracked, spec, CUTOFF)
    assert trainings.take_up(tracked, spec, tags) is None

    made = training.train(
        tracked,
        spec,
        toy_rows(),
        data_revision=tags["stack.data_revision"],
        cutoff=CUTOFF,
        code_version=code.version(),
        report=lambda _: None,
    )
    found = trainings.take_up(tracked, spec, tags)
    assert found is not None and found.version == made.version
    assert trainings.take_up(tracked, spec, trainings.identity(tracked, spec, CUTOFF + timedelta(days=1))) is None

    # A version that the gate has judged is not brought before it again.
    judged = Judged(made.version, None, "passed", {})
    audit.promote(tracked, spec, judged, Instant(CUTOFF, CUTOFF))
    assert trainings.take_up(tracked, spec, tags) == registry.champion(tracked, spec)
    assert registry.challenger(tracked, spec) is None
