"""Versions of an imported model go through the gate, are monitored and rolled back as those that are trained."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest

from monitoring import review
from stack.authoring.imported import project as imported
from stack.authoring.imported import version
from stack.authoring.imported.columns import Wishes
from stack.core.errors import StackError
from stack.core.settings import Settings, using
from stack.features import datasets, features
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.promotion import card, decisions, gate
from stack.promotion.decisions import DecisionTime
from stack.registry import artifacts
from stack.specification import specs
from tests.stack.authoring import foreign
from tests.stack.conftest import aliases

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def settings(tracked: Settings, tmp_path: Path) -> Iterator[Settings]:
    """An empty workspace and home, and the server of the session."""
    (tmp_path / "workspace" / "projects").mkdir(parents=True)
    (tmp_path / "workspace" / "feature_repo").mkdir()
    own = tracked.model_copy(update={"home": tmp_path / "home", "workspace": tmp_path / "workspace"})
    with using(own):
        yield own


def row(tmp_path: Path) -> Path:
    (tmp_path / "row.json").write_text('{"Age (years)": 41, "visits": 2, "town": "Bath"}')
    return tmp_path / "row.json"


def import_model(settings: Settings, name: str, path: Path, at: datetime = NOW, **wishes) -> Project:
    """Register a model of the project as challenger, as `make import` does."""
    asked = Wishes(**wishes)
    model = imported.read(name, str(path), asked, settings)
    if name not in specs.names():
        imported.write(name, model, asked)
        features.apply(settings)
    project = Project(settings, specs.load(name))
    version.register(project, model, at)
    return project


def promote(project: Project, at: datetime = NOW) -> gate.Decision:
    """Let the gate decide, as the flow does."""
    decision = gate.run(project)
    (decisions.promote if decision.passed else decisions.refuse)(project, decision, DecisionTime(at, at))
    assert "trained elsewhere" in card.markdown(project, project.registry.numbered(decision.version), decision)
    assert card.write(project, decision).endswith(".html")
    return decision


def ask(project: Project, rows: pd.DataFrame, at: datetime, answered_by: str = "1", *, labelled: bool = True) -> None:
    """Log answers to rows, half a probability each, and their outcomes."""
    fields = rows.rename(columns={"Age (years)": "age_years"}).drop(columns="left").to_dict("records")
    answer = {"probability": 0.5, "decision": True}
    answers = [
        Prediction(str(uuid4()), at + timedelta(seconds=place), at, row, row, None, answered_by, answer)
        for place, row in enumerate(fields)
    ]
    project.log.write(answers)
    if labelled:
        outcomes = zip(answers, rows["left"], strict=True)
        project.log.label_predictions({row.id: (float(left), at + timedelta(hours=1)) for row, left in outcomes})


def test_versions_are_judged_monitored_and_rolled_back(settings, tmp_path):
    """The first is judged by its sample, the next ones by the labelled answers."""
    foreign.customers().to_csv(tmp_path / "rows.csv", index=False)
    foreign.pipeline(tmp_path / "one.onnx")
    project = import_model(settings, "guest_a", tmp_path / "one.onnx", sample=tmp_path / "rows.csv", label="left")
    decision = promote(project)
    assert decision.passed and "300 held-out rows" in decision.basis
    assert project.registry.champion().metrics["auc"] > 0.7

    ask(project, foreign.customers(seed=9), NOW + timedelta(hours=1))
    report = review.champion(project, NOW + timedelta(hours=3), NOW)
    assert report.window.rows == 300 and report.drift and not report.drifted
    assert report.performance["auc"] == 0.5
    assert not {"age", "reference"} & {reason.name for reason in report.verdict.reasons}

    foreign.pipeline(tmp_path / "bad.onnx", lambda rows: 1 - rows["left"])
    assert not promote(import_model(settings, "guest_a", tmp_path / "bad.onnx", NOW + timedelta(hours=4))).passed
    foreign.pipeline(tmp_path / "two.onnx", seed=1)
    decision = promote(import_model(settings, "guest_a", tmp_path / "two.onnx", NOW + timedelta(hours=4)))
    assert decision.passed and "on 300 labelled rows. The champion is due for replacement" in decision.basis
    assert aliases(settings, project.spec) == ("3", None, "1")
    decisions.rollback(project, DecisionTime(NOW, NOW), "a trial")
    assert project.registry.champion().version == "1"


def test_without_rows_it_is_promoted_and_compared_with_its_first_answers(settings, tmp_path):
    foreign.pipeline(tmp_path / "one.onnx")
    began = NOW - timedelta(days=30)
    for _ in range(2):
        project = import_model(settings, "guest_b", tmp_path / "one.onnx", began, example=row(tmp_path))
        assert "no labelled rows judge it" in promote(project, began).basis
    assert aliases(settings, project.spec) == ("2", None, "1")
    assert imported.read("guest_b", "models:/guest_b/1", Wishes(), settings).graph.made_by.startswith("skl2onnx")
    with pytest.raises(StackError, match=r"MODEL=models:/guest_b/9"):
        imported.read("guest_b", "models:/guest_b/9", Wishes(), settings)
    assert "no labelled rows" in decisions.entries(project)[-1].reason

    ask(project, foreign.customers(seed=9), began + timedelta(hours=1), "2", labelled=False)
    older = foreign.customers(seed=8).assign(**{"Age (years)": lambda rows: rows["Age (years)"] + 20})
    ask(project, older, NOW - timedelta(days=1), "2", labelled=False)
    for _ in range(2):  # they are computed, then kept
        report = review.champion(project, NOW, NOW)
        (reason,) = [reason for reason in report.verdict.reasons if reason.name == "reference"]
        assert reason.text.startswith("reference: the first 300 answers")
        assert report.drifted == ("age_years",)
    assert len(artifacts.reference(settings, project.registry.require_champion())) == 300


def test_it_is_not_retrained(settings, tmp_path):
    foreign.pipeline(tmp_path / "one.onnx")
    project = import_model(settings, "guest_c", tmp_path / "one.onnx", example=row(tmp_path))
    with pytest.raises(StackError, match="(?s)trained elsewhere.*make import NAME=guest_c"):
        datasets.labelled(project, NOW)
