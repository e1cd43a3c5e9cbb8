"""Tables like those that people bring: each holds a trap, and some a column that gives the target away."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer


@dataclass(frozen=True)
class Case:
    """A table, what is asked of it, and what must be found in it."""

    make: Callable[[], pd.DataFrame]
    target: str
    time: str | None = None
    """Columns that hold the instant of a row, by commas; None for a table without time."""
    known: str | None = None
    """Column with the instant at which the outcome is known."""
    keys: str | None = None
    leaks: frozenset[str] = field(default_factory=frozenset)
    """Columns that together give the target away."""
    harmless: frozenset[str] = field(default_factory=frozenset)
    """Those of them that say nothing without the others, and so stay in a request."""

    def table(self, *, leaking: bool = True) -> pd.DataFrame:
        """Return the table, with or without the columns that leak."""
        table = self.make()
        return table if leaking else table.drop(columns=[*self.leaks])


def penguins(rows: int = 344) -> pd.DataFrame:
    """The target comes first; years of three values, gaps in a category."""
    random = np.random.default_rng(1)
    kind = random.integers(0, 3, rows)
    bill = np.array([38.8, 48.8, 47.5])[kind] + random.normal(0, 3, rows)
    return pd.DataFrame(
        {
            "species": np.array(["Adelie", "Chinstrap", "Gentoo"])[kind],
            "island": np.where(random.random(rows) < 0.5, "Biscoe", np.array(["Torgersen", "Dream", "Biscoe"])[kind]),
            "bill_length_mm": bill.round(1),
            "bill_depth_mm": (np.array([18.3, 18.4, 15.0])[kind] + random.normal(0, 1.1, rows)).round(1),
            "body_mass_g": (np.array([3700, 3730, 5076])[kind] + random.normal(0, 450, rows)).round(-1),
            "sex": np.where(random.random(rows) < 0.05, None, random.choice(["male", "female"], rows)),
            "year": random.integers(2007, 2010, rows),
        }
    )


def rides(days: int = 90) -> pd.DataFrame:
    """An index column, a date beside an hour, and two columns whose sum is the target."""
    random = np.random.default_rng(2)
    at = pd.date_range("2011-01-01", periods=24 * days, freq="h")
    temperature = 10 + 8 * np.sin(np.arange(len(at)) / 24 / 15) + random.normal(0, 2, len(at))
    rate = np.exp(2.5 + 0.05 * temperature + np.where((at.hour > 6) & (at.hour < 21), 1.2, 0))
    casual, registered = random.poisson(rate * np.where(at.weekday > 4, 0.6, 0.2)), random.poisson(rate)
    return pd.DataFrame(
        {
            "instant": np.arange(1, len(at) + 1),
            "dteday": at.strftime("%Y-%m-%d"),
            "hr": at.hour,
            "holiday": (random.random(len(at)) < 0.01).astype(int),
            "workingday": (at.weekday < 5).astype(int),
            "temp": temperature.round(2),
            "hum": random.uniform(30, 90, len(at)).round(),
            "casual": casual,
            "registered": registered,
            "cnt": casual + registered,
        }
    )


def air(days: int = 60) -> pd.DataFrame:
    """The year, a single one, the month, the day and the hour in columns of their own; a column named No."""
    random = np.random.default_rng(3)
    at = pd.date_range("2010-01-01", periods=24 * days, freq="h")
    wind = random.gamma(2, 10, len(at)).round(2)
    drift = np.cumsum(random.normal(0, 0.15, len(at)))
    return pd.DataFrame(
        {
            "No": np.arange(1, len(at) + 1),
            "year": at.year,
            "month": at.month,
            "day": at.day,
            "hour": at.hour,
            "pm2.5": np.exp(4 + 0.3 * np.sin(drift) - 0.02 * wind + random.normal(0, 0.2, len(at))).round(),
            "DEWP": (-15 + 10 * np.sin(drift) + random.normal(0, 2, len(at))).round(),
            "TEMP": (-5 + 6 * np.sin(at.hour / 4) + random.normal(0, 2, len(at))).round(),
            "cbwd": random.choice(["NW", "NE", "SE", "cv"], len(at)),
            "Iws": wind,
        }
    )


def ridership(days: int = 420) -> pd.DataFrame:
    """A daily series of few rows, day first; the target in the middle."""
    random = np.random.default_rng(4)
    at = pd.date_range("2019-01-01", periods=days, freq="D")
    rain, game = random.gamma(0.4, 4, days).round(1), (random.random(days) < 0.2).astype(int)
    count = 20000 - 6000 * (at.weekday > 4) - 200 * rain + 900 * game + random.normal(0, 700, days)
    return pd.DataFrame({"date": at.strftime("%d.%m.%Y"), "rain": rain, "riders": count.round(), "home_game": game})


def orders(rows: int = 2400) -> pd.DataFrame:
    """The date of the order and that of the delivery; the target is their difference, and so is a column in hours."""
    random = np.random.default_rng(5)
    at = pd.Timestamp("2023-01-02") + pd.to_timedelta(np.sort(random.uniform(0, 120, rows)), unit="D")
    distance, weight = random.gamma(3, 120, rows).round(), random.gamma(2, 4, rows).round(1)
    days = (1 + distance / 150 + 0.05 * weight + random.gamma(2, 0.5, rows)).round(2)
    return pd.DataFrame(
        {
            "order": [f"A{number:05d}" for number in range(rows)],
            "delivered_at": (at + pd.to_timedelta(days, unit="D")).strftime("%Y-%m-%d %H:%M:%S"),
            "ordered_at": at.strftime("%Y-%m-%d %H:%M:%S"),
            "customer": random.integers(1, 400, rows),
            "distance_km": distance,
            "weight_kg": weight,
            "carrier": random.choice(["north", "south", "sea"], rows),
            "transit_hours": (24 * days).round(1),
            "delivery_days": days,
        }
    )


def devices(rows: int = 9000) -> pd.DataFrame:
    """Thousands of devices, named by text; a code that only failed ones have."""
    random = np.random.default_rng(6)
    device = random.integers(0, 1500, rows)
    at = pd.Timestamp("2024-03-01") + pd.to_timedelta(np.sort(random.uniform(0, 80, rows)), unit="D")
    worn = random.gamma(2, 1, 1500)[device]
    vibration = (worn + random.gamma(2, 0.6, rows)).round(2)
    failed = random.random(rows) < 1 / (1 + np.exp(4 - 0.7 * vibration))
    return pd.DataFrame(
        {
            "device": [f"dev-{number:05d}" for number in device],
            "measured": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "failed": np.where(failed, "yes", "no"),
            "vibration": vibration,
            "temperature": random.normal(60, 8, rows).round(1),
            "firmware": random.choice(["1.0", "1.1", "2.0"], rows),
            "repair_cost": np.where(failed, random.gamma(3, 60, rows).round(), np.nan),
        }
    )


def loans(rows: int = 3000) -> pd.DataFrame:
    """A rate that follows from the amount, the term and the instalment."""
    random = np.random.default_rng(7)
    amount, term = random.integers(10, 350, rows) * 100, random.choice([36, 60], rows)
    income = random.lognormal(11, 0.5, rows).round(-2)
    score = (680 + 25 * (np.log(income) - 11) + random.normal(0, 25, rows)).round()
    rate = (0.12 - 0.0006 * (score - 680) + 0.01 * (term == 60) + random.normal(0, 0.018, rows)).clip(0.03, 0.3)
    rate = (100 * rate).round(2)
    monthly = rate / 1200
    return pd.DataFrame(
        {
            "loan_amount": amount,
            "term": term,
            "annual_income": income,
            "credit_score": score,
            "purpose": random.choice(["car", "house", "debt", "other"], rows),
            "installment": (amount * monthly / (1 - (1 + monthly) ** -term)).round(2),
            "homeownership": random.choice(["RENT", "OWN", "MORTGAGE"], rows),
            "interest_rate": rate,
        }
    )


def storms(count: int = 120) -> pd.DataFrame:
    """Rows of the same storm belong together; a category is the status under another name."""
    random = np.random.default_rng(8)
    length = random.integers(12, 40, count)
    storm = np.repeat(np.arange(count), length)
    step = np.concatenate([np.arange(size) for size in length])
    at = pd.Timestamp("1975-06-01") + pd.to_timedelta(25 * storm, unit="D") + pd.to_timedelta(6 * step, unit="h")
    peak = random.gamma(6, 12, count)[storm]
    wind = (20 + peak * np.sin(np.pi * step / length[storm]) + random.normal(0, 5, len(storm))).clip(10).round()
    felt = wind + random.normal(0, 8, len(storm))
    state = np.digitize(felt, [34, 64])
    return pd.DataFrame(
        {
            "name": [f"storm {number}" for number in storm],
            "year": at.year,
            "month": at.month,
            "day": at.day,
            "hour": at.hour,
            "lat": (15 + step / 2 + random.normal(0, 4, len(storm))).round(1),
            "long": (-60 - step + random.normal(0, 5, len(storm))).round(1),
            "status": np.array(["depression", "storm", "hurricane"])[state],
            "grade": state * 10 + 1,
            "wind": wind,
            "pressure": (1015 - wind / 2 + random.normal(0, 6, len(storm))).round(),
        }
    )


def cancer() -> pd.DataFrame:
    """Patients with thirty measurements, an index without a name, and names that languages take."""
    data = load_breast_cancer()
    names = ["class", "True", "No", "self", "None", *(str(name) for name in data.feature_names[5:])]
    table = pd.DataFrame(data.data, columns=names)
    table.insert(12, "diagnosis", np.where(data.target == 0, "malignant", "benign"))
    table.insert(0, "Unnamed: 0", np.arange(len(table)))
    return table


def houses(rows: int = 1500) -> pd.DataFrame:
    """A column that nearly never changes, one that nearly always does, and the target in another currency."""
    random = np.random.default_rng(9)
    area, age = random.gamma(6, 20, rows).round(), random.integers(0, 90, rows)
    zone = random.choice(["A", "B", "C"], rows, p=[0.5, 0.3, 0.2])
    price = 2200 * area - 900 * age + 40000 * (zone == "A") + random.normal(0, 45000, rows) + 60000
    return pd.DataFrame(
        {
            "listing": [f"L{number}" for number in random.permutation(10 * rows)[:rows]],
            "area": area,
            "age": age,
            "zone": zone,
            "pool": np.where(np.arange(rows) == 7, 1, 0),
            "country": "NO",
            "plot": (area * random.uniform(1, 5, rows)).round(2),
            "price": price.clip(30000).round(-2),
            "price_usd": (price.clip(30000).round(-2) * 0.0931).round(),
        }
    )


CASES = {
    "penguins": Case(penguins, "species"),
    "rides": Case(rides, "cnt", time="dteday,hr", leaks=frozenset({"casual", "registered"})),
    "air": Case(air, "pm2.5", time="year,month,day,hour", keys="cbwd"),
    "ridership": Case(ridership, "riders", time="date"),
    "orders": Case(
        orders,
        "delivery_days",
        time="ordered_at",
        known="delivered_at",
        keys="customer",
        leaks=frozenset({"transit_hours"}),
    ),
    "devices": Case(devices, "failed", time="measured", keys="device", leaks=frozenset({"repair_cost"})),
    "loans": Case(
        loans, "interest_rate", leaks=frozenset({"loan_amount", "installment"}), harmless=frozenset({"loan_amount"})
    ),
    "storms": Case(storms, "status", time="year,month,day,hour", keys="name", leaks=frozenset({"grade"})),
    "cancer": Case(cancer, "diagnosis"),
    "houses": Case(houses, "price", leaks=frozenset({"price_usd"})),
}
"""Name of a project -> its table."""
