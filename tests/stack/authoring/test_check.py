"""Check a project: every mistake is reported at once, with its place."""

import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from stack.authoring import check
from stack.specification import specs
from tests.stack.authoring.scaffolds import NOW, Folder, sales

YAML, SOURCE, FEATURES, CHECKS = (
    f"projects/toy/{name}" for name in ("project.yaml", "source.py", "features.py", "checks.py")
)
FEAST = "feature_repo/toy.py"


@pytest.fixture(scope="module")
def sound_project(tmp_path_factory):
    """Return the folder of two sound projects, one with Python files, and one that is a project.yaml alone."""
    with pytest.MonkeyPatch.context() as patch:
        folder = Folder(tmp_path_factory.mktemp("sound"), patch)
        shutil.copytree(Path(__file__).parent / "toy", folder.root, dirs_exist_ok=True)
        table = sales()
        table["many"] = table["units"] > table["units"].median()
        (folder.root / "projects/toy/data").mkdir()
        table.drop(columns="units").to_csv(folder.root / "projects/toy/data/toy.csv", index=False)
        folder.write("short", table.drop(columns="units"), target="many", time="Sold At", keys="ShopID")
    return folder.root


@pytest.fixture
def toy(sound_project, tmp_path, monkeypatch):
    """Yield a copy of it to break."""
    folder = Folder(tmp_path, monkeypatch)
    for name in ("projects", "feature_repo"):
        shutil.copytree(sound_project / name, tmp_path / name, dirs_exist_ok=True)
    for name in [name for name in sys.modules if name.startswith("projects.toy")]:
        monkeypatch.delitem(sys.modules, name)
    yield folder
    for name in [name for name in sys.modules if name.startswith("projects.toy")]:
        del sys.modules[name]


def report(name="toy"):
    return "\n".join(map(str, check.findings(name, NOW)))


def line_of(toy, path, text):
    return next(n for n, line in enumerate((toy.root / path).read_text().splitlines(), 1) if text in line)


@pytest.mark.parametrize("name", ["toy", "short"])
def test_a_sound_project_has_no_findings(toy, name):
    assert report(name) == ""


def test_an_instant_needs_no_quotes(toy):
    file = toy.root / YAML
    file.write_text(re.sub(r"example: '(2024[^']*)'", r"example: \1", file.read_text()))
    field = specs.load("toy").request["sold_at"]
    assert (field.example, field.value) == (field.value.isoformat(), datetime.fromisoformat(field.example))
    assert report() == ""


@pytest.mark.parametrize(
    ("path", "old", "new", "where", "message"),
    [
        (YAML, "label: many", "lable: many", "lable", "did you mean 'label'"),
        (YAML, "  min_rows:", "  min_row:", "min_row", "did you mean 'min_rows'"),
        (YAML, "label: many", "label: mny", "label", "did you mean 'many'"),
        (YAML, "entities: [shop_id]", "entities: [shop]", "entities", "did you mean 'shop_id'"),
        (YAML, "    price: number", "    prise: number", "prise", "did you mean 'price'"),
        (YAML, "key: [order_no]", "key: [order_n]", "table rows", "did you mean 'order_no'"),
        (YAML, "example: '2024", "example: 'in 2024", "request.sold_at.example", "ISO 8601 with a zone"),
        (YAML, "example: '2024", "example: '1024", "request.sold_at.example", "from ge, 1700-01-01 00:00:00+00:00, to"),
        (YAML, "type: datetime, ", "type: datetime, ge: 5, ", "request.sold_at.ge", "an instant, as the field is"),
        (YAML, "classes: [false, true]", "classes: [false, true, 2]", "key classes", "a binary task has two classes"),
        (YAML, "threshold: 0.2", "threshold: 0.2\n  breaches: 2", "key monitoring.breaches", "of 1 windows can never"),
        (YAML, "trials: 8", "centres: {}", "key training.centres", "expected  initial_params"),
        (YAML, "trials: 8", "trials: none", "trials", "valid integer"),
        (YAML, "tables:", "tables: [", "line", "expected  YAML"),
        (YAML, "type: datetime, ", "type: date, ", "sold_at", "'datetime'"),
        (YAML, "04-10T00", "04-09T00:00:00\n  first_now: 2024-04-10T00", "first_now", "a second time"),
        (YAML, "Z\n  first_now", "\n  first_now", "clock.start", "timezone"),
        (SOURCE, "fetch(since: datetime, until: datetime)", "fetch(since: datetime)", "line", "fetch(since, until)"),
        (SOURCE, "def requests(", "def request(", SOURCE, "no requests, did you mean 'request'"),
        (FEATURES, "def events(", "def event(", FEATURES, "no events, did you mean 'event'"),
        (FEATURES, "LOOKBACK =", "LOOKBAK =", FEATURES, "did you mean 'LOOKBAK'"),
        (FEATURES, "    return rows.assign(", "    return rows.assign((", "line", "expected  Python"),
        (FEATURES, 'NUMBERS: list[str] = ["price"', 'NUMBERS: list[str] = ["cost"', "py, line", "KeyError: 'cost'"),
        (CHECKS, "from stack.kit.expectations", "from stack.expectations", "line", "stack.kit.expectations"),
        (FEATURES, "from stack.kit import rolling", "from stack import rolling", "line", "now, stack.kit.rolling"),
        (CHECKS, "COLUMNS =", "COLUMN =", CHECKS, "a constant COLUMNS"),
        (CHECKS, "def suites()", "def suite()", CHECKS, "no suites, did you mean 'suite'"),
        (CHECKS, "def suites()", "def suites(table)", "line", "expected  suites()"),
        (FEAST, 'name="toy_v1"', 'name="toy_v2"', FEAST, "did you mean 'toy_v2'"),
        (FEAST, '"weather", dtype=String', '"wether", dtype=String', "weather", "did you mean 'wether'"),
        (FEAST, "toy_v1 = FeatureService(", "toy_v1 = FeatureService((", "line", "expected  Python"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_place(toy, path, old, new, where, message):
    toy.change(path, old, new)
    errors = report()
    assert where in errors and message in errors


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("label: many", "label: mny", "key label", "one of the columns: sold_at"),
        ("path: data/short.csv", "path: data/shirt.csv", "key source.path", "no file"),
        ("path: data/short.csv", "pth: data/short.csv", "key source.pth", "did you mean 'path'"),
        ("zone: UTC", "zone: Europe/Berln", "key source.zone", "did you mean 'Europe/Berlin'"),
        ("zone: UTC", "zone: UTC, key: [order]", "key source.key", "columns of the project"),
        ("price: {type: number", "price: {type: numbr", "key columns.price.type", "'number'"),
        ("price: {type: number", "price: {tpe: number", "key columns.price.tpe", "did you mean 'type'"),
        ("price: {type: number", "price: {type: datetime", "key columns.price.between", "of numbers alone"),
        ("weather: {type", "wether: {type", "column wether", "did you mean 'weather'"),
        ("weather: {type: string", "weather: {type: number", "key columns.weather", "values of type number"),
        ("role: time", "role: feature", "key columns.shop_id", "a column of role time"),
        ("count(7d) by shop_id", "count(7d) by shop", "key features.formulas.shop_id_rows_7d", "of role key: shop_id"),
        ("mean(price, 7d)", "mean(weather, 7d)", "key features.formulas.shop_id_price_7d", "the mean of numbers"),
        ("mean(price, 7d)", "median(price, 7d)", "key features.formulas", "the past of a key, like mean(sales, 7d)"),
        ("hour(sold_at)", "hour(price)", "key features.formulas.sold_at_hour", "of a field of type datetime"),
        ("hour(sold_at)", "price / cost", "key features.formulas.sold_at_hour", "request fields"),
        ("weather: {type: string", "weather: {type: text", "key columns.weather", "as a text has neither values"),
        ("weather: {type: string", "weather: {type: text, role: key", "key columns.weather", "string, as a text has"),
        (
            "price: {type: number",
            "price: {type: text, monotonic: increasing",
            "columns.price",
            "a feature that is a number",
        ),
        ("price: {type: number", "price: {type: number, encode: target", "key columns.price", "of a string alone"),
        ("features:", "features:\n  encode: {price: target}", "key features.encode.price", "no category"),
        ("many: {type: boolean", "many: {type: text", "columns.many.type", "the outcome is no text"),
        ("hour(sold_at)", "price.__class__", "key features.formulas", "not price.__class__"),
    ],
)
def test_each_mistake_in_a_project_of_one_file_is_named_with_its_key(toy, old, new, where, message):
    toy.change("projects/short/project.yaml", old, new)
    errors = report("short")
    assert where in errors and message in errors


def test_a_text_has_no_slices(toy):
    toy.change(YAML, "    weather: category", "    weather: text")
    toy.change(YAML, "monitoring:", "gate: {slices: {weather: 0.6}}\nmonitoring:")
    assert "key gate.slices.weather" in report()


def test_a_key_is_named_with_its_line(toy):
    toy.change(YAML, "  trials: 8", "  trails: 8")
    assert f"{YAML}, line {line_of(toy, YAML, 'trails')}, key training.trails" in report()


def test_three_classes_where_two_were(toy):
    toy.change("projects/toy/data/toy.csv", "True\n", "Maybe\n")
    file = toy.root / "projects/toy/data/toy.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:-3], *(line.replace("Maybe", "True") for line in lines[-3:])]))
    errors = report()
    assert "3 outcomes" in errors and "'Maybe'" in errors and "2 of a binary task: False, True" in errors


def test_a_class_that_never_comes(toy):
    toy.change("projects/toy/data/toy.csv", "True\n", "False\n")
    assert "no row with True" in report()


def test_a_time_column_without_zone(toy):
    toy.change(SOURCE, '.dt.tz_localize(ZONE, ambiguous=True, nonexistent="shift_forward").dt.tz_convert("UTC")', "")
    errors = report()
    assert f"{SOURCE}, line" in errors and "instants with their zone" in errors


def test_a_table_of_instants_without_zone(toy):
    toy.change(SOURCE, 'return {"rows": _between(_rows()', 'return {"rows": _naive(_rows()')
    naive = "    return rows.assign(available_at=rows['available_at'].dt.tz_localize(None))\n"
    toy.change(SOURCE, "def ids(", f"def _naive(rows, *_):\n{naive}\n\ndef ids(")
    errors = report()
    assert "table rows, column available_at" in errors and "without a zone" in errors


def test_a_target_that_the_file_has_lost(toy):
    toy.change("projects/toy/data/toy.csv", ",many", ",mny")
    assert "source.py, line" in report() and "many" in report()


def test_all_mistakes_are_reported_at_once(toy):
    toy.change(YAML, "  trials: 8", "  trails: 8")
    toy.change(SOURCE, "def requests(", "def request(")
    toy.change(CHECKS, "HISTORY =", "HISTRY =")
    toy.change(FEAST, "toy_v1 = FeatureService(", "toy_v1 = FeatureService((")
    assert len(check.findings("toy", NOW)) == 4


def test_the_command_ends_with_1_and_in_seconds(toy):
    toy.change(YAML, "label: many", "label: mny")
    environ = os.environ | {"STACK_WORKSPACE": str(toy.root)}
    began = os.times().children_user
    ran = subprocess.run(
        [sys.executable, "-m", "stack", "check", "toy"], env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1 and "did you mean 'many'" in ran.stdout, ran.stderr
    assert os.times().children_user - began < 5  # 1.5 s of an idle machine
