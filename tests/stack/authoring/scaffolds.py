"""Tables like those that people have, and projects written from them in a folder of the test."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import projects
from stack.authoring.scaffold import project as scaffold
from stack.authoring.scaffold.wishes import Wishes
from stack.core.settings import Settings

NOW = datetime(2025, 6, 1, tzinfo=UTC)


def sales(rows: int = 600) -> pd.DataFrame:
    """Return a number to predict for shops over 100 days, with an id, a gap, a constant and instants without a zone."""
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
    """Return a table without time or id; the petals depend on the class."""
    random = np.random.default_rng(3)
    species = random.integers(0, classes, rows)
    return pd.DataFrame(
        {
            "Petal (cm)": (species + random.normal(0, 0.6, rows)).round(1),
            "sepal": random.normal(5, 1, rows).round(1),
            "species": np.array(["setosa", "versicolor", "virginica"])[species],
        }
    )


def flats(rows: int = 300) -> pd.DataFrame:
    """Return a table of texts, as of a German spreadsheet.

    It has decimal commas, points in thousands, days first, leading zeros, a constant, a mark and a gap for what is
    missing, doubled rows, three classes in words.
    """
    random = np.random.default_rng(4)
    size, days = random.gamma(4, 30, rows), random.integers(0, 300, rows)
    state = np.digitize(size / 120 + random.normal(0, 0.5, rows), [0.8, 1.2])
    table = pd.DataFrame(
        {
            "Lfd. Nr.": np.arange(1, rows + 1).astype(str),
            "Wohnfläche (m²)": [german(area) for area in size],
            "Kaufpreis in €": [german(3000 * area) for area in size],
            "PLZ": [f"0{code}" for code in random.integers(1000, 1010, rows)],
            "Größter Mangel": np.where(random.random(rows) < 0.9, "-", [german(area / 9) for area in size]),
            "Altbau": np.where(random.random(rows) < 0.1, "", random.choice(["ja", "nein"], rows)),
            "Land": "DE",
            "Übergabe": [f"{day:%d.%m.%Y}" for day in pd.Timestamp("2023-03-01") + pd.to_timedelta(days, unit="D")],
            "Zustand": np.array(["gut", "mittel", "schlecht"])[state],
        }
    )
    return pd.concat([table, table.head(10)])


def german(number: float) -> str:
    """Return a number with a decimal comma and points between thousands."""
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


class Folder:
    """A separate folder of projects, with modules that import."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        for name in ("projects", "feature_repo"):
            (root / name).mkdir()
        (root / "projects" / "__init__.py").touch()
        self.root = root
        patch.setattr(Settings, "projects", root / "projects")
        patch.setattr(Settings, "definitions", root / "feature_repo")
        patch.setattr(projects, "__path__", [str(root / "projects"), *projects.__path__])

    def write(self, name: str, table: pd.DataFrame | bytes, **wishes: str) -> scaffold.Written:
        """Write a project from a table or from the content of a CSV file, without a terminal."""
        file = self.root / f"{name}.csv"
        file.write_bytes(table if isinstance(table, bytes) else table.to_csv(index=False).encode())
        return scaffold.write(name, file, Wishes(**wishes), NOW, lambda _, default, __: default)

    def change(self, path: str, old: str, new: str) -> None:
        """Edit a file; the old text must be there."""
        file = self.root / path
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
