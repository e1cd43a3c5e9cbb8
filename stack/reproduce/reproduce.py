"""Rebuild a registered model from its run with the recorded code, data and packages, and compare the two."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException

from stack.core import code
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.reproduce import checkouts, steps

TOLERANCE = 1e-9
"""Largest difference of a metric; features and predictions have to be equal."""
TABLES = ("holdout", "reference")


@dataclass(frozen=True)
class Recorded:
    """What the run of a training has recorded."""

    recipe: dict[str, Any]
    metrics: dict[str, float]
    folder: Path
    """``holdout/`` and ``reference/``: rows with their features and their answers."""


@dataclass(frozen=True)
class Comparison:
    """The differences between the rebuilt and the recorded model."""

    metrics: int
    """How many there are."""
    differing: dict[str, tuple[float, float]]
    """Metrics that differ: recorded, rebuilt."""
    rows: dict[str, tuple[int, int]]
    """Table -> rows, and those of them that differ."""

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differing and not any(off for _, off in self.rows.values())

    def __str__(self) -> str:
        metrics = f"{len(self.differing)} of {self.metrics} metrics differ by more than {TOLERANCE:g}"
        rows = [f"{off:,} of {count:,} predictions ({name})" for name, (count, off) in self.rows.items()]
        return ", ".join([metrics, *rows])


def reproduce(settings: Settings, run_id: str, report: Reporter, *, as_it_is: bool = False) -> Comparison:
    """Rebuild the model of a training's run, and compare it with what the run recorded.

    Args:
        settings: the stack whose MLflow has the run and whose lake has the data; nothing is changed there.
        as_it_is: use this checkout and its packages, whatever the run recorded.

    Raises:
        StackError: there is no such training, its code or packages cannot be had, or the result differs.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.home, prefix="reproduce-") as temporary:
        folder = Path(temporary)
        known = fetch(settings, run_id, folder / "recorded")
        recipe, rebuilt = known.recipe, folder / "rebuilt"
        report(f"{recipe['project']}: {recipe['candidate']} on labels known at {recipe['cutoff']}")
        words = ["stack.reproduce.rebuild", str(known.folder / "recipe/recipe.json"), str(rebuilt)]
        words += ["--as-it-is"] if as_it_is else []
        folder_kept = known.folder / "recipe" / code.KEPT
        kept = folder_kept if folder_kept.exists() else None
        with checkouts.recorded(recipe, folder / "code", report, kept=kept, as_it_is=as_it_is) as checkout:
            checkout.run(words, _environment(settings, folder), report)
        comparison = compare(known, rebuilt)
    report(str(comparison))
    if not comparison.same:
        first = [f"{name} {new!r}, recorded {old!r}" for name, (old, new) in comparison.differing.items()][:3]
        raise StackError(
            f"run {run_id}",
            found="; ".join([str(comparison), *first]),
            expected="the recorded metrics and predictions",
            todo="look for what the recipe cannot name: the processor, libraries of the system, changes after a commit",
        )
    return comparison


def recipe_of(settings: Settings, run_id: str) -> dict[str, Any]:
    """Return the recipe of a training's run."""
    with _of_a_training(run_id), artifacts.folder(settings, Version("", "", run_id), "recipe") as folder:
        return dict(json.loads((folder / "recipe.json").read_text()))


def fetch(settings: Settings, run_id: str, folder: Path) -> Recorded:
    """Download a training's recipe, metrics and answers."""
    with _of_a_training(run_id):
        run = mlflow.MlflowClient(settings.mlflow_url).get_run(run_id)
        for name in ("recipe", *TABLES):
            artifacts.download(settings, Version("", "", run_id), name, folder / name)
        recipe = json.loads((folder / "recipe/recipe.json").read_text())
    return Recorded(recipe, {name: value for name, value in run.data.metrics.items() if isfinite(value)}, folder)


@contextmanager
def _of_a_training(run_id: str) -> Iterator[None]:
    """Raise a StackError that names the run where MLflow lacks what a training records."""
    try:
        yield
    except (MlflowException, httpx.HTTPError, StackError, OSError) as error:
        raise StackError(
            f"run {run_id}",
            found=" ".join(str(error).split())[:300],
            expected="the run of a training that ended well, with its recipe, holdout and reference",
            todo="take the run's id from the page of the model's version in MLflow",
        ) from None


def compare(known: Recorded, rebuilt: Path) -> Comparison:
    """Compare rebuilt metrics and rows with the recorded ones."""
    metrics = json.loads((rebuilt / steps.METRICS).read_text())
    pairs = {name: (recorded, metrics.get(name, nan)) for name, recorded in known.metrics.items()}
    off = {name: pair for name, pair in pairs.items() if not abs(pair[0] - pair[1]) <= TOLERANCE}
    return Comparison(len(pairs), off, {name: _rows(known.folder, rebuilt, name) for name in TABLES})


def _rows(recorded: Path, rebuilt: Path, name: str) -> tuple[int, int]:
    """Return the rows of a table, and how many differ in features, outcome or answer."""
    old, new = (pd.read_parquet(folder / name / f"{name}.parquet") for folder in (recorded, rebuilt))
    if list(old.columns) != list(new.columns) or len(old) != len(new):
        return len(old), len(old)
    same = (old == new) | (old.isna() & new.isna())
    return len(old), int((~same.all(axis=1)).sum())


def _environment(settings: Settings, folder: Path) -> dict[str, str]:
    """Return the environment of the rebuilding process: where the lake is, and no other setting of the stack.

    Settings that came after the recorded code would be errors to it.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STACK_")}
    remote = {"STACK_LAKE_REMOTE": settings.lake_remote} if settings.lake_remote else {}
    own = {"STACK_HOME": str(settings.home), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "TZ": "UTC"}
    return kept | remote | own | {"PYTHONWARNINGS": "ignore"}
