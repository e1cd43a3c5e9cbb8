"""A category of many values is learnt from by the outcomes of each, which are those of other rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from stack.specification import specs, tasks
from stack.training import candidates
from stack.training.export import export

CANDIDATES = ["gradient_boosting", "linear", "lightgbm", "xgboost"]


def rows_of_shops(count=6000, seed=1, noise=False):
    """Return rows of 500 shops, each with a rate of its own, or with none that differs from another's."""
    random = np.random.default_rng(seed)
    shop, price = random.integers(0, 500, count), random.normal(size=count).astype("float32")
    rate = 0 if noise else np.random.default_rng(9).normal(0, 2, 500)[shop]
    score = rate + 0.3 * price
    asked = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(count), unit="h")
    return pd.DataFrame(
        {
            "event_id": [f"r{number}" for number in range(count)],
            "event_timestamp": asked.as_unit("us"),
            "label_available_at": asked.as_unit("us"),
            "price": price,
            "shop": np.where(random.uniform(size=count) < 0.02, None, shop.astype(str)),
            "colour": random.choice(["red", "blue"], count),
            "score": score,
            "sold": (random.uniform(size=count) < 1 / (1 + np.exp(-score))).astype("int64"),
        }
    )


def spec_of_shops(encode=True, **sections):
    columns = {
        "price": {"type": "number", "example": 1.0},
        "colour": {"type": "string", "example": "red"},
        "shop": {"type": "string", "example": "1", "missing": 0.1} | ({"encode": "target"} if encode else {}),
        "sold": {"type": "integer"},
    }
    raw = {"name": "shops", "title": "Is it sold?", "label": "sold", "source": {"path": "data/shops.csv"}}
    raw |= {"columns": columns, "training": {"split": "random", "candidates": CANDIDATES}}
    return specs.parse(raw | sections, Path("projects/shops/project.yaml"))


def fitted(spec, name, rows):
    return candidates.fit(spec, name, dict(candidates.available(spec, len(rows))[name].initial_params), rows)


def strange(rows):
    """Rows of shops that are unknown, missing or of strange signs."""
    shops = np.array(["new", None, "", "É \N{GRINNING FACE}", *rows["shop"].dropna().unique()[:300]], object)
    return rows.assign(shop=np.resize(shops, len(rows)))


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_column_of_many_values_is_better_encoded_than_left_out(name, tmp_path):
    spec, rows, test = spec_of_shops(), rows_of_shops(), rows_of_shops(3000, seed=2)
    pipeline = fitted(spec, name, rows)
    without = fitted(spec, name, rows.assign(shop="any"))
    auc, base = (
        roc_auc_score(test["sold"], model.predict_proba(candidates.frame(spec, frame))[:, 1])
        for model, frame in ((pipeline, test), (without, test.assign(shop="any")))
    )
    assert auc >= 0.78 > 0.6 > base
    model, others = export(pipeline, spec, tmp_path, rows.head(200)), strange(test)
    assert model.form == "onnx"
    wanted = pipeline.predict_proba(candidates.frame(spec, others))[:, 1]
    assert np.abs(model.predict(others)[:, 0] - wanted).max() <= 1e-5


@pytest.mark.parametrize("name", CANDIDATES)
def test_chance_is_not_learnt(name):
    """Of each shop's own outcomes a model would learn those of the rows that it is fitted on by heart."""
    spec, rows, test = spec_of_shops(), rows_of_shops(2000, noise=True), rows_of_shops(2000, seed=2, noise=True)
    rows, test = (frame.assign(price=np.float32(0)) for frame in (rows, test))
    probability = fitted(spec, name, rows).predict_proba(candidates.frame(spec, test))[:, 1]
    assert probability.std() < 0.12


@pytest.mark.parametrize("name", ["gradient_boosting", "linear"])
@pytest.mark.parametrize(("task", "classes"), [("multiclass", ["a", "b", "c"]), ("regression", [])])
def test_other_tasks_are_encoded_and_served_by_onnx(name, task, classes, tmp_path):
    rows, test = rows_of_shops(3000), strange(rows_of_shops(1000, seed=2))
    rows["sold"] = np.digitize(rows["score"], [-1, 1]) if classes else np.round(1000 * rows["score"])
    spec = spec_of_shops(task=task, classes=classes)
    pipeline = fitted(spec, name, rows)
    model, wanted = export(pipeline, spec, tmp_path, rows.head(200)), None
    wanted = tasks.of(spec).predict(pipeline, candidates.frame(spec, test))
    assert model.form == "onnx"
    assert tasks.of(spec).difference(model.predict(test), wanted) <= 1e-5
    shared = rows.assign(sold=lambda rows: rows["sold"].clip(upper=1)) if classes else rows
    fitted(spec, name, shared)  # as of a fold that lacks a class


def test_an_unknown_value_is_encoded_as_the_mean_of_all_rows():
    spec, rows = spec_of_shops(), rows_of_shops(2000)
    encoder = fitted(spec, "gradient_boosting", rows)["columns"].named_transformers_["encoded"]
    encoded = encoder.transform([["new"], ["also new"], ["7"]])[:, 0]
    assert encoded[0] == encoded[1] == pytest.approx(rows["sold"].mean())
    assert encoded[0] != encoded[2]
    assert "" in encoder.categories_[0], "a missing shop has an encoding of its own"


def test_what_is_not_encoded_is_read_as_before():
    spec, rows = spec_of_shops(encode=False), rows_of_shops(500)
    columns = fitted(spec, "gradient_boosting", rows)["columns"]
    assert [(name, place) for name, _, place in columns.transformers] == [
        ("number", slice(0, 1)),
        ("category", slice(1, 3)),
    ]
