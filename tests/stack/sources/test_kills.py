"""Each row is in the lake once, and its answer is published once and in order, whatever is killed and when."""

import json
import random
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import pytest
import yaml
from sqlalchemy import text

from stack.core import settings as core_settings
from stack.core.database import engine
from stack.core.settings import Settings
from stack.prediction_log import schedule
from stack.project import Project
from stack.serving.client import prediction_ids
from tests.polling import eventually
from tests.stack.sources import places
from tests.stack.sources.ingestion import NAME, Ingestion

ROUNDS = 10
KINDS = {kind.__name__.lower(): kind for kind in (places.File, places.Folder, places.S3, places.Http, places.Sql)}
KINDS |= {kind.__name__.lower(): kind for kind in (places.Influxdb, places.Mqtt, places.HomeAssistant, places.Push)}


class Writer(Thread):
    """Puts rows with new numbers to a place until it is stopped, and again those that it could not put."""

    def __init__(self, place: places.Place) -> None:
        super().__init__(daemon=True)
        self.place, self.stopped, self.chance = place, Event(), random.Random(3)
        self.count = 0

    def run(self) -> None:
        while not self.stopped.wait(self.chance.uniform(0, self.place.pause)):
            numbers = range(self.count, self.count + self.chance.randint(1, 20))
            rows = [self._row(number) for number in numbers]
            while True:
                with suppress(*places.AWAY):
                    self.place.put(rows)
                    break
                rows = [row | {"at": datetime.now(UTC).isoformat()} for row in rows]
            self.count = numbers.stop

    def _row(self, number: int) -> places.Row:
        return {"at": datetime.now(UTC).isoformat(), "number": number, "room": "hall", "value": self.chance.random()}


@pytest.fixture
def place(request, tmp_path):
    settings = Settings(home=tmp_path / "home", workspace=tmp_path)
    (tmp_path / ".env").write_text(places.SECRETS)
    with TemporaryDirectory() as folder:
        place = KINDS[request.param](Path(folder), settings)
        try:
            if place.server:
                place.server.start()
            place.prepare()
            yield place
        finally:
            place.close()
            if place.server:
                place.server.kill()


def write(place: places.Place) -> None:
    """Write the project that reads from the place."""
    start = place.start - timedelta(seconds=1)
    at = {"type": "datetime", "role": "time"} | ({"source": place.time} if place.time != "at" else {})
    project = {
        **{"name": NAME, "title": "How much?", "task": "regression", "label": "value"},
        "clock": {"kind": place.clock, "start": start.isoformat()},
        "source": place.source,
        "columns": {
            "at": at,
            "number": {"type": "integer", "role": "id"},
            "room": {"type": place.room},
            "value": {"type": "number"},
        },
        "publish": [{"kind": "file", "path": "answers.jsonl"}],
    }
    path = place.settings.projects / NAME / "project.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(project))
    schedule.mark_predicted(place.settings.state_database, NAME, start)


def kill(place: places.Place, ingestion: Ingestion) -> list[tuple[float, float]]:
    """Kill the ingest over and over, every second time the place too, and return when that was away."""
    chance, outages = random.Random(7), []
    for turn in range(ROUNDS):
        ingestion.start()
        time.sleep(chance.uniform(1, 6))  # a random moment of an ingest, not a wait for anything
        if not (turn % 2 and place.server):
            ingestion.kill()
            continue
        place.server.kill()
        killed = time.monotonic()
        time.sleep(chance.uniform(0, 1))
        for step in (place.server.start, ingestion.kill)[:: 1 if turn % 4 == 1 else -1]:
            step()
        outages.append((killed, time.monotonic()))
    return outages


@pytest.mark.slow
@pytest.mark.parametrize("place", KINDS, indirect=True)
def test_every_row_and_every_answer_is_there_once_after_kills(place, tmp_path):
    settings, ingestion, writer = place.settings, Ingestion(tmp_path), Writer(place)
    write(place)
    writer.start()
    eventually(lambda: writer.count)
    outages = kill(place, ingestion)
    writer.stopped.set()
    writer.join()
    place.settle(outages)
    ingestion.start()
    answers = settings.home / "published" / NAME / "answers.jsonl"
    with core_settings.using(settings):
        project = Project.open(NAME)
        eventually(lambda: len(rows(project)) >= writer.count)
        eventually(lambda: len(published(answers)) >= writer.count)
        ingestion.kill()
        found = project.lake.read()["rows"]
    assert sorted(found["number"]) == [*range(writer.count)]
    assert published(answers) == logged(settings)
    assert sorted(published(answers)) == sorted(prediction_ids(project.spec, found["number"].astype(str)))


def rows(project):
    return project.lake.read()["rows"] if project.lake.ingested_until() else []


def published(path):
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line)["prediction_id"] for line in lines if line.endswith(b"\n")]


def logged(settings):
    """The answers in the order in which they were logged."""
    with engine(settings.state_database).connect() as connection:
        return [*connection.execute(text("SELECT id FROM predictions ORDER BY rowid")).scalars()]
