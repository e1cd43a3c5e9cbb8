"""Names of columns and files that Python, YAML, Markdown or a template would read as their own."""

import ast
import os
import time
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import yaml

from stack.authoring import check
from stack.authoring.scaffold import project as scaffold
from stack.authoring.scaffold.columns import identifiers
from stack.authoring.scaffold.wishes import Wishes
from stack.core.errors import StackError
from stack.features import datasets, features
from stack.lake import lake
from stack.project import Project, contract
from stack.promotion import challengers
from stack.specification import specs
from stack.training.training import TrainingSet
from tests.stack.authoring.scaffolds import NOW, Folder, flowers, sales

FILE = 'x"""+__import__("os").system("touch pwned")or""".csv'
NAMES = (
    *("No", "On", "Yes", "True", "null", "self", "~", "class", "import", "None", "off", "y"),
    *(
        'a "quoted" {name}',
        "{{ 7*7 }}",
        "{% raw %}",
        "{# no",
        "two\nlines",
        "tab\there",
        "\x1b[31mred",
        "`id`",
        "$(id)",
    ),
    *("a: b", "- c", "#d", "'", "\\", "<b>", "é", "&anchor", "*alias", "!!python/object", "%TAG", "@at", "|"),
    *("event_id", "event_timestamp", "label", "row", "id", "asked_at", "prediction_id", "stack_row", "available_at"),
    *("model_config", "model_dump", "schema", "copy", "json", "__class__", "_x", "timedelta", "settings", "field"),
    *("Sold At_hour", "ShopID category", "ShopID_rows_7d", "column", "gap", "rows", "name", "index", "values", "T"),
)


def hostile(target: str = "self") -> pd.DataFrame:
    """Return the sales with a number of each name, and a target that depends on some of them."""
    table, random = sales(800), np.random.default_rng(5)
    numbers = random.normal(size=(len(table), len(NAMES))).round(2)
    table = pd.concat([table.drop(columns="units"), pd.DataFrame(numbers, columns=list(NAMES))], axis=1)
    table[target] = (table["No"] + table["class"] + random.normal(0, 0.5, len(table)) > 0).map(
        {True: "Yes", False: "No"}
    )
    return table


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = Folder(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    return folder


def write(folder: Folder, name: str, table: pd.DataFrame, file: str = FILE, **wishes: str) -> scaffold.Written:
    table.to_csv(folder.root / file, index=False)
    return scaffold.write(name, folder.root / file, Wishes(**wishes), NOW, lambda _, default, __: default)


def short(spec: specs.ProjectSpec) -> specs.ProjectSpec:
    """Return the project with a search of one trial a candidate."""
    return spec.model_copy(update={"training": spec.training.model_copy(update={"trials": 2, "folds": 2})})


def test_names_are_words_of_yaml_python_and_pydantic_alone():
    names = identifiers(NAMES)
    assert len(set(names)) == len(names)
    for name in names:
        assert yaml.safe_load(f"{name}: 1") == {name: 1}
        assert ast.parse(f"f({name}=1)") and name != "self"
        assert not hasattr(specs.ProjectSpec, name) or name == "name"


def test_a_hostile_table_becomes_a_project_that_trains(folder, tracked):
    written = write(folder, "new_hostile", hostile(), target="self", time="Sold At", keys="ShopID")
    assert check.findings("new_hostile", NOW) == []
    assert all(sign.isprintable() for note in written.notes for sign in note)
    spec = short(specs.load("new_hostile"))
    (source,) = [field for field in spec.request.values() if field.description == "two\nlines"]
    assert source.type == "number"
    project = Project(tracked, spec)
    since, until = spec.clock.start, spec.clock.first_now
    lake.prepare(tracked)
    features.apply_alone(project)
    revision = project.lake.append(contract.source(spec.name).fetch(since, until), since, until)
    features.update(project, since, until)
    rows = datasets.labelled(project, until)
    assert len(rows) == 800
    trained = challengers.train(project, TrainingSet(rows, until, revision, "c0de"), lambda _: None)
    assert trained.metrics["auc"] > 0.8
    assert not (folder.root / "pwned").exists()


def test_columns_of_any_name_train_in_a_project_written_by_hand(folder, tracked):
    table = flowers()
    table["sepal_width"] = table["sepal"]
    write(folder, "new_by_hand", table, "flowers.csv")
    for path in folder.root.glob("projects/new_by_hand/**/*.*"):
        path.write_text(path.read_text().replace("petal_cm", "self").replace("species", "cls"))
    assert check.findings("new_by_hand", NOW) == []
    project = Project(tracked, short(specs.load("new_by_hand")))
    lake.prepare(tracked)
    features.apply_alone(project)
    since, until = project.spec.clock.start, NOW - timedelta(days=1)
    revision = project.lake.append(
        {"rows": project.source.fetch(since, until)["rows"].assign(available_at=until)}, since, until
    )
    rows = datasets.labelled(project, until)
    assert challengers.train(project, TrainingSet(rows, until, revision, "c0de"), lambda _: None).metrics


@pytest.mark.parametrize(
    "name", ["prediction_id", "asked_at", "stack_row", "event_timestamp", "model_config", "_x", "copy"]
)
def test_a_name_that_requests_have_is_found(folder, name):
    write(folder, "new_taken", flowers(), "flowers.csv")
    folder.change("projects/new_taken/project.yaml", "  petal_cm:", f"  {name}:")
    assert any("a name that the stack or pydantic uses" in str(error) for error in check.findings("new_taken", NOW))


def test_numbers_that_training_cannot_hold_are_found(folder):
    table = flowers()
    write(folder, "new_infinite", table, "flowers.csv")
    table.loc[3, "sepal"], table.loc[4, "sepal"] = np.inf, 1e39
    table.to_csv(folder.root / "projects/new_infinite/data/flowers.csv", index=False)
    assert "2 values that no 32-bit number holds" in "\n".join(map(str, check.findings("new_infinite", NOW)))
    with pytest.raises(StackError, match="column sepal"):
        write(folder, "new_infinite_too", table, "flowers.csv")


def test_a_name_of_a_file_that_is_no_text_is_refused(folder):
    file = folder.root / os.fsdecode(b"caf\xe9.csv")
    flowers().to_csv(file, index=False)
    with pytest.raises(StackError, match="rename the file"):
        scaffold.write("new_bytes", file, Wishes(), NOW, lambda _, default, __: default)
    assert not (folder.root / "projects" / "new_bytes").exists()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_too_many_columns_is_refused_at_once(folder, suffix):
    table = pd.DataFrame(np.ones((200, 5000)), columns=[f"c{number}" for number in range(5000)])
    file = folder.root / f"wide.{suffix}"
    table.to_csv(file, index=False) if suffix == "csv" else table.to_parquet(file)
    began = time.process_time()
    with pytest.raises(StackError, match="(?s)5,000 columns.*at most 500") as refused:
        scaffold.write("new_wide", file, Wishes(), NOW, lambda _, default, __: default)
    assert time.process_time() - began < 1
    assert "\n" in str(refused.value) and not (folder.root / "projects" / "new_wide").exists()
