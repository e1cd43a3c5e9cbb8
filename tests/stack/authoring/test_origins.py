"""`make new` of rows that are no CSV file: workbooks, JSON, folders, web servers, databases."""

import sqlite3
from datetime import UTC, datetime
from threading import Event, Thread

import pytest

from stack.authoring import check
from stack.authoring.scaffold import origins
from stack.authoring.scaffold import project as scaffold
from stack.authoring.scaffold.wishes import Wishes
from stack.core import secrets
from stack.core import settings as core_settings
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.project import Project
from stack.sources import inbox
from stack.specification import specs
from tests.stack.authoring.scaffolds import NOW, Folder, sales
from tests.stack.sources.servers import web
from tests.stack.sources.test_mqtt import Mosquitto, publish


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(secrets, "FILE", tmp_path / ".env")
    return Folder(tmp_path, monkeypatch)


def new(name: str, place: object, **wishes: str) -> Project:
    """Write a project of the sales; it is sound, and reads all rows."""
    wanted = {"target": "units", "time": "Sold At", "keys": "ShopID"} | wishes
    scaffold.write(name, str(place), Wishes(**wanted), NOW, lambda _, default, __: default)
    assert check.findings(name, NOW) == []
    project = Project(Settings(), specs.load(name))
    rows = project.source.fetch(project.spec.clock.start, NOW)["rows"]
    assert len(rows) == 600 and rows["units"].tolist() == sales()["units"].tolist()
    return project


def test_what_stands_for_a_missing_value_is_said_of_files_in_text_alone(folder):
    sales().to_parquet(folder.root / "sales.parquet")
    with pytest.raises(StackError, match="(?s)MISSING.*rows of parquet.*a CSV file or a workbook"):
        new("of_gaps", folder.root / "sales.parquet", missing="-200")


@pytest.mark.parametrize("ending", ["xlsx", "json", "jsonl", "jsonl.gz", "parquet", "tsv"])
def test_files_of_other_kinds(folder, ending):
    file, table = folder.root / f"sales.{ending}", sales()
    match ending:
        case "xlsx":
            table.to_excel(file, index=False)
        case "json":
            table.to_json(file, orient="records")
        case "parquet":
            table.to_parquet(file)
        case "tsv":
            table.to_csv(file, sep="\t", index=False)
        case _:
            table.to_json(file, orient="records", lines=True)
    project = new("of_file", file)
    assert (project.spec.folder / "data" / file.name).is_file()


def test_a_folder_of_files(folder):
    inbox = folder.root / "inbox"
    inbox.mkdir()
    for part in range(3):
        sales().iloc[200 * part : 200 * (part + 1)].to_csv(inbox / f"{part}.csv", index=False)
    wishes, now = Wishes(target="units", keys="ShopID"), datetime.now(UTC)
    scaffold.write("of_folder", str(inbox), wishes, now, lambda _, default, __: default)
    spec = specs.load("of_folder")
    assert (spec.source.kind, spec.source.path, spec.tables["rows"].key) == ("folder", str(inbox), ["order_no"])


def test_old_files_of_a_folder_hold_the_past_however_they_are_written(folder):
    inbox = folder.root / "exports"
    inbox.mkdir()
    for part in range(3):
        rows = sales().iloc[200 * part : 200 * (part + 1)]
        rows.to_csv(inbox / f"{part}.csv", index=False, sep=";", decimal=",", encoding="cp1252")
    now = datetime.now(UTC)
    wishes = Wishes(target="units", time="Sold At", keys="ShopID")
    scaffold.write("of_exports", str(inbox), wishes, now, lambda _, default, __: default)
    project = Project(Settings(), specs.load("of_exports"))
    assert project.spec.source.options == {"sep": ";", "decimal": ","}
    rows = project.source.fetch(project.spec.clock.start, now)["rows"]
    assert len(rows) == 600 and (rows["available_at"] == rows["sold_at"]).all()


def test_a_database_whose_address_is_in_env(folder):
    with sqlite3.connect(folder.root / "shop.db") as database:
        sales().to_sql("sales", database, index=False)
    secrets.FILE.write_text(f"SALES_DB=sqlite:///{folder.root}/shop.db\n")
    project = new("of_database", "SALES_DB", table="sales")
    assert project.spec.source.url == "${SALES_DB}"
    project = new("of_query", "SALES_DB", table="SELECT * FROM sales WHERE units > -1000")
    assert project.spec.source.query.startswith("SELECT")


def test_a_web_server(folder):
    with web() as server:
        server.answer = lambda request: (200, {}, sales().to_csv(index=False))
        assert new("of_csv", f"{server.url}/sales.csv").spec.source.kind == "file"
        server.answer = lambda request: (200, {}, sales().to_csv(index=False, sep=";", decimal=","))
        assert new("of_semicolons", f"{server.url}/sales.csv").spec.source.options == {"sep": ";", "decimal": ","}
        rows = sales().astype(object).where(sales().notna(), None).to_dict("records")
        server.answer = lambda request: (200, {}, {"data": rows})
        assert new("of_json", f"{server.url}/sales").spec.source.kind == "http"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("postgresql://me:secret@nas/sales", r"(?s)FROM.*a password.*SALES_DB"),
        ("postgresql://nas/sales", "(?s)TABLE.*a table, view or query"),
        ("homeassistant://nas:8123", "(?s)SENSOR.*sensors of Home Assistant"),
        ("gopher://nas/sales", "(?s)FROM.*gopher://.*homeassistant://"),
        ("SALES_DB", "(?s)FROM.*SALES_DB.*which .env does not define"),
        ("nowhere.csv", "(?s)FROM.*no file"),
        ("nowhere.xlsx", "(?s)no file .*nowhere.xlsx"),
    ],
)
def test_a_place_that_cannot_be_read_is_told(folder, place, message):
    with pytest.raises(StackError, match=message) as caught:
        scaffold.write("of_nothing", place, Wishes(), NOW, None)
    assert "secret" not in str(caught.value)
    assert not (folder.root / "projects/of_nothing").exists()


def test_messages_of_a_broker_are_listened_to_and_are_the_first_rows(folder, tmp_path, monkeypatch):
    (tmp_path / "broker").mkdir()
    monkeypatch.setattr(origins, "ENOUGH", 40)
    with Mosquitto(tmp_path / "broker") as broker, core_settings.using(Settings(home=tmp_path, workspace=folder.root)):
        sending = Sending(broker.port)
        sending.start()
        words = Wishes(target="units", keys="topic.1", time="received_at")
        written = scaffold.write("heard", f"mqtt://127.0.0.1:{broker.port}/shop/+/sale", words, NOW, None)
        sending.ended.set()
        sending.join()
        spec = specs.load("heard")
        assert spec.source.topics == ["shop/+/sale"] and spec.features.entities == ["topic_1"]
        rows = Project(core_settings.settings(), spec).source.fetch(spec.clock.start, datetime.now(UTC))["rows"]
        assert len(rows) == 40 and set(rows["topic_1"]) <= {"1", "2", 1, 2} and rows["units"].notna().all()
        scaffold.remove(written)
        assert not inbox.newest(core_settings.settings(), "heard", 1)


@pytest.mark.parametrize(
    ("address", "message"),
    [("mqtt://nas", "a broker and a topic"), ("mqtt://127.0.0.1:1/a", "a broker that answers"),
     ("mqtt://me:very-secret@nas/a", "an address without one")],
)  # fmt: skip
def test_a_broker_that_cannot_be_listened_to_is_explained(folder, address, message):
    with pytest.raises(StackError, match=message) as caught:
        scaffold.write("heard", address, Wishes(target="units"), NOW, None)
    assert "very-secret" not in str(caught.value)


def test_too_few_messages_are_too_few_to_learn_from(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(origins, "LISTEN_SECONDS", 0.0)
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker") as broker, pytest.raises(StackError, match="0 messages in 0 s"):
        scaffold.write("heard", f"mqtt://127.0.0.1:{broker.port}/a/#", Wishes(target="units"), NOW, None)


class Sending(Thread):
    """Publishes sales until it is stopped."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.ended = port, Event()

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            units = round(20 + 3 * (number % 7) + number % 3, 1)
            publish(self.port, f"shop/{1 + number % 2}/sale", {"units": units, "price": number % 7, "order": number})
