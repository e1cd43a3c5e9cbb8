"""Texts are learnt from by their words, and served as they are learnt from."""

from time import process_time

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from stack.serving.served import ServedModel
from stack.training import candidates, dependence, evaluation
from stack.training.export import STRANGE, export
from tests.stack.messages import messages, messages_spec

CANDIDATES = ["gradient_boosting", "linear", "lightgbm", "xgboost"]


def fitted(spec, name, rows):
    return candidates.fit(spec, name, dict(candidates.available(spec, len(rows))[name].initial_params), rows)


@pytest.mark.parametrize("name", CANDIDATES)
def test_messages_are_told_apart_and_served_by_onnx(name, tmp_path):
    spec, rows, others = messages_spec(), messages(), messages(800, seed=6)
    pipeline = fitted(spec, name, rows)
    model = export(pipeline, spec, tmp_path, rows.head(100))
    probability = model.predict(others)[:, 0]
    assert model.form == "onnx"
    assert roc_auc_score(others["spam"], probability) >= 0.95
    assert f1_score(others["spam"], probability >= 0.5) >= 0.8
    others.loc[:, "message"] = np.resize(np.array([*STRANGE, "\ud800 FREE", "_", "fReE\tİ"], object), len(others))
    wanted = pipeline.predict_proba(candidates.frame(spec, others))[:, 1]
    assert np.abs(model.predict(others)[:, 0] - wanted).max() <= 1e-5
    one = {name: [others[name].iloc[0]] for name in spec.features.columns}
    start = process_time()
    for _ in range(100):
        model.predict(one)
    assert (process_time() - start) / 100 <= 1e-3, "a millisecond a row"


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_words_are_chosen_where_a_fold_stops_a_fit(name):
    spec, rows, test = messages_spec(), messages(400), messages(200, seed=6)
    features, others = candidates.frame(spec, rows), candidates.frame(spec, test)
    params = dict(candidates.available(spec, len(rows))[name].initial_params)
    pipeline, found = candidates.fit_on(spec, name, params, features, rows["spam"], test=(others, test["spam"]))
    assert found["n_estimators"] > 1
    assert roc_auc_score(test["spam"], pipeline.predict_proba(others)[:, 1]) >= 0.9


def test_rows_without_any_word_are_learnt_from(tmp_path):
    spec = messages_spec()
    rows = messages(300).assign(message=None)
    for name in ("gradient_boosting", "linear"):
        model = export(fitted(spec, name, rows), spec, tmp_path / name, rows)
        assert model.form == "onnx"
        assert len(set(model.predict(rows.assign(hour=1.0, sender="shop", message=["", "!"] * 150))[:, 0])) == 1


@pytest.mark.parametrize("name", ["gradient_boosting", "linear"])
def test_a_number_is_learnt_from_texts_alone(name, tmp_path):
    rows = messages(600).assign(spam=lambda rows: 5.0 + rows["message"].str.count("£1000"))
    columns = {"message": {"type": "text", "example": "a"}, "spam": {"type": "number"}}
    spec = messages_spec(task="regression", columns=columns)
    pipeline = fitted(spec, name, rows)
    model = export(pipeline, spec, tmp_path, rows.head(100))
    errors = model.predict(rows)[:, 0] - rows["spam"]
    assert model.form == "onnx"
    assert errors.var() < 0.5 * rows["spam"].var()
    importances = evaluation.importance(pipeline, spec, candidates.frame(spec, rows), rows["spam"], 7)
    assert importances["column"].tolist() == ["message"]
    assert dependence.write(pipeline, spec, candidates.frame(spec, rows), importances, tmp_path) == {}


def test_directions_are_kept_beside_a_text(tmp_path):
    rows = messages(600)
    spec = messages_spec()
    spec = spec.model_copy(update={"features": spec.features.model_copy(update={"monotonic": {"hour": "increasing"}})})
    pipeline = fitted(spec, "gradient_boosting", rows)
    answers = [
        pipeline.predict_proba(candidates.frame(spec, rows.assign(hour=float(hour))))[:, 1] for hour in range(24)
    ]
    assert (np.diff(answers, axis=0) >= 0).all()


def test_an_answer_names_the_text_as_a_reason(tmp_path):
    spec, rows = messages_spec(), messages()
    model = export(fitted(spec, "linear", rows), spec, tmp_path, rows.head(50))
    from stack.serving import reasons

    reasons.write_background(tmp_path, candidates.frame(spec, rows.head(16)))
    model = ServedModel(tmp_path)
    asked = {"hour": [3.0], "sender": ["shop"], "message": ["FREE cash prize, WINNER: claim"]}
    (why,) = model.explain(asked, model.answer(asked))
    assert next(iter(why.contributions)) == "message"
