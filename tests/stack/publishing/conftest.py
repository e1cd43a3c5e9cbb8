"""A project that publishes, and its publisher as a process."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.core import migrations
from stack.core.settings import Settings
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.publishing import publisher
from tests.polling import PATIENCE_SECONDS

TOY = {
    "name": "toy",
    "title": "Will it rain?",
    "label": "rain",
    "tables": {"days": {"key": ["day"]}},
    "request": {
        "town": {"type": "string", "description": "Town", "example": "Bath"},
        "cold": {"type": "number", "description": "Cold", "example": 1.5, "nullable": True},
        "day": {"type": "datetime", "description": "Day", "example": "2024-01-01T00:00:00Z"},
    },
    "features": {"service": "toy_v1", "entities": ["town"], "columns": {"wet": "number"}},
}
START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path) -> Settings:
    settings = Settings(home=tmp_path / "home")
    migrations.upgrade(settings.state_database)
    return settings


@pytest.fixture
def publish(tmp_path, monkeypatch, settings) -> Callable[..., Project]:
    """Write the project with these sinks."""
    (tmp_path / "projects").mkdir()
    monkeypatch.setattr(Settings, "projects", tmp_path / "projects")

    def write(*sinks: dict[str, Any], **changes: Any) -> Project:
        path = tmp_path / "projects" / "toy" / "project.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(TOY | {"publish": [*sinks]} | changes))
        return Project.open("toy", settings)

    return write


class Process:
    """The publisher as a process that a test kills, a fork of one that has imported it."""

    def __init__(self, settings: Settings) -> None:
        self.context, self.folders = get_context("forkserver"), (settings.home, settings.projects)
        self.context.set_forkserver_preload([__name__])
        self.process: ForkServerProcess | None = None

    def start(self) -> None:
        self.process = self.context.Process(target=publish_for_ever, args=self.folders)
        self.process.start()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.join(PATIENCE_SECONDS)
            self.process = None


def publish_for_ever(home: Path, projects: Path) -> None:
    """Publish in small batches, without long pauses."""
    Settings.projects, publisher.POLL_SECONDS, publisher.LONGEST_SECONDS = projects, 0.05, 0.2
    publisher.BATCH = 20
    running = publisher.Publisher(Settings(home=home))
    while True:
        running.sync()
        time.sleep(0.1)


@pytest.fixture
def process(settings):
    process = Process(settings)
    yield process
    process.kill()


numbers = count()


def predictions(number: int, **changes: Any) -> list[Prediction]:
    """So many answers, one second apart, in the order of their ids."""
    made = []
    for position in range(number):
        at, row = START + timedelta(seconds=next(numbers)), {"town": "Bath", "cold": None, "day": START}
        answer = {"probability": 0.25, "decision": False}
        made.append(
            Prediction(
                **{
                    "id": f"{int((at - START).total_seconds()):08}",
                    "asked_at": at,
                    "answered_at": at,
                    "request": row | {"town": ("Bath", "Cork")[position % 2]},
                    "features": {"wet": 1.0},
                    "features_at": None,
                    "model_version": "3",
                    "answer": answer,
                }
                | changes
            )
        )
    return made


def ids(answered: list[Prediction]) -> list[str]:
    return [prediction.id for prediction in answered]


def as_json(text: str) -> Any:
    return json.loads(text)
