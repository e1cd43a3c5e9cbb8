"""The Feast definitions of the projects: ``feature_repo/<project>.py``, read as the feast command reads them.

A module that is missing, broken or does not fit its project.yaml is an error of its project alone.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from feast import Entity, FeatureService, FeatureStore, FeatureView, OnDemandFeatureView
from feast.data_source import DataSource
from sqlalchemy.exc import SQLAlchemyError

from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings, using
from stack.project import Project
from stack.specification.specs import ProjectSpec

REPOSITORY = ROOT / "feature_repo"
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
    """Read ``feature_repo/<project>.py``; its service must have the columns of project.yaml, no more and no fewer."""
    path, wanted = REPOSITORY / f"{project.name}.py", project.spec.features
    definitions = [value for value in vars(_module(project.settings, path)).values() if isinstance(value, KINDS)]
    services = {service.name: service for service in definitions if isinstance(service, FeatureService)}
    if wanted.service not in services:
        raise StackError(
            str(path),
            found=f"feature services: {_names(set(services))}",
            expected=f"{wanted.service}, the key features.service of project.yaml",
        )
    projections = services[wanted.service].feature_view_projections
    given, columns = {field.name for view in projections for field in view.features}, set(wanted.columns)
    if given != columns:
        raise StackError(
            f"{path}, feature service {wanted.service}",
            found=f"missing: {_names(columns - given)}; not in project.yaml: {_names(given - columns)}",
            expected="the columns of features.columns in project.yaml",
        )
    return definitions


def orphans(settings: Settings, feast: FeatureStore) -> list[Any]:
    """Return what is in the registry but in no module of ``feature_repo``; nothing while one of them is broken."""
    try:
        defined = {key for path in sorted(REPOSITORY.glob("*.py")) for key in _defined(_module(settings, path))}
    except StackError:
        return []
    known = [*feast.list_feature_services(), *feast.list_feature_views(), *feast.list_on_demand_feature_views()]
    known += [*feast.list_entities(), *feast.list_data_sources()]
    # Feast's own names begin with two underscores.
    return [item for item in known if _key(item) not in defined and not item.name.startswith("__")]


def _defined(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield kind and name of what a module defines, and of the sources inside it."""
    for value in vars(module).values():
        if isinstance(value, KINDS):
            yield _key(value)
        inside = [value.batch_source] if isinstance(value, FeatureView) else []
        inside += value.source_request_sources.values() if isinstance(value, OnDemandFeatureView) else []
        yield from (_key(source) for source in inside if source)


def _key(definition: Any) -> tuple[str, str]:
    kind = next(kind for kind in KINDS if isinstance(definition, kind))
    return kind.__name__, definition.name


def _names(columns: set[str]) -> str:
    return ", ".join(sorted(columns)) or "none"


def _module(settings: Settings, path: Path) -> ModuleType:
    """Execute a module of definitions, as the feast command does, with these settings."""
    spec = spec_from_file_location(f"feature_repo.{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise StackError(str(path), found="no such file", expected="the project's Feast definitions")
    module = module_from_spec(spec)
    try:
        with using(settings):
            spec.loader.exec_module(module)
    except Exception as error:
        raise StackError(
            str(path), found=f"{type(error).__name__}: {error}", expected="a module that imports"
        ) from error
    return module


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
