"""Python files that are written of a project.yaml: they compute what it declared."""

import importlib
import sys
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from stack.authoring import check, eject
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.declared import checks as declared_checks
from stack.features import definitions
from stack.project import Project, contract
from stack.specification import specs
from tests.stack.authoring.scaffolds import NOW, Folder, flats, flowers, sales
from tests.tables.tables import CASES

FORMULAS = """
    rate: price / (1 + log(price)) - -2
    weekend: weekday(sold_at) >= 5
    weeks: days(sold_at) / 7 + year(sold_at)
    sky: text(first(weather, shop_id))
    cheap: min(price, 3) < 2
    lag: mean(price, 1d, 7d) by shop_id
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = Folder(tmp_path, monkeypatch)
    yield folder
    for name in [name for name in sys.modules if name.startswith("projects.ejected")]:
        del sys.modules[name]


def computed(project: Project) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, pd.DataFrame], dict[str, list[object]]]:
    """Return rows, events, the feature tables of a few days and the features of some requests."""
    spec, until = project.spec, project.spec.clock.first_now or NOW
    tables = dict(project.source.fetch(spec.clock.start, until))
    if spec.tables["rows"].snapshot:
        tables["rows"] = tables["rows"].assign(available_at=pd.Timestamp(until))
    events = project.features.events(tables)
    asked = {name: events[name].astype(object).where(events[name].notna(), None).tolist() for name in spec.request}
    on_request = contract.on_request(spec.name)
    built = project.features.build(tables, until - timedelta(days=20), until)
    return tables["rows"], events, dict(built), dict(on_request(asked)) if on_request else {}


@pytest.mark.parametrize("name", ["sales", "flowers", "flats", "rides", "air"])
def test_what_is_written_computes_what_was_declared(folder, name):
    tables = {"sales": sales, "flowers": flowers, "flats": flats}
    table = tables[name]() if name in tables else CASES[name].table()
    target = {"sales": "units", "flowers": "species", "flats": "Zustand"}.get(name) or CASES[name].target
    project = f"ejected_{name}"
    folder.write(project, table, target=target)
    if name == "sales":
        folder.change(
            f"projects/{project}/project.yaml",
            "  formulas:\n",
            f"  monotonic: {{lag: increasing}}\n  formulas:{FORMULAS}",
        )
    opened = Project(Settings(home=folder.root), specs.load(project))
    rows, events, built, asked = computed(opened)
    defined = {type(one).__name__: one.name for one in definitions.load(opened)}
    eject.write(opened, list(eject.PARTS))
    importlib.invalidate_caches()
    again = Project(opened.settings, specs.load(project))
    assert again.source.__name__ == f"projects.{project}.source"
    assert check.findings(project, NOW) == []
    assert again.spec.features.columns == opened.spec.features.columns and again.spec.request == opened.spec.request
    assert again.spec.features.monotonic == opened.spec.features.monotonic
    new_rows, new_events, new_built, new_asked = computed(again)
    pd.testing.assert_frame_equal(new_rows[list(rows)], rows)
    pd.testing.assert_frame_equal(new_events[list(events)], events)
    assert new_asked == asked and new_built.keys() == built.keys()
    for view, frame in built.items():
        pd.testing.assert_frame_equal(new_built[view][list(frame)], frame)
    assert {type(one).__name__: one.name for one in definitions.load(again)}.items() >= defined.items()
    _, *declared = declared_checks.of(opened.spec).suites()["rows"]  # the first is of values that pandas reads itself
    assert [str(one) for one in again.checks.suites()["rows"]] == [str(one) for one in declared]


def test_a_part_is_written_once_and_alone(folder):
    folder.write("ejected_alone", sales(), target="units")
    project = Project(Settings(home=folder.root), specs.load("ejected_alone"))
    with pytest.raises(StackError, match=r"features.py beside it"):
        eject.write(project, ["definitions"])
    written = eject.write(project, ["checks"])
    assert [path.name for path in written] == ["checks.py", "project.yaml"]
    assert check.findings("ejected_alone", NOW) == []
    with pytest.raises(StackError, match="it exists"):
        eject.write(project, ["checks"])


def test_a_source_reads_numbers_with_a_unit(folder):
    table = sales().assign(price=[f"$ {1000 * price:,.2f}" for price in sales()["price"]])
    folder.write("ejected_unit", table, target="units")
    project = Project(Settings(home=folder.root), specs.load("ejected_unit"))
    declared = project.source.fetch(project.spec.clock.start, NOW)["rows"]
    assert declared["price"].tolist() == pytest.approx(1000 * sales()["price"])
    eject.write(project, ["source"])
    importlib.invalidate_caches()
    read = Project(project.settings, specs.load("ejected_unit")).source.fetch(project.spec.clock.start, NOW)["rows"]
    pd.testing.assert_frame_equal(read[list(declared)], declared)


@pytest.mark.parametrize(("form", "parts"), [("unix", 1), ("unix_ms", 1000)])
def test_a_source_reads_numbers_since_1970_as_instants(folder, form, parts):
    name = f"ejected_{form}"
    table = sales()
    table["Sold At"] = (pd.to_datetime(table["Sold At"]) - pd.Timestamp(0)) // pd.Timedelta("1s") * parts
    folder.write(name, table, target="units")
    project = Project(Settings(home=folder.root), specs.load(name))
    assert project.spec.columns["sold_at"].format == form and project.spec.columns["sold_at"].role == "time"
    declared = project.source.fetch(project.spec.clock.start, NOW)["rows"]
    assert declared["sold_at"].dt.strftime("%Y-%m-%d %H:%M:%S").tolist() == sales()["Sold At"].tolist()
    eject.write(project, ["source"])
    importlib.invalidate_caches()
    read = Project(project.settings, specs.load(name)).source.fetch(project.spec.clock.start, NOW)["rows"]
    pd.testing.assert_frame_equal(read[list(declared)], declared)


@pytest.mark.parametrize("clock", ["%H.%M.%S", "%I:%M %p"])
def test_a_source_reads_a_date_and_a_time_of_day(folder, clock):
    name, at = f"ejected_clock_{len(clock)}", pd.to_datetime(sales()["Sold At"])
    table = sales().drop(columns="Sold At").assign(Day=at.dt.strftime("%d/%m/%Y"), Clock=at.dt.strftime(clock))
    below = "," * (table.shape[1] - 1) + "\n\nprices: in EUR, of the till\n"
    folder.write(name, (table.to_csv(index=False) + below).encode(), target="units")
    project = Project(Settings(home=folder.root), specs.load(name))
    assert project.spec.source.options["engine"] == "python"
    declared = project.source.fetch(project.spec.clock.start, NOW)["rows"]
    assert len(declared) == len(table)
    eject.write(project, ["source"])
    importlib.invalidate_caches()
    read = Project(project.settings, specs.load(name)).source.fetch(project.spec.clock.start, NOW)["rows"]
    pd.testing.assert_frame_equal(read[list(declared)], declared)


def test_the_features_of_a_forecast_stay_in_project_yaml(folder):
    at = pd.date_range("2025-03-01", periods=24 * 60, freq="h")
    table = pd.DataFrame({"time": at, "power": np.random.default_rng(0).normal(5, 1, len(at))})
    folder.write("ejected_power", table, target="power", task="forecast")
    project = Project.open("ejected_power")
    with pytest.raises(StackError, match="PARTS=source,checks"):
        eject.write(project, ["source", "features", "checks", "definitions"])
    assert {path.name for path in eject.write(project, ["source", "checks"])} == {
        "source.py",
        "checks.py",
        "project.yaml",
    }
