"""What two versions rest on and were made of, read from the artifacts of their runs."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import httpx

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.registry import artifacts
from stack.registry.registry import Version

FEATURES = 15
SIZE, EDGE = 300.0, 10.0
"""Of the picture of a calibration, and the room around it."""
Bin = tuple[float, float, int]
"""Mean answer, mean outcome, and rows."""


@dataclass(frozen=True)
class Importance:
    """How much the loss of each version rises when a feature is shuffled; None where it has no such feature."""

    feature: str
    values: tuple[float | None, float | None]
    widths: tuple[float, float]
    """Of the bars, 100 the longest."""


@dataclass(frozen=True)
class Curve:
    """The calibration of a version in a picture, and its numbers."""

    version: str
    points: list[tuple[float, float]]
    bins: list[Bin]


@dataclass(frozen=True)
class Calibration:
    """The calibration of two versions in one picture, whose diagonal is from `low` to `high`."""

    low: float
    high: float
    curves: list[Curve]


def recipe(settings: Settings, version: Version) -> dict[str, Any]:
    """Return what a version was trained with; nothing of an imported one, or where it cannot be read."""
    content = _file(settings, version, "recipe/recipe.json")
    found = json.loads(content) if content else {}
    return found if isinstance(found, dict) else {}


def importances(settings: Settings, a: Version, b: Version) -> list[Importance]:
    """Return the features that two versions rest on, those of most weight in any first."""
    one, other = (_importance(_file(settings, version, "importance.csv")) for version in (a, b))
    weights = {feature: max(one.get(feature, 0.0), other.get(feature, 0.0)) for feature in one | other}
    longest = max(weights.values(), default=0.0) or 1.0

    def width(of: Mapping[str, float], feature: str) -> float:
        return 100 * max(of.get(feature, 0.0), 0.0) / longest

    return [
        Importance(feature, (one.get(feature), other.get(feature)), (width(one, feature), width(other, feature)))
        for feature in sorted(weights, key=weights.__getitem__, reverse=True)[:FEATURES]
    ]


def calibration(found: dict[str, Sequence[Bin]]) -> Calibration | None:
    """Return the picture of calibrations, version -> bins; None where no version has any."""
    numbers = [number for bins in found.values() for answer, outcome, _ in bins for number in (answer, outcome)]
    if not numbers:
        return None
    low, high = min(numbers), max(numbers)

    def place(value: float) -> float:
        return EDGE + (SIZE - 2 * EDGE) * (value - low) / ((high - low) or 1.0)

    curves = [
        Curve(version, [(place(answer), SIZE - place(outcome)) for answer, outcome, _ in bins], [*bins])
        for version, bins in found.items()
    ]
    return Calibration(low, high, curves)


def _importance(content: str) -> dict[str, float]:
    return {row["column"]: float(row["importance"]) for row in csv.DictReader(StringIO(content))}


def _file(settings: Settings, version: Version, path: str) -> str:
    try:
        return artifacts.file(settings, version, path).decode()
    except (httpx.HTTPError, StackError):
        return ""
