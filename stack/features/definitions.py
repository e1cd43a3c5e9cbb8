"""The Feast definitions of the projects: ``feature_repo/<project>.py``, read as the feast command reads them.

A module that is missing, broken or does not fit its project.yaml is an error of its project alone.
"""

import sqlite3
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from runpy import run_path
from typing import Any

from feast import Entity, FeatureService, FeatureStore, FeatureView, OnDemandFeatureView
from feast.data_source import DataSource
from sqlalchemy.exc import SQLAlchemyError

from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings, using
from stack.features import declared
from stack.project import Project
from stack.specification import specs
from stack.specification.specs import ProjectSpec

REPOSITORY = ROOT / "feature_repo"
"""With Feast's configuration, and the definitions that follow from project.yaml."""
KINDS = (DataSource, Entity, FeatureView, OnDemandFeatureView, FeatureService)


def apply(feast: FeatureStore, spec: ProjectSpec, definitions: list[Any]) -> None:
    """Apply a project's definitions; Feast validates them before it changes anything."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "On demand feature view is an experimental feature")
            feast.apply(definitions)
    except (SQLAlchemyError, sqlite3.Error, OSError):
        raise
    except Exception as error:
        raise StackError(
            f"feature_repo/{spec.name}.py",
            found=f"{type(error).__name__}: {' '.join(str(error).split())[:500]}",
            expected="definitions that Feast accepts",
        ) from error


def load(project: Project) -> list[Any]:
    """Read ``feature_repo/<project>.py``, or make the definitions that project.yaml declares.

    A module's service must have the columns of project.yaml, no more and no fewer.
    """
    path, features = project.settings.definitions / f"{project.name}.py", project.spec.features
    if project.spec.columns and not path.is_file():
        return declared.definitions(project.settings, project.spec)
    definitions = _execute(project.settings, path)
    services = {service.name: service for service in definitions if isinstance(service, FeatureService)}
    if features.service not in services:
        raise StackError(
            str(path),
            found=f"feature services: {_joined(services)}",
            expected=f"{features.service}, the key features.service of project.yaml",
        )
    projections = services[features.service].feature_view_projections
    defined, columns = {field.name for view in projections for field in view.features}, set(features.columns)
    if defined != columns:
        raise StackError(
            f"{path}, feature service {features.service}",
            found=f"missing: {_joined(columns - defined)}; not in project.yaml: {_joined(defined - columns)}",
            expected="the columns of features.columns in project.yaml",
        )
    return definitions


def claim(owners: dict[tuple[str, str], str], spec: ProjectSpec, definitions: list[Any]) -> None:
    """Refuse a name that an earlier project uses: all projects share one Feast project. Entities may be shared."""
    for item in definitions:
        kind, name = type(item).__name__, item.name
        owner = owners.setdefault((kind, name), spec.name)
        if owner != spec.name and not isinstance(item, Entity):
            raise StackError(
                f"feature_repo/{spec.name}.py",
                found=f"{kind} {name}, a name that {owner} uses",
                expected="a name of its own",
                todo=f"call it {spec.name}_{name}",
            )


def orphans(settings: Settings, feast: FeatureStore) -> list[Any]:
    """Return what is in the registry and no project defines any more; nothing while one of them is broken."""
    try:
        for name in specs.names():
            specs.load(name)
        modules = sorted({REPOSITORY / "declared.py", *settings.definitions.glob("*.py")})
        defined = {key for path in modules for key in _keys(_execute(settings, path))}
    except StackError:
        return []
    registered = [*feast.list_feature_services(), *feast.list_feature_views(), *feast.list_on_demand_feature_views()]
    registered += [*feast.list_entities(), *feast.list_data_sources()]
    # Feast's own names begin with two underscores.
    return [item for item in registered if _key(item) not in defined and not item.name.startswith("__")]


def _execute(settings: Settings, path: Path) -> list[Any]:
    """Execute a module of definitions, as the feast command does, with these settings; return what it defines."""
    if not path.is_file():
        raise StackError(str(path), found="no such file", expected="the project's Feast definitions")
    try:
        with using(settings):
            names = run_path(str(path), run_name=f"feature_repo.{path.stem}")
    except Exception as error:
        raise StackError(
            str(path), found=f"{type(error).__name__}: {error}", expected="a module that imports"
        ) from error
    return [value for value in names.values() if isinstance(value, KINDS)]


def _keys(definitions: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield kind and name of definitions, and of the sources inside them."""
    for item in definitions:
        inside = [item.batch_source] if isinstance(item, FeatureView) else []
        inside += item.source_request_sources.values() if isinstance(item, OnDemandFeatureView) else []
        yield from (_key(definition) for definition in (item, *inside) if definition)


def _key(definition: Any) -> tuple[str, str]:
    return next(kind.__name__ for kind in KINDS if isinstance(definition, kind)), definition.name


def _joined(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
