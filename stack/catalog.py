"""List every data set of a project: where it is stored, its version, its rows and the time that it spans.

``python -m stack.catalog PROJECT`` prints it as JSON: the portal asks in a process of its own, as reading Parquet takes
60 MB that the portal does not have.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
from sqlalchemy import func, select

from stack.core.database import engine, predictions
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.features.feature_tables import TIME, served_until
from stack.lake.windows import checked_out
from stack.prediction_log.unlabelled import NEWEST
from stack.project import Project
from stack.registry import rest
from stack.registry.registry import CHALLENGER, CHAMPION, PREVIOUS, Version
from stack.specification import specs

Kind = Literal["raw table", "feature view", "training set", "model", "prediction log", "reports"]


@dataclass(frozen=True)
class DataSet:
    """A data set; empty texts and None where unknown or not applicable."""

    kind: Kind
    name: str
    place: str
    """A folder, a table or an address."""
    version: str = ""
    rows: int | None = None
    since: str = ""
    until: str = ""
    note: str = ""


def data_sets(project: Project) -> list[DataSet]:
    """List the data sets of a project in the order of the pipeline."""
    tables = [*_raw(project), *_features(project)]
    try:
        models = [*_models(project)]
    except (httpx.HTTPError, OSError, StackError) as error:
        models = [DataSet("model", "MLflow", project.settings.mlflow_url, note=f"does not answer: {error}")]
    return [*tables, *models, _log(project), _older(project), _reports(project)]


def _raw(project: Project) -> Iterator[DataSet]:
    lake = project.settings.lake
    version, folder = _head(lake), str(lake / project.name)
    for name, table in project.spec.tables.items():
        files = checked_out(lake, project.name, name)
        rows, since, until = _parquet(files, table.available_at)
        note = f"{len(files):,} batch{'' if len(files) == 1 else 'es'}{', snapshot' if table.snapshot else ''}"
        yield DataSet("raw table", name, folder, version if files else "", rows, since, until, note)


def _features(project: Project) -> Iterator[DataSet]:
    root = project.settings.feature_tables / project.spec.name
    stored = sorted(path for path in root.glob("*") if path.is_dir())
    online = served_until(project) if stored else None
    for folder in stored:
        rows, since, until = _parquet(sorted(folder.glob("*.parquet")), TIME)
        note = f"online up to {_minute(online)} UTC" if online else ""
        yield DataSet("feature view", folder.name, str(folder), project.spec.features.service, rows, since, until, note)
    file = "features.py" if project.spec.has("features") else "project.yaml"
    place = f"projects/{project.spec.name}/{file}"
    yield DataSet("feature view", "on request", place, project.spec.features.service, note="computed from each request")


def _models(project: Project) -> Iterator[DataSet]:
    """Yield the training sets of the versions that have an alias, then the versions."""
    aliases = (CHAMPION, CHALLENGER, PREVIOUS)
    aliased = {alias: version for alias in aliases if (version := project.registry.aliased(alias))}
    versions = {version.version: version for version in aliased.values()}
    for name, version in versions.items():
        params, tags = _params(project.settings, version), version.tags
        rows = sum(int(params.get(key, 0)) for key in ("fit_rows", "holdout_rows")) or None
        data, note = tags.get("stack.data_revision", "")[:8], f"holdout from {_minute(params.get('boundary'))}"
        note += f" · {tags['stack.limited']}" if "stack.limited" in tags else ""
        place, until = f"MLflow run {version.run_id}", _minute(tags.get("stack.cutoff"))
        yield DataSet("training set", f"of version {name}", place, data, rows, until=until, note=note)
    for name, version in versions.items():
        names = ", ".join(alias for alias, holder in aliased.items() if holder.version == name)
        note = " · ".join([names, *(f"{key} {value:.4f}" for key, value in version.metrics.items())][:4])
        place = f"{project.settings.address('mlflow')}/#/models/{project.spec.name}/versions/{name}"
        until = _minute(version.tags.get("stack.cutoff"))
        yield DataSet("model", f"{project.spec.name} {name}", place, name, until=until, note=note)


def _params(settings: Settings, version: Version) -> dict[str, str]:
    """Return the parameters of the run that trained a version."""
    with rest.client(settings) as client:
        run = rest.checked(client.get("mlflow/runs/get", params={"run_id": version.run_id}))["run"]
    return {param["key"]: param["value"] for param in run["data"].get("params", [])}


def _log(project: Project) -> DataSet:
    column = predictions.c
    own = column.project == project.spec.name
    totals = select(func.count(), func.min(column.asked_at), func.max(column.asked_at)).where(own)
    newest = select(column.label, column.model_version).where(own).order_by(column.asked_at.desc()).limit(NEWEST)
    with engine(project.settings.state_database).connect() as connection:
        rows, since, until = connection.execute(totals).one()
        recent = connection.execute(newest).all()
    place = project.settings.state_database.partition("://")[0] + ", table predictions"
    version = ", ".join(sorted({row.model_version for row in recent}))
    labelled = sum(row.label is not None for row in recent)
    note = f"{labelled:,} labelled" + (f" of the newest {NEWEST:,}" if rows > NEWEST else "")
    return DataSet("prediction log", "predictions", place, version, rows, _minute(since), _minute(until), note)


def _older(project: Project) -> DataSet:
    folder = project.settings.older_predictions / project.spec.name
    rows, since, until = _parquet(sorted(folder.glob("*.parquet")), "asked_at")
    note = f"answered more than {project.settings.keep_days} days ago; a file a month"
    return DataSet("prediction log", "older predictions", str(folder), "", rows, since, until, note)


def _reports(project: Project) -> DataSet:
    folder = project.settings.pages / project.spec.name
    names = sorted(path.stem for path in folder.glob("*.json"))
    first, last = (names[0], names[-1]) if names else ("", "")
    return DataSet("reports", "drift", str(folder), "", len(names), _instant(first), _instant(last), "one row a report")


def _parquet(files: Iterable[Path], time: str) -> tuple[int | None, str, str]:
    """Return the rows, and the first and last instant of a column, from the files' footers."""
    from pyarrow import ArrowInvalid, parquet

    rows, spans = 0, []
    for file in files:
        try:
            footer = parquet.ParquetFile(file).metadata
        except (ArrowInvalid, OSError):  # replaced just now
            continue
        rows += footer.num_rows
        index = footer.schema.names.index(time) if time in footer.schema.names else None
        groups = range(footer.num_row_groups) if index is not None else ()
        for statistics in (footer.row_group(number).column(index).statistics for number in groups):
            spans += [statistics.min, statistics.max] if statistics is not None and statistics.has_min_max else []
    return (rows, _minute(min(spans)), _minute(max(spans))) if spans else (rows or None, "", "")


def _head(repository: Path) -> str:
    """Return the commit that a git repository is at, without git; empty when there is none."""
    try:
        head = (repository / ".git" / "HEAD").read_text().strip()
        commit = (repository / ".git" / head.removeprefix("ref: ")).read_text() if head.startswith("ref: ") else head
    except OSError:
        return ""
    return commit.strip()[:8]


def _minute(value: Any) -> str:
    """Return an instant as text, to the minute in UTC, "" for none; SQLite returns it without its zone."""
    if not value:
        return ""
    instant: datetime = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (instant.astimezone(UTC) if instant.tzinfo else instant).strftime("%Y-%m-%d %H:%M")


def _instant(report: str) -> str:
    """Return the instant in a report's name."""
    try:
        return _minute(datetime.strptime(report, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
    except ValueError:
        return ""


if __name__ == "__main__":
    from stack.core.settings import settings as read_settings

    print(json.dumps([asdict(data_set) for data_set in data_sets(Project(read_settings(), specs.load(sys.argv[1])))]))
