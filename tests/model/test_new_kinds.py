"""A new kind of task, and a new type of request fields, are one class each: everything else follows from its entry."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError
from sklearn.metrics import mean_pinball_loss

from services.prediction import feedback, schema
from stack.authoring.check import specification
from stack.authoring.scaffold import choices
from stack.authoring.scaffold.columns import look
from stack.authoring.scaffold.wishes import Wishes
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.serving import chunks
from stack.serving.served import ServedModel
from stack.specification import fields, specs, tasks
from stack.specification.fields import FieldType
from stack.specification.task import as_array, as_column
from stack.specification.tasks import Regression
from stack.takeaway import portable
from stack.training import candidates, splits, training
from stack.training.search import search

CUTOFF = pd.Timestamp("2024-02-01", tz="UTC")
LEVEL = 0.9


class Quantile(Regression):
    """How much will it be at most, nine times of ten?"""

    name = "quantile"
    headline = ("pinball", "coverage", "mae")
    loss = "pinball"
    smaller_is_better = Regression.smaller_is_better | {"pinball"}
    skill_limits = {"coverage": (0.5, None)}
    plots = ("predicted",)

    @classmethod
    def question(cls, label, classes):
        return f"How much is {label} at most?"

    def baseline(self, label):
        return as_array([np.quantile(as_column(label), LEVEL)])

    def losses(self, label, answer):
        gap = as_column(label) - as_column(answer)
        return np.maximum(LEVEL * gap, (LEVEL - 1) * gap)

    def metrics(self, label, answer, baseline):
        within = float((as_column(label) <= as_column(answer)).mean())
        own = {"pinball": float(self.losses(label, answer).mean()), "coverage": within}
        return super().metrics(label, answer, baseline) | own


class Date(FieldType):
    """A day."""

    name, description, python, accepted = "date", "a date like 2024-05-01", date, (str,)
    sample = "2024-01-01"

    def read(self, value):
        return date.fromisoformat(str(value))

    def value(self, example):
        return self.read(example)

    def example_problem(self, example):
        try:
            self.read(example)
        except ValueError:
            return self.description
        return ""

    def from_file(self, values, where):
        try:
            return values.map(self.read)
        except ValueError as error:
            raise StackError(where, found=str(error), expected=self.description) from None

    def from_log(self, values):
        return values.map(self.read)


@pytest.fixture
def spec(monkeypatch):
    monkeypatch.setitem(tasks.KINDS, Quantile.name, Quantile)
    monkeypatch.setitem(fields.TYPES, Date.name, Date())
    return specs.parse(
        {
            "name": "homes",
            "title": "What is it worth at most?",
            "task": "quantile",
            "label": "price",
            "tables": {"homes": {"key": ["home"], "snapshot": True}},
            "request": {"sold": {"type": "date", "description": "Day of the sale", "example": date(2024, 5, 1)}},
            "features": {"service": "homes_v1", "columns": {"size": "number", "place": "category"}},
            "training": {"split": "random", "trials": 2, "folds": 2},
        },
        Path("projects/homes/project.yaml"),
    )


def rows_of(count=500):
    random = np.random.default_rng(5)
    size, place = random.normal(size=count).astype("float32"), random.choice(["hill", "shore"], count)
    price = 40 * size + 30 * (place == "hill") + 8 * random.normal(size=count) + 200
    ids = [f"home-{number}" for number in range(count)]
    known = {"event_id": ids, "event_timestamp": CUTOFF, "label_available_at": CUTOFF}
    return pd.DataFrame({**known, "size": size, "place": place, "price": price})


def test_a_new_task_is_searched_measured_and_served(spec, tmp_path):
    rows = rows_of()
    split = splits.holdout(spec, rows, CUTOFF)
    best = search(spec, split, lambda _: None)
    metrics = training.evaluate(spec, split, best, tmp_path)
    training.refit(spec, rows, best, tmp_path)
    assert {"pinball", "coverage", "rmse"} <= set(metrics)
    assert {path.stem for path in (tmp_path / "plots").iterdir()} == {"predicted", "importance", "dependence"}
    model, task = ServedModel(tmp_path / "served"), tasks.of(spec)
    holdout = pd.read_parquet(tmp_path / "holdout" / "holdout.parquet")
    assert metrics["pinball"] == pytest.approx(
        mean_pinball_loss(holdout["price"], holdout["prediction"], alpha=LEVEL), abs=1e-12
    )
    answer = model.predict(rows)[0].tolist()
    assert portable.reply(model.contract, answer) == task.reply(answer, 0.5) == {"prediction": answer[0]}
    assert {"dummy", "gradient_boosting", "lightgbm", "linear"} <= set(candidates.available(spec, len(rows)))


def test_a_new_task_is_asked_answered_and_labelled_over_http(spec):
    answered = schema.answer_model(spec)
    assert answered.model_fields["prediction"].description == "Predicted value of price"
    body = {"labels": [{"prediction_id": "01890a5d-ac96-774b-bcce-b302099a8057", "label": 250.5}]}
    model = feedback.feedback_model(spec)
    assert model.model_validate_json(json.dumps(body)).labels[0].label == 250.5
    with pytest.raises(ValidationError):
        model.model_validate_json(json.dumps(body).replace("250.5", '"much"'))


def test_a_new_task_is_chosen_and_explained(spec):
    table = pd.DataFrame({"size": range(40), "price": [size * 1.5 for size in range(40)]})
    wishes = Wishes(target="price", task="quantile")
    columns = look(table)
    chosen = choices.choose(table, columns, columns[1], wishes, datetime.now(UTC), lambda _, default, known: default)
    assert (chosen.task, chosen.classes, chosen.title) == ("quantile", [], "How much is price at most?")
    with pytest.raises(StackError, match="a quantile task has none"):
        specs.parse(spec.model_dump(mode="json") | {"classes": [0, 1]}, Path("projects/homes/project.yaml"))


def test_a_request_field_of_a_new_type_is_sent_checked_and_logged(spec, tmp_path):
    model = schema.request_model(spec)
    (row,) = model.model_validate_json('{"rows": [{"sold": "2024-05-01"}]}').rows
    assert row.sold == date(2024, 5, 1) == spec.request["sold"].value
    with pytest.raises(ValidationError) as raised:
        model.model_validate_json('{"rows": [{"sold": "May"}]}')
    assert "a date like 2024-05-01" in schema.explain(model, raised.value).errors()[0]["msg"]
    at = datetime(2024, 5, 2, tzinfo=UTC)
    log = Project(Settings(home=tmp_path), spec).log
    log.write([Prediction("a", at, at, row.model_dump(include={"sold"}), {}, None, "1", {"prediction": 2.5})])
    (logged,) = log.read(at - timedelta(days=1), at).to_dict("records")
    assert (logged["sold"], logged["prediction"]) == (date(2024, 5, 1), 2.5)


def test_a_request_field_of_a_new_type_is_read_from_files_and_by_packaged_models(spec, tmp_path):
    field = {"type": "date", "nullable": False}
    request = {"fields": {"sold": field}, "stored": []}
    assert portable.checked(request, 0, {"sold": "2024-05-01"}) == {"sold": date(2024, 5, 1)}
    with pytest.raises(StackError, match="a date like 2024-05-01"):
        portable.checked(request, 0, {"sold": "May"})
    path = tmp_path / "homes.csv"
    path.write_text("sold\n2024-05-01\n")
    (table, _share) = next(chunks.csv(path, {"sold": spec.request["sold"].field_type.dtype_of_file(nullable=False)}))
    assert spec.request["sold"].field_type.from_file(table["sold"].to_pandas(), "sold").tolist() == [date(2024, 5, 1)]
    raw = spec.model_dump(mode="json")
    raw["request"]["sold"]["example"] = "May"
    path = tmp_path / "homes" / "project.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(raw))
    _, problems = specification.findings(path)
    assert ["a date like 2024-05-01" in str(problem) for problem in problems] == [True]
