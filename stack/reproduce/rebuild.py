"""Rebuild a recorded model, in a checkout of its code.

``python -m stack.reproduce.rebuild RECIPE OUT [--as-it-is]``

Reads the lake of STACK_HOME at the recorded revision; changes nothing there. Writes into OUT what the training of the
recipe logged (metrics, ``holdout/``, ``reference/``, ``served/``). ``make reproduce`` runs it and compares.
"""

import json
import sys
import warnings
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stack.core.errors import StackError
from stack.project import Project


def rebuild(recipe: dict[str, Any], out: Path) -> None:
    """Fit the candidate of a run's ``recipe.json`` before the holdout, measure it, and fit it on everything."""
    from stack.core import settings
    from stack.reproduce import steps
    from stack.specification import sections, specs
    from stack.training import training

    # Warnings of libraries about libraries: Feast, which enables them when it is imported, calls what DuckDB renames.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    spec, cutoff = specs.load(recipe["project"]), datetime.fromisoformat(recipe["cutoff"])
    # A recipe without the limit was made before there was one.
    protocol = sections.Training.model_validate({"max_rows": sys.maxsize, **recipe["training"]})
    spec = spec.model_copy(update={"training": protocol})
    tables = Project(settings.load(), spec).lake.read(until=cutoff, revision=recipe["data_revision"])
    print(f"{sum(map(len, tables.values())):,} raw rows of data version {recipe['data_revision'][:8]}", flush=True)
    frame = steps.training_set(spec, tables, cutoff)
    print(f"{len(frame):,} labelled rows with their features; the recipe has {recipe['rows']:,}", flush=True)
    frame = training.ordered(spec, frame, cutoff)
    choice = steps.recipe_choice(recipe)
    metrics = steps.evaluate(spec, frame, cutoff, choice, out)
    training.refit(spec, frame, choice, out, metrics.get("correction", 0.0))
    print(f"{recipe['candidate']} is fitted before the holdout, measured there, and fitted on all rows", flush=True)


def differences(recipe: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the packages whose version is not the recorded version: name -> (recorded, installed)."""
    versions = {name: (wanted, _installed(name)) for name, wanted in recipe["packages"].items()}
    return {name: pair for name, pair in versions.items() if pair[0] != pair[1]}


def describe(differences: Mapping[str, tuple[str, str]]) -> str:
    """Return differences as a line."""
    return ", ".join(f"{name} {installed} instead of {wanted}" for name, (wanted, installed) in differences.items())


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def main(recipe: Path, out: Path, *, as_it_is: bool) -> int:
    """Run, with other packages than the recorded ones only if asked to; return the exit code."""
    recorded = json.loads(recipe.read_text())
    out.mkdir(parents=True, exist_ok=True)
    try:
        off = differences(recorded)
        if off and not as_it_is:
            raise StackError(f"packages of {sys.prefix}", found=describe(off), expected="the recorded versions")
        rebuild(recorded, out)
    except StackError as error:
        print(f"error: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), as_it_is="--as-it-is" in sys.argv))
