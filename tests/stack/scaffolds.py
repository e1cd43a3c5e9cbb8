"""Tables like those that people have, and projects written from them in a folder of the test."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import projects
from stack import project
from stack.scaffold import project as scaffold
from stack.scaffold.choices import Wishes

NOW = datetime(2025, 6, 1, tzinfo=UTC)


def sales(rows: int = 600) -> pd.DataFrame:
    """A number to predict for shops over 100 days, with an id, a gap, a constant and instants without a zone."""
    random = np.random.default_rng(2)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(random.uniform(0, 100, rows)), unit="D")
    shop, price = random.integers(1, 6, rows), random.gamma(4, 3, rows).round(2)
    return pd.DataFrame(
        {
            "Order No": np.arange(5000, 5000 + rows),
            "Sold At": at.strftime("%Y-%m-%d %H:%M:%S"),
            "ShopID": shop,
            "price": price,
            "promo": random.random(rows) < 0.2,
            "weather": np.where(random.random(rows) < 0.1, None, random.choice(["sun", "rain"], rows)),
            "country": "DE",
            "units": (20 + 2 * shop - 0.5 * price + random.normal(0, 1, rows)).round(1),
        }
    )


def flowers(classes: int = 3, rows: int = 150) -> pd.DataFrame:
    """A table without time or id; the class shows in the petals."""
    random = np.random.default_rng(3)
    species = random.integers(0, classes, rows)
    return pd.DataFrame(
        {
            "Petal (cm)": (species + random.normal(0, 0.6, rows)).round(1),
            "sepal": random.normal(5, 1, rows).round(1),
            "species": np.array(["setosa", "versicolor", "virginica"])[species],
        }
    )


class Folder:
    """An own folder of projects, with modules that import."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        for name in ("projects", "feature_repo"):
            (root / name).mkdir()
        (root / "projects" / "__init__.py").touch()
        self.root = root
        patch.setattr(project, "PROJECTS", root / "projects")
        patch.setattr(project, "DEFINITIONS", root / "feature_repo")
        patch.setattr(projects, "__path__", [str(root / "projects"), *projects.__path__])

    def write(self, name: str, table: pd.DataFrame, **wishes: str) -> scaffold.Written:
        """Write a project from a table, without a terminal."""
        file = self.root / f"{name}.csv"
        table.to_csv(file, index=False)
        return scaffold.write(name, file, Wishes(**wishes), NOW, lambda _, default, __: default)

    def change(self, path: str, old: str, new: str) -> None:
        """Edit a file; the old text must be there."""
        file = self.root / path
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
