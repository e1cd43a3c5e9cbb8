"""The gate and the card of versions that were trained for it."""

import json
from datetime import timedelta

import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.project import Project
from stack.promotion import card, challengers, gate
from stack.registry import artifacts
from stack.specification.specs import ProjectSpec
from stack.training.training import TrainingSet
from tests.stack.conftest import DAYS, START


@pytest.fixture(scope="module")
def towns(toy):
    """A project of this module's own."""
    return toy.model_copy(update={"name": "gated"})


def train(settings, spec, rows, days):
    cutoff = (START + timedelta(days=days)).to_pydatetime()
    known = rows[rows["label_available_at"] <= cutoff]
    data = TrainingSet(known, cutoff, data_revision="1", code_version="1")
    return challengers.train(Project(settings, spec), data, lambda _: None)


def test_without_a_challenger_there_is_nothing_to_judge(tracked, towns):
    with pytest.raises(StackError, match="make train PROJECT=gated"):
        gate.run(Project(tracked, towns))


def test_from_the_first_model_to_the_next(tracked, towns, toy_rows):
    """The first has no champion to beat, the second few new rows to be compared on, the third many."""
    rows = toy_rows(6000, days=40)
    first = train(tracked, towns, rows, DAYS)
    decision = gate.run(Project(tracked, towns))
    assert decision.passed, decision.markdown()
    assert (decision.version, decision.champion) == (first.version, None)
    Project(tracked, towns).registry.set_champion(first.version)

    train(tracked, towns, rows, DAYS + 1)
    decision = gate.run(Project(tracked, towns))
    assert decision.champion == first.version
    assert "rows in the holdout of both" in decision.basis

    third = train(tracked, towns, rows, 40)
    decision = gate.run(Project(tracked, towns))
    assert "rows asked after the champion's cut-off (2024-01-21 00:00 UTC)" in decision.basis
    version = Project(tracked, towns).registry.challenger()
    assert (version.version, version.tag("stack.gate")) == (third.version, "passed" if decision.passed else "refused")
    with artifacts.folder(tracked, version, "gate") as folder:
        assert json.loads((folder / "gate.json").read_text())["version"] == third.version


def test_a_card_says_what_a_version_is_made_of_and_how_good_it_is(tracked, towns, toy_rows):
    project = Project(tracked, towns)
    if project.registry.challenger() is None:
        train(tracked, towns, toy_rows(6000, days=40), DAYS)
    decision = gate.run(project)
    address = card.write(project, decision)
    version = project.registry.numbered(decision.version)
    text = artifacts.file(tracked, version, "card/card.md").decode()
    with artifacts.folder(tracked, version, "recipe") as folder:
        recipe = json.loads((folder / "recipe.json").read_text())
    for part in (
        f"{recipe['rows']:,} rows",
        recipe["candidate"],
        version.run_id,
        "| auc |",
        "| log_loss |",
        "| calibration | ",
        *towns.features.columns,
    ):
        assert part in text, part
    assert decision.basis in text
    page = tracked.pages / towns.name / address.rpartition("/")[2]
    assert page.read_bytes() == artifacts.file(tracked, version, "card/card.html")
    html = page.read_text()
    assert "<table>" in html and "data:image/png;base64," in html
    assert "<script" not in html and "http" not in html.replace("http-equiv", "").replace(
        tracked.address("prediction"), ""
    )


@pytest.fixture(scope="module")
def cold(toy):
    """A project that predicts a number, of a table without time; its gate names nothing."""
    columns = {"wet": "number", "town_id": "category", "rain": "number"}
    raw = toy.model_dump(mode="json") | {"name": "cold", "task": "regression", "label": "warm", "gate": {}}
    raw["features"] |= {"columns": columns}
    raw["training"] |= {"split": "random", "trials": 2, "candidates": ["dummy", "linear"]}
    raw["monitoring"] = {}
    return ProjectSpec.model_validate(raw)


def test_numbers_of_a_table_without_time(tracked, cold, toy_rows):
    """The second training has more rows; it is compared on those that neither was fitted on, and is no better."""
    rows = toy_rows(1200).assign(warm=lambda rows: 3 * rows["wet"].fillna(0) + rows["rain"] + rows["cold"])
    rows["event_timestamp"] = rows["label_available_at"] = pd.Timestamp(START)
    rows.loc[1000:, "label_available_at"] = rows.loc[1000:, "event_timestamp"] = pd.Timestamp(START + timedelta(days=1))
    first = train(tracked, cold, rows, 0)
    decision = gate.run(Project(tracked, cold))
    assert decision.passed, decision.markdown()
    assert [reason.name for reason in decision.reasons] == ["skill", "served form", "latency ms"]
    Project(tracked, cold).registry.set_champion(first.version)
    version = Project(tracked, cold).registry.champion()
    assert {"rmse", "r2", "mae"} <= set(version.tags)

    train(tracked, cold, rows, 1)
    decision = gate.run(Project(tracked, cold))
    assert "rows in the holdout of both" in decision.basis
    reason = next(reason for reason in decision.reasons if reason.name == "mse - champion's")
    assert reason.ok
    assert int(reason.note.split()[0].replace(",", "")) >= 240, "a row that was held out is held out again"
    assert "rows," in reason.note
    assert 0 < reason.limit < 0.02 * first.metrics["mse"]
    ours = artifacts.holdout(tracked, Project(tracked, cold).registry.challenger())
    assert len(ours) == 300
