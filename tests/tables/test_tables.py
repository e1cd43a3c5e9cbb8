"""`make new` on tables that hold a trap: nothing of their own is refused, and what gives the target away is found."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from stack.authoring import check, rehearsal
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.project import Project
from stack.specification import specs
from stack.validation import batches
from tests.stack.authoring.scaffolds import NOW, Folder
from tests.tables.tables import CASES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = Folder(tmp_path_factory.mktemp("tables"), patch)
        yield folder


@pytest.mark.parametrize("name", CASES)
def test_what_gives_the_target_away_is_found_and_nothing_else(folder, name):
    case = CASES[name]
    notes = folder.write(f"leaking_{name}", case.table(), target=case.target).notes
    named = [note for note in notes if note.startswith("**Review**") and "KEEP=" in note]
    assert all(any(column in note for note in named) for column in case.leaks)
    assert set(specs.load(f"leaking_{name}").request).isdisjoint(case.leaks - case.harmless)
    again = folder.write(f"clean_{name}", case.table(leaking=False), target=case.target).notes
    assert [note for note in again if note.startswith("**Review**") and "KEEP=" in note] == []


@pytest.mark.parametrize("name", CASES)
def test_time_and_keys_are_seen_and_no_row_is_refused(folder, name, tmp_path):
    case = CASES[name]
    folder.write(f"whole_{name}", case.table(), target=case.target)
    spec = specs.load(f"whole_{name}")
    assert check.findings(spec.name, NOW) == []
    assert spec.tables["rows"].snapshot == (case.time is None)
    assert spec.features.entities == ([case.keys] if case.keys else [])
    project = Project(Settings(home=tmp_path), spec)
    since, until = spec.clock.start, spec.clock.first_now or datetime(2025, 6, 1, tzinfo=UTC)
    tables = project.source.fetch(since, until)
    if case.known:
        rows = tables["rows"]
        assert (rows["available_at"] >= rows[case.time]).all() and (rows["available_at"] > rows[case.time]).any()
    if case.time is None:
        tables = {"rows": tables["rows"].assign(available_at=pd.Timestamp(until))}
    result = batches.validate(project, tables, since, until)
    assert (result.accepted, result.quarantined_rows, result.warnings) == (True, 0, [])
    assert len(result.tables["rows"]) == len(case.table())


@pytest.mark.parametrize("name", ["devices", "storms", "houses"])
def test_what_was_written_runs_before_it_is_said_to(folder, name):
    case, steps = CASES[name], []
    folder.write(f"tried_{name}", case.table(), target=case.target)
    outcome = rehearsal.run(f"tried_{name}", NOW, steps.append)
    assert [step.partition(":")[0] for step in steps] == ["check", "ingest", "features", "train"]
    assert outcome.low <= outcome.model <= outcome.high and outcome.model != outcome.naive and outcome.rows >= 150
    assert "a constant answer" in str(outcome) and outcome.answer


@pytest.mark.parametrize("name", ["rides", "devices", "storms", "houses"])
def test_a_check_warns_of_what_was_kept_though_it_gives_the_target_away(folder, name):
    case = CASES[name]
    folder.write(f"kept_{name}", case.table(), target=case.target, keep=",".join(case.leaks))
    found = {column for leak in check.leaks(f"kept_{name}", NOW) for column in leak.columns}
    assert found == case.leaks
    folder.write(f"checked_{name}", case.table(), target=case.target)
    assert check.leaks(f"checked_{name}", NOW) == []


def test_what_does_not_run_is_told_with_its_place(folder):
    folder.write("tried_broken", CASES["houses"].table(), target="price")
    folder.change("projects/tried_broken/project.yaml", "between: [0, 600]", "between: [400, 600]")
    with pytest.raises(StackError, match=r"(?s)tried_broken/project.yaml.*rows.area"):
        rehearsal.run("tried_broken", NOW, lambda _: None)


def test_a_table_of_many_rows_a_day_is_tried_over_weeks(folder):
    at = pd.date_range("2024-01-01", periods=60_000, freq="min")
    random = np.random.default_rng(1)
    speed = random.normal(size=len(at)).round(3)
    load = (2 * speed + random.normal(size=len(at))).round(3)
    folder.write("tried_dense", pd.DataFrame({"at": at.astype(str), "speed": speed, "load": load}), target="load")
    outcome = rehearsal.run("tried_dense", NOW, lambda _: None)
    assert outcome.rows >= 1000 and outcome.high < outcome.naive
