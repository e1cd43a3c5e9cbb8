"""Sets of classes: they hold the share that project.yaml names, are served as they were measured, and are monitored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitoring import reports
from services.portal import answers
from services.prediction import schema
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.promotion import card
from stack.publishing import messages
from stack.registry.registry import Version
from stack.serving import corrections, observed
from stack.serving.served import ServedModel
from stack.specification import class_sets, specs
from stack.takeaway import portable
from stack.training import splits, training
from stack.training.search import TrialResult

START, DAYS, LEVEL = pd.Timestamp("2024-01-01", tz="UTC"), 100, 0.9
CUTOFF = START + pd.Timedelta(days=DAYS)
BEST = TrialResult(1, "linear", {"C": 1.0})
KINDS = ["elm", "fir", "oak", "yew"]


def spec_of(**keys):
    raw = {
        "name": "trees",
        "title": "Which tree is it?",
        "task": "multiclass",
        "label": "tree",
        "classes": KINDS,
        "interval": LEVEL,
        "tables": {"days": {"key": ["day"]}},
        "request": {"height": {"type": "number", "description": "Height", "example": 3.5}},
        "features": {"service": "trees_v1", "columns": {"height": "number", "girth": "number"}},
        "training": {"candidates": ["linear"]},
    }
    return specs.parse(raw | keys, Path("projects/trees/project.yaml"))


def rows_of(count=3000, seed=3, noise=1.0, start=START, days=DAYS):
    """Trees around four centres, which overlap the more the greater the noise is."""
    random = np.random.default_rng(seed)
    asked = (start + pd.to_timedelta(np.sort(random.uniform(0, days, count)), unit="D")).as_unit("us")
    tree = random.integers(0, 4, count)
    height, girth = (noise * random.normal(size=(2, count)) + [2 * (tree % 2), 2 * (tree // 2)]).astype("float32")
    columns = {"event_id": [f"{seed}-{number}" for number in range(count)], "event_timestamp": asked}
    columns |= {"label_available_at": asked + pd.Timedelta(hours=1), "height": height, "girth": girth}
    return pd.DataFrame(columns | {"tree": tree.astype(float)})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder that a training writes, and its metrics."""
    spec, rows, folder = spec_of(), rows_of(), tmp_path_factory.mktemp("trees")
    metrics = training.evaluate(spec, splits.holdout(spec, rows, CUTOFF), BEST, folder)
    training.refit(spec, rows, BEST, folder, metrics["correction"])
    return folder, metrics


def ask(project, model, rows):
    """Log the model's answers to rows with their outcomes; return the answers."""
    replies = [project.task.reply(answer, 0.5) for answer in model.answer(rows).tolist()]
    project.log.write(
        [
            Prediction(
                row.event_id,
                asked_at=row.event_timestamp.to_pydatetime(),
                answered_at=row.event_timestamp.to_pydatetime(),
                request={"height": row.height},
                features={"height": row.height, "girth": row.girth},
                features_at=None,
                model_version="1",
                answer=reply,
            )
            for row, reply in zip(rows.itertuples(), replies, strict=True)
        ]
    )
    known = zip(rows["event_id"], rows["tree"], rows["label_available_at"], strict=True)
    project.log.label_predictions({name: (label, at.to_pydatetime()) for name, label, at in known})
    return replies


def covered(rows, replies):
    return np.mean([KINDS[int(tree)] in reply["classes"] for tree, reply in zip(rows["tree"], replies, strict=True)])


def test_the_holdout_says_what_the_sets_hold(written):
    folder, metrics = written
    assert metrics["coverage"] == pytest.approx(LEVEL, abs=0.03)
    assert 1 < metrics["set_size"] < 2, "some answers are sure, some are not"
    rows = pd.read_parquet(folder / "holdout" / "holdout.parquet")
    assert rows["correction"].unique() == [metrics["correction"]]


def test_new_rows_are_in_their_sets_as_often(written):
    model, rows, task = ServedModel(written[0] / "served"), rows_of(seed=9), Project(Settings(), spec_of()).task
    answer = model.answer(rows)
    assert answer.shape == (len(rows), 5) and (answer[:, :4] == model.predict(rows)).all()
    replies = [task.reply(row, 0.5) for row in answer.tolist()]
    assert covered(rows, replies) == pytest.approx(LEVEL, abs=0.02)
    assert all(reply["decision"] == reply["classes"][0] for reply in replies)
    sizes = class_sets.members(answer[:, :4], answer[:, 4]).sum(axis=1)
    assert [len(reply["classes"]) for reply in replies] == sizes.tolist()
    assert portable.reply(model.contract, answer[0]) == replies[0]


def test_the_monitored_correction_follows_classes_that_overlap_more(written, tmp_path):
    project, model = Project(Settings(home=tmp_path), spec_of()), ServedModel(written[0] / "served")
    version, shares = Version("trees", "1", "run", {"stack.cutoff": CUTOFF.isoformat()}), []
    for week in range(8):
        corrections.apply(project.settings, "trees", "1", model)
        since = CUTOFF + pd.Timedelta(days=7 * week)
        rows = rows_of(400, seed=week + 20, noise=1.0 + (week >= 2), start=since, days=7)
        shares.append(covered(rows, ask(project, model, rows)))
        at = since + pd.Timedelta(days=7)
        assert corrections.update(project, version, observed.judged(project, version, at), at) is not None
    assert np.mean(shares[:2]) == pytest.approx(LEVEL, abs=0.03)
    assert shares[2] < 0.75
    assert np.mean(shares[3:]) == pytest.approx(LEVEL, abs=0.03)
    logged = project.log.read(CUTOFF, at)
    assert logged["correction"].nunique() > 5 and logged["classes"].str.contains(", ").any()
    reference = rows_of(1000).assign(**dict.fromkeys(project.task.outputs, 0.25))
    report = reports.run(project, reference, logged.rename(columns={"label": "tree"}), at=at, name="r1", cutoff=CUTOFF)
    assert report.window.measured["set_size"] > 1.2
    assert report.window.measured["coverage"] == pytest.approx(np.mean(shares), abs=0.02)
    (reason,) = [reason for reason in report.verdict.reasons if reason.name == "coverage"]
    assert "of the outcomes are in their sets of classes, limit 80%" in reason.text


def test_answers_of_before_the_key_have_no_set(tmp_path, written):
    project, model = Project(Settings(home=tmp_path), spec_of()), ServedModel(written[0] / "served")
    rows = rows_of(60)
    bare = project.task.reply(model.predict(rows)[0], 0.5)
    assert "classes" not in bare and "correction" not in bare
    assert schema.answer_model(project.spec)(
        **bare, model_version="1", prediction_id="a", features_at=None, warnings=[]
    ).model_dump().keys() >= {"decision"}
    row = {"id": "a", "asked_at": START, "answered_at": START, "model_version": "1", "request": {"height": 1.0}}
    (message,) = messages.messages(project.spec, [row | {"answer": bare}])
    assert message["classes"] == ""


def test_the_set_is_described_published_and_shown(written):
    spec, model = spec_of(), ServedModel(written[0] / "served")
    reply = Project(Settings(), spec).task.reply([0.5, 0.3, 0.15, 0.05, 0.75], 0.5)
    assert reply["classes"] == ["elm", "fir"]
    described = schema.answer_model(spec).model_json_schema()["properties"]["classes"]
    assert "most probable first" in described["description"]
    row = {"id": "a", "asked_at": START, "answered_at": START, "model_version": "1", "request": {"height": 1.0}}
    (message,) = messages.messages(spec, [row | {"answer": reply}])
    assert message["classes"] == "elm, fir" and "correction" not in message
    assert answers.in_words(spec, reply) == "elm, probability 50.0%; with 90% one of elm, fir"
    assert model.contract.interval == LEVEL


def test_the_card_says_how_many_classes_a_set_has(written):
    rows = pd.read_parquet(written[0] / "holdout" / "holdout.parquet")
    text = card.interval_text(spec_of(), rows)
    assert text == f"sets of {written[1]['set_size']:.2f} of 4 classes, in the mean, hold the outcome with 90%"


def test_a_class_is_in_the_set_by_its_distance_from_1():
    answer = [[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]]
    assert class_sets.members(answer, [0.65, 0.65]).tolist() == [[True, False, False], [True, True, False]]
    assert class_sets.members(answer, 0.0).sum(axis=1).tolist() == [1, 1], "the most probable class always is"
    assert class_sets.correction([0, 0, 1, 1, 2], np.tile([0.5, 0.3, 0.2], (5, 1)), 0.5) == pytest.approx(0.7)


def test_two_classes_have_no_sets():
    with pytest.raises(
        StackError, match=r"key interval:\s+found.*\s+expected  of a regression, a forecast or several classes"
    ):
        spec_of(task="binary", classes=["elm", "fir"])
    with pytest.raises(StackError, match="'classes' then; rename"):
        spec_of(request={"classes": {"type": "string", "description": "Class", "example": "a"}})
