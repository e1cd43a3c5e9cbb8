"""A project's specification: what is wrong is named by file and key."""

from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.specification import specs

FILE = ROOT / "projects/flights/project.yaml"


def changed(path: str, value: Any) -> dict[str, Any]:
    """The flights' specification with one key set; None removes it."""
    raw = yaml.safe_load(FILE.read_text())
    place = raw
    *parents, last = path.split(".")
    for key in parents:
        place = place.setdefault(key, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return raw  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("gate.max_los_increase", 0.7, "did you mean 'max_loss_increase'"),
        ("lable", "late", "did you mean 'label'"),
        ("label", None, "Field required"),
        ("clock.start", "2013-01-01T00:00:00", "timezone"),
        ("clock.kind", "sundial", "'wall' or 'replay'"),
        ("training.trials", 0, "greater than or equal to 1"),
        ("request.carrier.type", "txt", "'string'"),
        ("name", "trains", "flights"),
        ("training.half_life", "often", "valid timedelta"),
        ("features.monotonic.precip", "up", "'increasing' or 'decreasing'"),
        ("schedules.ingest", "every morning", "a cron expression of five fields"),
        ("schedules.train", "61 * * * *", "a cron expression of five fields"),
        ("schedules.timezone", "Europe/Berln", "did you mean 'Europe/Berlin'"),
    ],
)
def test_wrong_key_is_named_with_what_was_expected(path: str, value: Any, message: str) -> None:
    with pytest.raises(StackError) as caught:
        specs.parse(changed(path, value), FILE)
    assert f"{FILE}, key {path}" in str(caught.value)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("source", "key", "message"),
    [
        ({}, "source.path", "Field required"),
        ({"pth": "sales.csv"}, "source.pth", "did you mean 'path'"),
        ({"path": "sales", "patern": "*"}, "source.patern", "an unknown key"),
        ({"kind": "foldr", "path": "sales"}, "source.kind", "'foldr', did you mean 'folder'"),
        ({"kind": "folder", "path": "sales", "patern": "*"}, "source.patern", "did you mean 'pattern'"),
        ({"kind": "folder", "path": "s3://a", "storage": {"regoin": "b"}}, "source.storage.regoin", "mean 'region'"),
        ({"kind": "folder", "path": "sales", "zone": "Europe/Berln"}, "source.zone", "did you mean 'Europe/Berlin'"),
        ({"path": "s3://a", "storage": {"secret_key": "hush"}}, "source.storage.secret_key", "the value in .env"),
        ({"path": "https://me:hush@nas/sales.csv"}, "source.path", "the value in .env"),
    ],
)
def test_a_wrong_key_of_a_source_is_named_whatever_its_kind(source: dict[str, Any], key: str, message: str) -> None:
    with pytest.raises(StackError) as caught:
        specs.parse(changed("source", source), FILE)
    assert f"{FILE}, key {key}:" in str(caught.value)
    assert message in str(caught.value) and "hush" not in str(caught.value)


def test_a_former_name_of_a_key_is_read_with_a_warning() -> None:
    with pytest.warns(FutureWarning, match="centres of project.yaml is now initial_params"):
        spec = specs.parse(changed("training.centres", {"linear": {"C": 2.0}}), FILE)
    assert spec.training.initial_params == {"linear": {"C": 2.0}}


def test_a_replayed_clock_has_no_schedules() -> None:
    with pytest.raises(StackError, match="a replayed clock has none"):
        specs.parse(changed("schedules.ingest", "0 4 * * *"), FILE)


def test_an_instant_with_an_offset_is_kept_in_utc() -> None:
    start = specs.parse(changed("clock.start", "2013-01-01T00:00:00+01:00"), FILE).clock.start
    assert start.tzinfo is UTC and start.isoformat() == "2012-12-31T23:00:00+00:00"


def test_broken_yaml_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flights").mkdir()
    (tmp_path / "flights" / "project.yaml").write_text("name: flights\nrequest: [a, b\nlabel: late\n")
    monkeypatch.setattr(Settings, "projects", tmp_path)
    with pytest.raises(StackError, match="line 3"):
        specs.load("flights")


def test_a_file_of_another_encoding_spoils_its_own_project_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flights").mkdir()
    (tmp_path / "flights" / "project.yaml").write_bytes("title: Verspätet?\n".encode("cp1252"))
    monkeypatch.setattr(Settings, "projects", tmp_path)
    assert specs.names() == ["flights"]
    with pytest.raises(StackError, match="expected  UTF-8"):
        specs.load("flights")


def test_unknown_project_names_the_nearest() -> None:
    with pytest.raises(StackError, match="did you mean 'flights'"):
        specs.load("flihgts")


def test_flights_is_sound_and_has_31_features() -> None:
    assert len(specs.load("flights").features.columns) == 31
    assert Path(specs.load("flights").folder).is_dir()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("costs", {"missed": 10}, r"key costs.missed:(.|\n)*false_alarm, call or budget beside it"),
        ("costs", {"missed": 2, "call": 3}, r"key costs.call:(.|\n)*found     3(.|\n)*less than missed"),
        ("costs", {"missed": 2, "false_alrm": 3}, r"key costs.false_alrm:(.|\n)*did you mean 'false_alarm'"),
        ("costs", {"budget": 20}, r"key threshold:(.|\n)*left out, as costs choose it"),
        ("gate.metric", "cost", r"key gate.metric:(.|\n)*with a section costs alone"),
        ("features.monotonic", {"precip_": "increasing"}, "did you mean 'precip'"),
        ("features.monotonic", {"carrier_id": "increasing"}, "no number of the features"),
        (
            "training",
            {"half_life": "90 days", "split": "random"},
            r"key training.half_life:(.|\n)*with split: time alone",
        ),
    ],
)
def test_what_contradicts_another_key_is_refused(path: str, value: Any, message: str) -> None:
    with pytest.raises(StackError, match=message):
        specs.parse(changed(path, value), FILE)


def test_numbers_and_classes_have_no_costs() -> None:
    raw = changed("costs", {"budget": 20}) | {"task": "regression"}
    with pytest.raises(StackError, match=r"key costs:(.|\n)*of a binary task alone, this is a regression task"):
        specs.parse(raw, FILE)


def test_the_classes_of_several_have_no_direction() -> None:
    raw = changed("features.monotonic", {"precip": "increasing"}) | {"task": "multiclass", "classes": ["a", "b", "c"]}
    with pytest.raises(StackError, match="have no order"):
        specs.parse(raw, FILE)


def test_the_direction_of_a_column_is_that_of_its_feature() -> None:
    columns = {"size": {"monotonic": "increasing"}, "age": {}, "price": {}, "town": {"type": "string"}}
    raw = {"name": "homes", "title": "?", "task": "regression", "label": "price", "columns": columns}
    raw |= {"training": {"split": "random"}, "features": {"monotonic": {"age": "decreasing"}}}
    path = Path("projects/homes/project.yaml")
    assert specs.parse(raw, path).features.monotonic == {"size": "increasing", "age": "decreasing"}
    columns["town"]["monotonic"] = "increasing"
    with pytest.raises(StackError, match=r"columns.town.monotonic(.|\n)*of a feature that is a number"):
        specs.parse(raw, path)


def test_a_column_and_a_formula_are_encoded() -> None:
    columns = {"shop": {"type": "string", "encode": "target"}, "code": {}, "sold": {}}
    raw = {"name": "shops", "title": "How many?", "task": "regression", "label": "sold", "columns": columns}
    raw |= {"training": {"split": "random"}, "source": {"path": "shops.csv"}}
    raw |= {"features": {"formulas": {"code_category": "text(code)"}, "encode": {"code_category": "target"}}}
    spec = specs.parse(raw, Path("projects/shops/project.yaml"))
    assert spec.features.encode == {"shop": "target", "code_category": "target"}
