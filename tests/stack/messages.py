"""A table of short messages, some of them unwanted, as a filter of spam learns from."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stack.specification import specs
from stack.specification.specs import ProjectSpec

USUAL = "see you at home later ok sorry call me when work is over how was the day love what time dinner tonight"
UNWANTED = "FREE prize! claim now; call 0900 WINNER cash £1000 urgent reply STOP offer mobile guaranteed"
RARE = [f"word{number}" for number in range(200)]


def messages(count: int = 1500, seed: int = 5) -> pd.DataFrame:
    """Return messages with the share of words that unwanted ones have, and 13 % unwanted."""
    random, usual, unwanted = np.random.default_rng(seed), [*USUAL.split(), *RARE], UNWANTED.split()
    spam = random.uniform(size=count) < 0.13
    share = np.where(spam, random.beta(5, 3, count), random.beta(1, 30, count))
    sizes = random.integers(4, 30, count)
    texts = [
        " ".join(np.where(random.uniform(size=size) < part, random.choice(unwanted, size), random.choice(usual, size)))
        for size, part in zip(sizes, share, strict=True)
    ]
    asked = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(count), unit="h")
    return pd.DataFrame(
        {
            "event_id": [f"m{number}" for number in range(count)],
            "event_timestamp": asked.as_unit("us"),
            "label_available_at": (asked + pd.Timedelta(hours=1)).as_unit("us"),
            "hour": asked.hour.astype("float32"),
            "sender": random.choice(["friend", "shop", "unknown"], count),
            "message": texts,
            "spam": spam.astype("int64"),
        }
    )


def messages_spec(**sections: Any) -> ProjectSpec:
    """Return a project of one file that learns from them."""
    columns = {
        "hour": {"type": "number", "example": 1.0},
        "sender": {"type": "string", "example": "shop"},
        "message": {"type": "text", "example": "see you later", "missing": 0.1},
        "spam": {"type": "integer"},
    }
    raw = {
        "name": "sms",
        "title": "Is it spam?",
        "label": "spam",
        "source": {"path": "data/sms.csv"},
        "columns": columns,
        "training": {"split": "random", "trials": 2},
    }
    return specs.parse(raw | sections, Path("projects/sms/project.yaml"))
