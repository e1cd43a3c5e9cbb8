"""Features through Feast: definitions into the registry, feature tables from the lake, online values, training sets.

The definitions are native Feast modules, ``feature_repo/<project>.py``; this module calls Feast's public API on them.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml
from feast import FeatureService, FeatureStore, FeatureView
from feast.errors import FeatureServiceNotFoundException
from feast.repo_config import RepoConfig
from sqlalchemy import make_url

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.declared.features import DeclaredFeatures
from stack.features import _compat, definitions, feature_tables
from stack.project import Project
from stack.specification import forecasts, specs
from stack.specification.specs import ProjectSpec

MAX_INTERVALS = 100
ROW = "stack_row"
BLOCK, SHARED_BLOCK = 500_000, 200_000
"""Events that are joined at a time, in the order of time: each block reads its part of the feature tables alone."""
Blocks = Callable[[Iterable[pd.DataFrame]], Iterable[pa.Table]]
"""Joins blocks of events with features."""
log = logging.getLogger(__name__)


def store(settings: Settings) -> FeatureStore:
    """Open the feature store of ``feature_repo/feature_store.yaml``; keep the object, opening costs a second."""
    _compat.silence_registry_warnings()
    return FeatureStore(config=RepoConfig(**_configuration(settings.environment()), repo_path=definitions.REPOSITORY))


def _configuration(variables: Mapping[str, str]) -> dict[str, Any]:
    """Read ``feature_repo/feature_store.yaml``."""
    text = Template((definitions.REPOSITORY / "feature_store.yaml").read_text()).safe_substitute(variables)
    return dict(yaml.safe_load(text))


def record(feast: FeatureStore, path: Path) -> None:
    """Write the definitions of a feature store into a file, which :func:`recorded` opens."""
    path.write_bytes(feast.registry.proto().SerializeToString())


def recorded(path: Path) -> FeatureStore:
    """Open a store of the definitions in a file, to join features without the registry, its address or its password."""
    own = {"registry": {"registry_type": "file", "path": str(path)}, "online_store": None}
    return FeatureStore(config=RepoConfig(**_configuration({"STACK_ONLINE_STORE_TYPE": "sqlite"}) | own))


def apply(settings: Settings) -> dict[str, StackError]:
    """Bring the registry and the online store in line with the definitions; a second time changes nothing.

    What no module defines any more, as its project is gone, is deleted from both.

    Returns:
        Projects that are left out, each with the reason, which is logged too. The others are applied.
    """
    prepare(settings)
    feast = store(settings)
    owners: dict[tuple[str, str], str] = {}
    left_out: dict[str, StackError] = {}
    for name in specs.names():
        try:
            project = Project.open(name, settings)
            loaded = definitions.load(project)
            definitions.claim(owners, project.spec, loaded)
            definitions.apply(feast, project.spec, loaded)
        except StackError as error:
            left_out[name] = error
            log.warning("features of %s are left out\n%s", name, error)
    if orphans := definitions.orphans(settings, feast):
        feast.apply([], objects_to_delete=orphans, partial=False)
        log.info("no longer defined, so deleted: %s", ", ".join(sorted({item.name for item in orphans})))
    return left_out


def apply_alone(project: Project) -> None:
    """Apply the definitions of one project, in a stack that has no other."""
    prepare(project.settings)
    definitions.apply(store(project.settings), project.spec, definitions.load(project))


def prepare(settings: Settings) -> None:
    """Create the SQLite files, in WAL mode: readers continue while the worker writes. The mode stays with the file."""
    registry = make_url(settings.feast_registry)
    files = [settings.online_store] if settings.online_store_type == "sqlite" else []
    files += [str(registry.database)] if registry.get_backend_name() == "sqlite" else []
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")


def update(project: Project, since: datetime, until: datetime) -> dict[str, int]:
    """Compute the feature tables of (since, until] from the lake; return feature view -> number of rows.

    A window computed again replaces itself. A long one is computed in parts: a value does not depend on `since`.
    """
    rows: Counter[str] = Counter()
    for start, end in project.lake.spans(since, until, project.features.LOOKBACK):
        tables = project.lake.recent(start - project.features.LOOKBACK, end)
        for view, frame in project.features.build(tables, start, end).items():
            feature_tables.replace(feature_tables.folder(project) / view, frame, start, end)
            rows[view] += len(frame)
    return dict(rows)


def is_long(project: Project, since: datetime, until: datetime) -> bool:
    """Return whether the feature tables of (since, until] are computed in parts."""
    return len([*project.lake.spans(since, until, project.features.LOOKBACK)]) > 1


def materialise(project: Project, since: datetime, until: datetime) -> None:
    """Write the newest row of each entity in (since, until] to the online store.

    A window that is repeated after newer ones extends to the newest, so that no old value replaces a new one.
    """
    feast = store(project.settings)
    stored = views(feast, project.spec)
    ends = [view.most_recent_end_time for view in stored if view.materialization_intervals]
    end = max(until, feature_tables.served_until(project), *ends)
    filled = feature_tables.filled(feature_tables.folder(project), [view.name for view in stored])
    if filled:
        feast.materialize(since, end, feature_views=filled)
    for view in views(feast, project.spec):
        _compat.merge_intervals(feast, view, MAX_INTERVALS)


def training_set(project: Project, events: pd.DataFrame, blocks: Blocks | None = None) -> pd.DataFrame:
    """Join each event with the features that were known at its ``event_timestamp``.

    Events have at least that column and the request fields. They are returned in their order, with all feature columns:
    numbers as float32 (missing: NaN), categories and texts as str.

    Args:
        blocks: join blocks of events elsewhere than here, see :func:`join`.
    """
    feast = store(project.settings)
    if len(events):
        require_tables(project, feast)
    columns = joined(feast, project.spec, events, blocks)
    kept = events.drop(columns=list(columns), errors="ignore")
    return pd.concat([kept, pd.DataFrame(columns, index=events.index, copy=False)], axis=1)


def joined(
    feast: FeatureStore, spec: ProjectSpec, events: pd.DataFrame, blocks: Blocks | None = None
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the feature columns of events, as :func:`training_set` joins them."""
    kinds = spec.features.columns
    columns = {name: np.empty(len(events), column(kind, []).dtype) for name, kind in kinds.items()}
    if len(events):
        inputs = _inputs(spec, events).sort_values("event_timestamp")
        size = SHARED_BLOCK if blocks else BLOCK
        parts = (inputs.iloc[start : start + size] for start in range(0, len(inputs), size))
        for table in blocks(parts) if blocks else (join(feast, spec, part) for part in parts):
            rows = table[ROW].to_numpy()
            for name, kind in kinds.items():
                columns[name][rows] = column(kind, table[name].to_pandas())
    return columns


def _inputs(spec: ProjectSpec, events: pd.DataFrame) -> pd.DataFrame:
    """Return instants and request fields, with the types of a request: pandas makes integers with a null floats."""
    dtypes = {name: field.field_type.frame_dtype for name, field in spec.request.items()}
    fields = {name: events[name].astype(dtype or events[name].dtype) for name, dtype in dtypes.items()}
    slots = forecasts.slots(spec, events[forecasts.time_of(spec)].tolist()) if spec.forecast else {}
    columns: dict[str, Any] = {**fields, **slots, "event_timestamp": events["event_timestamp"].dt.as_unit("us")}
    return pd.DataFrame(columns, index=events.index).assign(**{ROW: np.arange(len(events))})


def require_tables(project: Project, feast: FeatureStore) -> None:
    """Raise a StackError where a feature view of a project's service has no rows.

    The past of keys that project.yaml declares may be empty once it was computed: its first instant is yet to come.
    """
    names, folder = [view.name for view in views(feast, project.spec)], feature_tables.folder(project)
    empty = set(names) - set(feature_tables.filled(folder, names))
    if _declared(project):
        empty = {name for name in empty if not (folder / name).is_dir()}
    if empty:
        raise StackError(
            f"feature tables of {project.name}",
            found=f"no rows of {', '.join(sorted(empty))}",
            expected="a window that has been ingested",
            todo=f"run `make ingest PROJECT={project.name}`",
        )


def awaited_past(project: Project, at: datetime) -> datetime | None:
    """Return when rows will have come with the past of their keys for an hour or a day, where none has one yet.

    The past is computed once an hour or a day, of the rows that came before.
    """
    if (declared := _declared(project)) is None:
        return None
    ticks = declared.ticks
    filled = feature_tables.filled(feature_tables.folder(project), ticks)
    apart = max((tick for view, tick in ticks.items() if view not in filled), default=None)
    return (pd.Timestamp(at).floor(apart) + 2 * apart).to_pydatetime() if apart else None


def _declared(project: Project) -> DeclaredFeatures | None:
    """Return the features that project.yaml declares; None where a file replaces them, or there are none."""
    features = project.features if project.spec.columns else None
    return features if isinstance(features, DeclaredFeatures) else None


def join(feast: FeatureStore, spec: ProjectSpec, inputs: pd.DataFrame) -> pa.Table:
    """Return the feature columns of a block of events, in any order, and their rows."""
    table = feast.get_historical_features(entity_df=inputs, features=service(feast, spec)).to_arrow()
    # Feast puts a feature that is named as a request field behind it.
    last = {name: position for position, name in enumerate(table.column_names)}
    return table.select([last[name] for name in (ROW, *spec.features.columns)])


def column(kind: str, values: Any) -> np.ndarray[Any, Any]:
    """Return a feature column with the dtype that models take."""
    if kind != "number":
        return np.asarray(values, dtype=object)
    return np.asarray(values, dtype=np.float64).astype(np.float32)


def service(feast: FeatureStore, spec: ProjectSpec) -> FeatureService:
    """Return the project's feature service.

    Raises:
        StackError: the project's definitions have not been applied.
    """
    try:
        return feast.get_feature_service(spec.features.service)
    except FeatureServiceNotFoundException:
        raise StackError(
            f"Feast registry, feature service {spec.features.service}",
            found="no such service",
            expected=f"the definitions of feature_repo/{spec.name}.py",
            todo="run `make up`, or `feast apply` in feature_repo; both say what is wrong with a definition",
        ) from None


def views(feast: FeatureStore, spec: ProjectSpec) -> list[FeatureView]:
    """Return the feature views of the project's service that have a table, so all but the on-demand ones."""
    names = {projection.name for projection in service(feast, spec).feature_view_projections}
    return [view for view in feast.list_feature_views() if view.name in names]
