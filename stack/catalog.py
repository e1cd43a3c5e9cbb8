"""Every data set of a project: where it lies, its version, its rows and the time that it spans.

``python -m stack.catalog PROJECT`` prints it as JSON: the portal asks in a process of its own, as reading Parquet takes
60 MB that the portal does not have.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
from sqlalchemy import func, select

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.core.state import engine, predictions
from stack.features.feature_tables import TIME, served_until
from stack.registry import registry, rest
from stack.registry.registry import Version
from stack.specification import project
from stack.specification.project import ProjectSpec

Kind = Literal["raw table", "feature view", "training set", "model", "prediction log", "reports"]


@dataclass(frozen=True)
class DataSet:
    """One data set; empty texts and None where there is nothing to say."""

    kind: Kind
    name: str
    place: str
    """A folder, a table or an address."""
    version: str = ""
    rows: int | None = None
    since: str = ""
    until: str = ""
    note: str = ""


def data_sets(settings: Settings, spec: ProjectSpec) -> list[DataSet]:
    """List the data sets of a project in the order of the pipeline."""
    found = [*_raw(settings, spec), *_features(settings, spec)]
    try:
        found += [*_models(settings, spec)]
    except (httpx.HTTPError, OSError, StackError) as error:
        found.append(DataSet("model", "MLflow", settings.mlflow_url, note=f"does not answer: {error}"))
    return [*found, _log(settings, spec), _reports(settings, spec)]


def _raw(settings: Settings, spec: ProjectSpec) -> Iterator[DataSet]:
    version = _head(settings.lake)
    for name, table in spec.tables.items():
        folder = settings.lake / spec.name / "raw" / name
        files = sorted(folder.glob("*.parquet"))
        rows, since, until = _parquet(files, table.available_at)
        note = f"{len(files):,} batch{'' if len(files) == 1 else 'es'}{', snapshot' if table.snapshot else ''}"
        yield DataSet("raw table", name, str(folder), version if files else "", rows, since, until, note)


def _features(settings: Settings, spec: ProjectSpec) -> Iterator[DataSet]:
    root = settings.feature_tables / spec.name
    stored = sorted(path for path in root.glob("*") if path.is_dir())
    online = served_until(root, spec.clock.start) if stored else None
    for folder in stored:
        rows, since, until = _parquet(sorted(folder.glob("*.parquet")), TIME)
        note = f"online up to {online:%Y-%m-%d %H:%M} UTC" if online else ""
        yield DataSet("feature view", folder.name, str(folder), spec.features.service, rows, since, until, note)
    place = f"projects/{spec.name}/features.py"
    yield DataSet("feature view", "on request", place, spec.features.service, note="computed from each request")


def _models(settings: Settings, spec: ProjectSpec) -> Iterator[DataSet]:
    """The versions that have an alias, and what they were trained on."""
    asked = (registry.champion, registry.challenger, registry.previous)
    found = {ask.__name__: version for ask in asked if (version := ask(settings, spec))}
    versions = {version.version: version for version in found.values()}
    facts = {name: _run(settings, version) for name, version in versions.items()}
    for name, version in versions.items():
        params, tags = facts[name], version.tags
        rows = sum(int(params.get(key, 0)) for key in ("fit_rows", "holdout_rows")) or None
        data, note = tags.get("stack.data_revision", "")[:8], f"holdout from {_day(params.get('boundary'))}"
        title = f"of version {name}"
        until = _day(tags.get("stack.cutoff"))
        yield DataSet("training set", title, f"MLflow run {version.run_id}", data, rows, until=until, note=note)
    for name, version in versions.items():
        aliases = [alias for alias, one in found.items() if one.version == name]
        scores = [f"{key} {value}" for key, value in version.tags.items() if "." not in key][:3]
        place = f"{settings.address('mlflow')}/#/models/{spec.name}/versions/{name}"
        note = " · ".join([", ".join(aliases), *scores])
        yield DataSet(
            "model", f"{spec.name} {name}", place, name, until=_day(version.tags.get("stack.cutoff")), note=note
        )


def _run(settings: Settings, version: Version) -> dict[str, str]:
    """Parameters of the run that trained a version."""
    with rest.client(settings) as client:
        run = rest.checked(client.get("mlflow/runs/get", params={"run_id": version.run_id}))["run"]
    return {one["key"]: one["value"] for one in run["data"].get("params", [])}


def _log(settings: Settings, spec: ProjectSpec) -> DataSet:
    column = predictions.c
    wanted = (func.count(), func.count(column.label), func.min(column.asked_at), func.max(column.asked_at))
    with engine(settings.state_database).connect() as connection:
        rows, labelled, since, until = connection.execute(select(*wanted).where(column.project == spec.name)).one()
        said = select(column.model_version).where(column.project == spec.name).distinct()
        versions = sorted(connection.execute(said).scalars())
    place = settings.state_database.partition("://")[0] + ", table predictions"
    spans = {"since": _minute(since), "until": _minute(until)}
    return DataSet(
        "prediction log", "predictions", place, ", ".join(versions), rows, **spans, note=f"{labelled:,} labelled"
    )


def _reports(settings: Settings, spec: ProjectSpec) -> DataSet:
    folder = settings.pages / spec.name
    names = sorted(path.stem for path in folder.glob("*.json"))
    first, last = (names[0], names[-1]) if names else ("", "")
    return DataSet("reports", "drift", str(folder), "", len(names), _named(first), _named(last), "one row a report")


def _parquet(files: Iterable[Path], time: str) -> tuple[int | None, str, str]:
    """Rows, and first and last instant of a column, from the files' footers."""
    from pyarrow import ArrowInvalid, parquet

    rows, spans = 0, []
    for file in files:
        try:
            footer = parquet.ParquetFile(file).metadata
        except (ArrowInvalid, OSError):  # replaced just now
            continue
        rows += footer.num_rows
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            columns = (group.column(at) for at in range(group.num_columns))
            found = next((one.statistics for one in columns if one.path_in_schema == time), None)
            if found is not None and found.has_min_max:
                spans += [found.min, found.max]
    return (rows, _minute(min(spans)), _minute(max(spans))) if spans else (rows or None, "", "")


def _head(repository: Path) -> str:
    """The commit that a git repository stands at, without git; empty when there is none."""
    try:
        head = (repository / ".git" / "HEAD").read_text().strip()
        commit = (repository / ".git" / head.removeprefix("ref: ")).read_text() if head.startswith("ref: ") else head
    except OSError:
        return ""
    return commit.strip()[:8]


def _minute(value: Any) -> str:
    """An instant as people read it; SQLite gives it without its zone."""
    if value is None:
        return ""
    instant: datetime = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (instant.astimezone(UTC) if instant.tzinfo else instant).strftime("%Y-%m-%d %H:%M")


def _day(text: str | None) -> str:
    return _minute(datetime.fromisoformat(text)) if text else ""


def _named(report: str) -> str:
    """The instant in a report's name."""
    try:
        return datetime.strptime(report, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return ""


if __name__ == "__main__":
    from stack.core.settings import settings as read_settings

    print(json.dumps([asdict(one) for one in data_sets(read_settings(), project.load(sys.argv[1]))]))
