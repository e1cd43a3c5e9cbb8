"""The events that a training takes: at most so many, the recent ones, of each class in proportion."""

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame

from stack.features import datasets, features, sampling
from stack.project import contract
from stack.specification.specs import ProjectSpec

CUTOFF = pd.Timestamp("2024-06-01", tz="UTC").to_pydatetime()
MOST = 1000


def limited(spec: ProjectSpec, events: DataFrame, **training: object) -> DataFrame:
    own = spec.training.model_copy(update={"max_rows": MOST, **training})
    return sampling.limited(spec.model_copy(update={"training": own}), events, CUTOFF)


def events(count: int, days: float, rare: float = 0.1) -> DataFrame:
    asked = pd.Timestamp(CUTOFF) - pd.to_timedelta(np.linspace(days, 0, count), unit="D")
    label = np.random.default_rng(1).uniform(size=count) < rare
    return DataFrame({"event_id": np.arange(count), "event_timestamp": asked, "rain": label.astype(float)})


def test_a_table_within_the_limit_is_taken_whole(toy):
    rows = events(MOST, 10)
    assert limited(toy, rows) is rows


def test_the_most_recent_rows_are_taken(toy):
    taken = limited(toy, events(5000, days=1000))
    assert taken["event_id"].tolist() == list(range(4000, 5000)) and taken.attrs == {sampling.KNOWN: 5000}


@pytest.mark.parametrize("split", ["time", "random"])
def test_of_more_rows_each_class_is_taken_in_proportion(toy, split):
    rows = events(20_000, days=40)
    taken = limited(toy, rows, split=split)
    assert len(taken) == MOST
    assert taken["rain"].sum() == pytest.approx(rows["rain"].mean() * MOST, abs=1)
    assert np.histogram(taken["event_id"], 4, (0, 20_000))[0] == pytest.approx(MOST / 4, rel=0.2)


def test_the_holdout_keeps_its_length(toy):
    taken = limited(toy, events(50_000, days=400), holdout=timedelta(days=10), holdout_share=0.25)
    assert len(taken) == MOST
    assert taken["event_timestamp"].min() == pytest.approx(CUTOFF - timedelta(days=40), abs=timedelta(days=1))


def test_the_same_rows_are_taken_whatever_their_order(toy):
    rows = events(5000, days=40)
    again = limited(toy, rows.sample(frac=1, random_state=1))
    assert sorted(again["event_id"]) == limited(toy, rows)["event_id"].tolist()
    assert set(limited(toy, rows, seed=8)["event_id"]) != set(again["event_id"])


def test_blocks_of_a_long_table_give_the_rows_of_the_whole(toy, monkeypatch):
    own = toy.training.model_copy(update={"max_rows": MOST})
    spec = toy.model_copy(update={"training": own})
    rows = events(5000, days=40).assign(label_available_at=pd.Timestamp(CUTOFF), town="Bath")
    monkeypatch.setattr(contract, "features", lambda name: SimpleNamespace(events=lambda tables: tables["days"]))
    monkeypatch.setattr(features, "training_set", lambda project, events: events)

    def labelled(blocks: int) -> DataFrame:
        parts = [{"days": rows.iloc[part]} for part in np.array_split(np.arange(len(rows)), blocks)]
        return datasets.labelled(SimpleNamespace(spec=spec, lake=SimpleNamespace(blocks=lambda _: parts)), CUTOFF)

    whole, joined = labelled(1), labelled(3)
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), joined)
    assert whole.attrs == joined.attrs == {sampling.KNOWN: 5000}
