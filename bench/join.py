"""The point-in-time join of a year of flights, and of ten, against pandas' ``merge_asof`` of the same views.

Each part runs in a process of its own, ``python -m bench.join PART HOME``, so that its peak of memory is its own.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory

import pandas as pd
from feast import FeatureStore

from bench.table import Cost, Row, ratio
from stack.core.settings import Settings
from stack.features import datasets, feature_tables, features
from stack.project import Project, contract
from stack.specification import specs

SINCE, UNTIL = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 2, tzinfo=UTC)
YEARS, YEAR = 10, timedelta(weeks=53)
ROUNDS = 3
"""The fastest counts, of a year; ten years are joined once."""
TIMES, SECONDS, GIGABYTES = 1.5, (3.5, 40.0), (0.9, 2.3)
"""Bars: times merge_asof for the stored features; with the on-demand view, of a year and of ten."""


def compare() -> list[Row]:
    """Join a year by both, and then ten years, whose events and feature tables are the year's at other times."""
    with TemporaryDirectory(prefix="bench-join-") as folder:
        home = Path(folder)
        _measure("prepare", home)
        merged, stored, whole = (_measure(part, home) for part in ("merge", "stored", "whole"))
        _measure("extend", home)
        merged_ten, whole_ten = (_measure(part, home) for part in ("merge", "whole"))
    times = stored.wall / merged.wall
    return [
        Row(
            "year joined, stored features",
            str(stored),
            f"{merged} by merge_asof",
            ratio(stored.wall, merged.wall),
            f"<= {TIMES} times",
            times <= TIMES,
        ),
        *(
            Row(
                f"{years} joined, with the on-demand view",
                str(found),
                f"{baseline} by merge_asof, without",
                ratio(found.wall, baseline.wall),
                f"<= {seconds} s, {gigabytes} GB",
                found.wall <= seconds and found.gigabytes <= gigabytes,
            )
            for years, found, baseline, seconds, gigabytes in zip(
                ("year", "ten years"), (whole, whole_ten), (merged, merged_ten), SECONDS, GIGABYTES, strict=True
            )
        ),
    ]


def prepare(project: Project) -> None:
    """Ingest the year at once."""
    features.apply_alone(project)
    project.lake.append(contract.source(project.name).fetch(SINCE, UNTIL), SINCE, UNTIL)
    features.update(project, SINCE, UNTIL)
    datasets.events(project, UNTIL).to_parquet(_events(project))


def extend(project: Project) -> None:
    """Repeat the year's events and feature tables, in files of their own."""
    for path in [_events(project), *feature_tables.folder(project).rglob("*.parquet")]:
        frame, single = pd.read_parquet(path), path == _events(project)
        later = [_shifted(frame, number * YEAR) for number in range(1, YEARS)]
        if single:
            pd.concat([frame, *later]).to_parquet(path)
        else:
            for number, part in enumerate(later, 1):
                part.to_parquet(path.with_stem(f"{path.stem}-{number}"), index=False, compression="zstd")


def merge(project: Project, feast: FeatureStore, events: pd.DataFrame) -> None:
    """Join by pandas."""
    rows = events[[*project.spec.request, feature_tables.TIME]].sort_values(feature_tables.TIME)
    for view in features.views(feast, project.spec):
        files = sorted((feature_tables.folder(project) / view.name).glob("*.parquet"))
        table = pd.concat([pd.read_parquet(path) for path in files]).sort_values(feature_tables.TIME)
        rows = pd.merge_asof(rows, table, on=feature_tables.TIME, by=list(view.join_keys), tolerance=view.ttl)


def stored(project: Project, feast: FeatureStore, events: pd.DataFrame) -> None:
    """Retrieve the stored features by Feast, without the on-demand view."""
    refs = [f"{view.name}:{field.name}" for view in features.views(feast, project.spec) for field in view.features]
    inputs = events[[*project.spec.request, feature_tables.TIME]]
    feast.get_historical_features(entity_df=inputs, features=refs).to_arrow()


def whole(project: Project, _: FeatureStore, events: pd.DataFrame) -> None:
    """Build the training set, as a training does."""
    features.training_set(project, events)


JOINS: dict[str, Callable[[Project, FeatureStore, pd.DataFrame], None]] = {
    "merge": merge,
    "stored": stored,
    "whole": whole,
}


def main(part: str, home: Path) -> None:
    """Run a part, and print its cost where it is a join."""
    project = Project(Settings(home=home), specs.load("flights"))
    if part not in JOINS:
        {"prepare": prepare, "extend": extend}[part](project)
        return
    events, feast, seconds = pd.read_parquet(_events(project)), features.store(project.settings), []
    features.views(feast, project.spec)
    for _ in range(ROUNDS if len(events) < 1_000_000 else 1):
        wall, cpu = time.perf_counter(), time.process_time()
        JOINS[part](project, feast, events)
        seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
    print(json.dumps([*min(seconds), getrusage(RUSAGE_SELF).ru_maxrss * 1024 / 1e9]))


def _measure(part: str, home: Path) -> Cost:
    command = [sys.executable, "-W", "ignore", "-m", "bench.join", part, str(home)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Cost(*json.loads(output.splitlines()[-1])) if part in JOINS else Cost(0, 0, 0)


def _events(project: Project) -> Path:
    return project.settings.home / "events.parquet"


def _shifted(frame: pd.DataFrame, by: timedelta) -> pd.DataFrame:
    instants = frame.select_dtypes("datetimetz").columns
    return frame.assign(**{name: frame[name] + by for name in instants})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
