"""The examples' figures over five random folds, at the centre of the search: those of each README."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame
from sklearn.model_selection import KFold, StratifiedKFold

from stack.features import features
from stack.project import contract
from stack.specification import specs, tasks
from stack.specification.specs import ProjectSpec
from stack.training import candidates

AT = datetime(2024, 1, 1, tzinfo=UTC)
FOLDS = 5


def labelled(spec: ProjectSpec) -> DataFrame:
    """The project's rows with encoded outcomes and their features, as its own code makes them."""
    tables = {name: table.assign(available_at=AT) for name, table in contract.source(spec.name).fetch(AT, AT).items()}
    rows = contract.features(spec.name).events(tables)
    asked = {name: [None if pd.isna(value) else value for value in rows[name]] for name in spec.request}
    on_request = contract.features(spec.name).on_request(asked)
    rows = rows.assign(
        **{name: features.column(kind, on_request[name]) for name, kind in spec.features.columns.items()}
    )
    return rows.assign(**{spec.label: tasks.of(spec).encode(rows[spec.label], spec.name)})


def five_fold(spec: ProjectSpec, rows: DataFrame, candidate: str = "gradient_boosting") -> np.ndarray:
    """Answers (n, outputs) to all rows, each by a model that was fitted on the other folds."""
    label, task = rows[spec.label], tasks.of(spec)
    kind = KFold if spec.task == "regression" else StratifiedKFold
    answers = np.empty((len(rows), len(task.outputs)))
    for fit, test in kind(FOLDS, shuffle=True, random_state=spec.training.seed).split(rows, label):
        centre = dict(candidates.available(spec, len(fit))[candidate].initial_params)
        pipeline = candidates.fit(spec, candidate, centre, rows.iloc[fit])
        answers[test] = task.predict(pipeline, candidates.frame(spec, rows.iloc[test]))
    return answers


def measured(name: str, candidate: str = "gradient_boosting") -> dict[str, float]:
    spec = specs.load(name)
    rows = labelled(spec)
    answers, task = five_fold(spec, rows, candidate), tasks.of(spec)
    metric = candidates.own_metric(spec)
    own = {metric.name: metric.measure(rows[spec.label].to_numpy(), answers)} if metric else {}
    called = {"called": float((answers[:, 0] >= spec.threshold).mean())}
    return task.metrics(rows[spec.label], answers, task.baseline(rows[spec.label])) | own | called


def test_titanic() -> None:
    metrics = measured("titanic")
    assert metrics["rows"] == 2207
    assert metrics["auc"] >= 0.81
    assert metrics["accuracy"] >= 0.79
    assert metrics["auc"] == pytest.approx(0.820, abs=0.01)
    assert metrics["accuracy"] == pytest.approx(0.805, abs=0.01)


def test_women_survive_is_the_rule_to_beat() -> None:
    rows = labelled(specs.load("titanic"))
    assert ((rows["sex"] == "female") == (rows["survived"] == 1)).mean() == pytest.approx(0.782, abs=0.001)


def test_housing() -> None:
    metrics = measured("housing")
    assert metrics["rows"] == 506
    assert metrics["rmse"] <= 3.8
    assert metrics["r2"] >= 0.80
    assert measured("housing", "linear")["rmse"] > metrics["rmse"] + 1


def test_insurance() -> None:
    metrics = measured("insurance")
    assert metrics["rows"] == 5822
    assert metrics["rate"] == pytest.approx(0.060, abs=0.0005)
    assert metrics["top_fifth"] >= 0.50
    assert metrics["auc"] >= 0.74
    # The threshold of project.yaml keeps the budget: a fifth of the customers is called.
    assert metrics["called"] == pytest.approx(0.20, abs=0.02)
