import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import event

from stack.core.database import engine
from stack.core.settings import Settings
from stack.prediction_log import predictions, pruning
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.specification import specs

ASKED = datetime(2013, 3, 1, 6, tzinfo=UTC)
FLIGHT = {
    "carrier": "UA",
    "origin": "EWR",
    "dest": "ORD",
    "sched_dep": datetime.fromisoformat("2013-03-01T08:00:00-05:00"),
    "sched_arr": datetime.fromisoformat("2013-03-01T09:37:00-06:00"),
}


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def spec():
    return specs.load("flights")


def prediction(name: str, **changes) -> Prediction:
    fields = {
        "id": name,
        "asked_at": ASKED,
        "answered_at": datetime(2024, 5, 1, tzinfo=UTC),
        "request": FLIGHT,
        "features": {"temp": 39.0, "wind_speed": float("nan"), "carrier_id": "UA"},
        "features_at": ASKED - timedelta(hours=1),
        "model_version": "1",
        "answer": {"probability": 0.25, "decision": False},
    }
    return Prediction(**(fields | changes))


def read(settings, spec) -> pd.DataFrame:
    return Project(settings, spec).log.read(ASKED - timedelta(days=9), ASKED + timedelta(days=9))


def test_a_prediction_is_read_as_it_was_logged(settings, spec):
    Project(settings, spec).log.write([prediction("a")])
    frame = read(settings, spec)
    row = frame.iloc[0]
    assert row["sched_dep"] == pd.Timestamp("2013-03-01T13:00:00Z")
    assert (row["id"], row["carrier"], row["probability"], row["temp"]) == ("a", "UA", 0.25, 39.0)
    assert row["features_at"] == pd.Timestamp(ASKED - timedelta(hours=1))
    assert pd.isna(row["wind_speed"]) and pd.isna(row["visib"]) and pd.isna(row["label"])
    assert {frame[c].dtype.name for c in predictions.TIMES} == {"datetime64[us, UTC]"}


def test_reasons_are_kept_where_they_were_asked_for(settings, spec):
    why = {"base": -1.0, "unit": "log-odds", "contributions": {"temp": 0.25, "carrier_id": -0.1}}
    log = Project(settings, spec).log
    log.write([prediction("a"), prediction("b", reasons=why)])
    assert log.reasons(ASKED - timedelta(days=9), ASKED) == {"b": why}
    assert [*log.reasons(ASKED - timedelta(days=9), ASKED)["b"]["contributions"]] == ["temp", "carrier_id"]
    assert "reasons" not in read(settings, spec) and len(read(settings, spec)) == 2


def test_an_empty_window_has_the_same_columns_and_types(settings, spec):
    Project(settings, spec).log.write([prediction("a")])
    empty = Project(settings, spec).log.read(ASKED, ASKED + timedelta(days=1))
    assert len(empty) == 0
    pd.testing.assert_series_equal(empty.dtypes, read(settings, spec).dtypes)


def test_the_same_id_is_logged_once(settings, spec):
    Project(settings, spec).log.write([prediction("a")])
    Project(settings, spec).log.write([prediction("a", answer={"probability": 0.9, "decision": True}), prediction("b")])
    assert read(settings, spec).set_index("id")["probability"].to_dict() == {"a": 0.25, "b": 0.25}


BAD = [
    ("asked_at", "2013-03-01 yesterday"),
    ("answered_at", "soon"),
    ("features_at", "0000-00-00"),
    ("label_at", "0001-01-01 00:00:00.000000"),
    ("label", "late"),
    ("label", 9e999),
    ("request", "{"),
    ("request", "[]"),
    ("request", json.dumps(FLIGHT | {"sched_dep": "1600-01-01T00:00:00Z"}, default=str)),
    ("request", json.dumps(FLIGHT | {"sched_arr": "9999-12-31T23:59:59Z"}, default=str)),
    ("request", json.dumps(FLIGHT | {"sched_arr": "tomorrow"}, default=str)),
    ("features", '{"temp": "warm"}'),
    ("features", "null"),
    ("features", '{"temp": 1e39}'),
    ("answer", "7"),
    ("answer", "{}"),
    ("answer", '{"probability": 1e999, "decision": true}'),
]


@pytest.fixture
def damaged(settings, spec):
    """A log of which some rows hold what cannot be read, written past the log."""
    log = Project(settings, spec).log
    names = [f"bad{number}" for number in range(len(BAD))]
    log.write([prediction(name) for name in ("a", *names, "z")])
    log.label_predictions({name: (1.0, ASKED) for name in ("a", *names, "z")})
    with engine(settings.state_database).begin() as connection:
        for name, (column, value) in zip(names, BAD, strict=True):
            statement = f"UPDATE predictions SET {column} = ? WHERE id = ?"
            connection.exec_driver_sql(statement, (value, name))
    return log


def test_rows_that_cannot_be_read_are_left_out_and_counted(damaged, settings, spec, caplog):
    frame = read(settings, spec)
    assert frame["id"].tolist() == ["a", "z"]
    assert frame.attrs["unreadable"] == len(BAD)
    assert f"flights: {len(BAD)} of {len(BAD) + 2} logged predictions cannot be read and are left out" in caplog.text
    whole = damaged.outcomes(ASKED - timedelta(days=1), ASKED + timedelta(days=1))
    assert whole.attrs["unreadable"] == 6 and len(whole) == len(BAD) + 2 - 6


def test_a_log_of_unreadable_rows_alone_is_an_empty_frame(damaged, settings, spec):
    with engine(settings.state_database).begin() as connection:
        connection.exec_driver_sql("DELETE FROM predictions WHERE id IN ('a', 'z')")
    frame = read(settings, spec)
    assert frame.empty and frame.attrs["unreadable"] == len(BAD)


def test_a_challenger_s_answer_that_cannot_be_read_is_left_out(settings, spec):
    log = Project(settings, spec).log
    log.write([prediction("a"), prediction("b")])
    log.write_shadows("2", [prediction("a"), prediction("b")], np.array([[0.5], [0.75]]), 0.5)
    with engine(settings.state_database).begin() as connection:
        connection.exec_driver_sql("UPDATE shadows SET answer = 'x' WHERE id = 'a'")
    frame = log.read_shadows(ASKED - timedelta(days=1), ASKED + timedelta(days=1))
    assert frame[["id", "probability_shadow"]].values.tolist() == [["b", 0.75]]


def test_the_key_of_an_event_is_short_however_long_its_fields_are(settings, spec):
    long = FLIGHT | {"carrier": "x" * 100_000}
    key = predictions.event_key(spec, long)
    assert len(key) < 40 and key != predictions.event_key(spec, FLIGHT)
    log = Project(settings, spec).log
    log.write([prediction("a", request=long)])
    label = pd.DataFrame([long | {"label": 1.0, "label_at": pd.Timestamp(ASKED)}])
    assert log.label_events(label) == 1


def test_the_keys_of_an_hour_are_neighbours_and_those_of_an_early_release_are_found(settings, spec):
    later = FLIGHT | {"sched_dep": FLIGHT["sched_dep"] + timedelta(hours=1)}
    hours = [predictions.event_key(spec, asked)[: -predictions.HASH] for asked in (FLIGHT, later)]
    assert int(hours[1], 16) == int(hours[0], 16) + 1
    log = Project(settings, spec).log
    log.write([prediction("a"), prediction("b")])
    with engine(settings.state_database).begin() as connection:
        connection.exec_driver_sql("UPDATE predictions SET event_key = substr(event_key, -32) WHERE id = 'a'")
    label = pd.DataFrame([FLIGHT | {"label": 1.0, "label_at": pd.Timestamp(ASKED)}])
    assert log.label_events(label) == 2


def weather(spec, **changes):
    """A project of another task, whose request and features are those of flights."""
    return spec.model_copy(update={"name": "weather", **changes})


def test_the_answers_of_every_task_are_read_as_its_outputs(settings, spec):
    odds = {"rain": 0.1 + 0.2, "sun": 0.5, "3": 0.2}
    kinds = weather(spec, task="multiclass", classes=["rain", "sun", 3])
    Project(settings, kinds).log.write([prediction("a", answer={"probabilities": odds, "decision": "sun"})])
    row = read(settings, kinds).iloc[0]
    assert (row["probability_rain"], row["probability_sun"], row["probability_3"]) == (0.1 + 0.2, 0.5, 0.2)
    assert row["decision"] == "sun" and "answer" not in row and "probability" not in row

    degrees = weather(spec, name="degrees", task="regression")
    Project(settings, degrees).log.write([prediction("b", answer={"prediction": -1e-17})])
    labels = {"b": (2.5, datetime(2013, 3, 2, tzinfo=UTC))}
    assert Project(settings, degrees).log.label_predictions(labels) == {"b"}
    row = read(settings, degrees).iloc[0]
    assert (row["prediction"], row["label"]) == (-1e-17, 2.5) and "decision" not in row
    outcomes = Project(settings, degrees).log.outcomes(ASKED - timedelta(hours=1), ASKED)
    assert list(outcomes) == ["event_timestamp", "model_version", "prediction", "label"]


def test_another_project_is_not_read(settings, spec):
    Project(settings, spec.model_copy(update={"name": "energy"})).log.write([prediction("a")])
    assert len(read(settings, spec)) == 0


def test_labels_find_predictions_by_event_whatever_the_zone_of_its_instants(settings, spec):
    Project(settings, spec).log.write(
        [prediction("a"), prediction("b"), prediction("c", request=FLIGHT | {"carrier": "DL"})]
    )
    event = FLIGHT | {name: pd.Timestamp(FLIGHT[name]).tz_convert("UTC") for name in ("sched_dep", "sched_arr")}
    labels = pd.DataFrame([event | {"label": 1, "label_at": pd.Timestamp("2013-03-02", tz="UTC")}])
    assert Project(settings, spec).log.label_events(labels) == 2
    rows = read(settings, spec).set_index("id")
    assert rows["label"].dropna().to_dict() == {"a": 1, "b": 1}
    assert rows["label_at"]["a"] == pd.Timestamp("2013-03-02", tz="UTC")


def test_labels_find_predictions_by_id_and_replace_earlier_ones(settings, spec):
    Project(settings, spec).log.write([prediction("a"), prediction("b")])
    for outcome in (1, 0):
        labels = {"a": (outcome, datetime(2013, 3, 2, tzinfo=UTC))}
        assert Project(settings, spec).log.label_predictions(labels) == {"a"}
    assert read(settings, spec).set_index("id")["label"].dropna().to_dict() == {"a": 0}


def test_no_labels_label_nothing(settings, spec):
    assert Project(settings, spec).log.label_events(pd.DataFrame(columns=["label", "label_at"])) == 0


def test_prune_deletes_by_the_wall_clock(settings, spec, monkeypatch):
    monkeypatch.setattr(pruning, "PRUNED_AT_ONCE", 2)
    old, new = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
    Project(settings, spec).log.write(
        [prediction("new", answered_at=new), *(prediction(f"old{n}", answered_at=old) for n in range(5))]
    )
    assert pruning.prune(settings, new) == 5
    assert pruning.prune(settings, new) == 0
    assert read(settings, spec)["id"].tolist() == ["new"]


def test_a_commit_is_synchronous(settings):
    from stack.core.database import engine

    with engine(settings.state_database).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_importing_the_log_pulls_in_no_heavy_tool():
    heavy = "feast, mlflow, bentoml, prefect, evidently, great_expectations, sklearn"
    probe = f"import sys, stack.prediction_log.predictions; print([m for m in {heavy.split(', ')} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True).stdout.strip() == "[]"


def test_outcomes_are_the_labelled_predictions_of_a_window(settings, spec):
    other = FLIGHT | {"dest": "LAX"}
    Project(settings, spec).log.write(
        [prediction("a"), prediction("b", request=other), prediction("c", asked_at=ASKED + timedelta(days=1))]
    )
    labels = pd.DataFrame([FLIGHT | {"label": 1, "label_at": pd.Timestamp(ASKED + timedelta(hours=9))}])
    Project(settings, spec).log.label_events(labels)
    outcomes = Project(settings, spec).log.outcomes(ASKED - timedelta(hours=1), ASKED)
    assert outcomes.to_dict("records") == [
        {"event_timestamp": pd.Timestamp(ASKED), "model_version": "1", "probability": 0.25, "label": 1}
    ]
    assert str(outcomes["event_timestamp"].dtype) == "datetime64[us, UTC]"
    empty = Project(settings, spec).log.outcomes(ASKED + timedelta(days=2), ASKED + timedelta(days=3))
    assert list(empty) == list(outcomes) and empty.empty
    assert Project(settings, spec).log.ids(ASKED - timedelta(hours=1), ASKED) == {"a", "b"}


def test_every_question_is_answered_by_an_index(settings, spec):
    log, asked = Project(settings, spec).log, []
    log.write([prediction("a")])

    def listen(_connection, _cursor, statement, parameters, _context, many):
        asked.append((statement, parameters[0] if many else parameters))

    event.listen(engine(settings.state_database), "before_cursor_execute", listen)
    day = timedelta(days=1)
    label = pd.DataFrame([FLIGHT | {"label": 1.0, "label_at": pd.Timestamp(ASKED)}])
    for ask in (log.read, log.ids, log.outcomes, log.read_shadows):
        ask(ASKED - day, ASKED + day)
    log.asked_at(["a"]), log.label_events(label), log.label_predictions({"a": (0.0, ASKED)})
    pruning.prune(settings, datetime.now(UTC))
    event.remove(engine(settings.state_database), "before_cursor_execute", listen)

    assert len(asked) >= 9
    with engine(settings.state_database).connect() as connection:
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [step for *_, step in plan]
            assert not [step for step in steps if step.startswith("SCAN") and "INDEX" not in step], (statement, steps)
