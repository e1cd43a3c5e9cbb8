"""Rows that belong together are found in a table without time, and held out together."""

import numpy as np
import pandas as pd
import pytest

from stack.authoring import rehearsal
from stack.core.errors import StackError
from stack.specification import specs
from tests.stack.authoring.scaffolds import NOW, Folder, flats, flowers
from tests.tables.tables import CASES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return Folder(tmp_path, monkeypatch)


def visits(patients: int = 120) -> pd.DataFrame:
    """Return six visits of each patient, whose weight and pressure stay about the same, and depend on the age."""
    random = np.random.default_rng(4)
    patient = np.repeat(np.arange(patients), 6)
    age = random.integers(30, 80, patients)
    return pd.DataFrame(
        {
            "ward": random.choice(["north", "south"], len(patient)),
            "patient": 1000 + 7 * patient,
            "age": age[patient],
            "weight": (random.normal(75, 12, patients)[patient] + random.normal(0, 1, len(patient))).round(1),
            "visit": np.tile(np.arange(6), patients),
            "pressure": (
                90 + 0.5 * age[patient] + random.normal(0, 12, patients)[patient] + random.normal(0, 2, len(patient))
            ).round(),
        }
    )


def test_patients_are_held_out_whole(folder):
    written = folder.write("new_visits", visits(), target="pressure")
    spec = specs.load("new_visits")
    assert spec.training.group == "patient"
    assert {"patient"}.isdisjoint([*spec.request, *spec.features.columns])
    assert any("`patient` are held out together" in note and "GROUP=none" in note for note in written.notes)
    outcome = rehearsal.run("new_visits", NOW, lambda _: None)
    folder.write("new_apart", visits(), target="pressure", group="none")
    assert specs.load("new_apart").training.group == ""
    known = rehearsal.run("new_apart", NOW, lambda _: None)
    # The random split promises what is true of patients that the model has seen alone.
    assert known.model < 0.7 * outcome.model


def test_a_group_that_is_asked_for_is_taken(folder):
    folder.write("new_asked", visits(), target="pressure", group="ward")
    assert specs.load("new_asked").training.group == "ward"
    with pytest.raises(StackError, match="GROUP"):
        folder.write("new_wrong", visits(), target="pressure", group="patients")


@pytest.mark.parametrize("table", ["penguins", "loans", "cancer", "houses", "flats", "flowers"])
def test_other_tables_have_no_groups(folder, table):
    frame, target = {"flats": (flats(), "Zustand"), "flowers": (flowers(), "species")}.get(table, (None, ""))
    frame, target = (CASES[table].table(), CASES[table].target) if frame is None else (frame, target)
    folder.write(f"new_{table}", frame, target=target, time="none")
    assert specs.load(f"new_{table}").training.group == ""


def test_groups_of_rows_in_time_are_an_error_that_says_so(folder):
    folder.write("new_timed", visits(), target="pressure")
    folder.change("projects/new_timed/project.yaml", "{split: random}", "{split: time}")
    with pytest.raises(StackError) as error:
        specs.load("new_timed")
    assert "key training" in str(error.value) and "split: random" in str(error.value)
