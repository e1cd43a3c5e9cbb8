"""Customers of a Dutch insurer (COIL 2000): one row each, as the PyPI package ``ISLP`` carries them."""

from datetime import datetime

import pandas as pd

from stack.kit import packaged

ABOUT = ["MOSTYPE", "MRELGE", "MOPLHOOG", "MOPLLAAG", "MBERMIDD", "MHKOOP", "MAUT1", "MINKGEM", "MKOOPKLA"]
"""The neighbourhood."""
POLICIES = ["PWAPART", "PPERSAUT", "APERSAUT", "PBRAND", "PPLEZIER", "PFIETS", "PBYSTAND"]
"""What the customer has: contributions in classes, and the number of car policies."""
REQUEST = [*ABOUT, *POLICIES]


def fetch(since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Return the whole table, whatever the window: the stack keeps what is new in it.

    ``customers``: ``customer`` (position in the file), 85 columns of which 16 are used, and ``Purchase`` (No or Yes).
    """
    raw = pd.read_csv(packaged.file("ISLP", "data/Caravan.csv"))
    return {"customers": raw.assign(customer=raw.index + 1)}
