"""The page of a replayed period, from the figures of a replay."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from monitoring.replay import page as replay_page
from monitoring.replay.period import KINDS, Period, Requests
from stack.core.pages import REPLAY
from stack.promotion.decisions import Entry, Live
from stack.specification.specs import ProjectSpec
from tests.browser.chromium import DESKTOP, EXECUTABLE, PHONE, assert_sound, chromium, look

START = datetime(2013, 3, 1, tzinfo=UTC)
END = START + timedelta(days=70)
METRICS = {"log_loss": 0.5, "auc": 0.75, "brier": 0.16, "bias": 0.01, "accuracy": 0.8}


@pytest.fixture
def period(spec) -> Period:
    return ten_weeks(spec)


def ten_weeks(spec: ProjectSpec) -> Period:
    """Ten weeks with a promotion, a refusal, a rollback and a canary; the fifth week has no labels."""
    rising = np.linspace(0, 0.05, 10)
    columns = {
        f"{kind}.{name}": value + rising * at for at, kind in enumerate(KINDS) for name, value in METRICS.items()
    }
    weeks = pd.DataFrame({"since": [START + timedelta(days=7 * at) for at in range(10)], "rows": 700, **columns})
    weeks.loc[4, [name for name in weeks if "." in name]] = None
    kinds = (("promote", 0), ("promote", 21), ("refuse", 35), ("rollback", 49), ("canary", 56), ("withdraw", 63))
    decisions = [
        Entry(str(number), None, f"because of <{kind}>", {}, number, kind, at, at, "done")
        for number, (kind, days) in enumerate(kinds, 1)
        for at in [START + timedelta(days=days)]
    ]
    spans = [
        Live("1", START, decisions[1].at, ""),
        Live("2", decisions[1].at, decisions[3].at, ""),
        Live("1", decisions[3].at, None, ""),
    ]
    reviews = [
        {
            "at": (START + timedelta(days=7 * at)).isoformat(),
            "path": f"r{at}.html",
            "rows": 1400,
            "drift_share": None if at == 5 else at / 10,
            "window": {"bias": None if at == 5 else 0.01 * at},
            "verdict": {"action": ("none", "notice", "retrain")[at % 3], "summary": f"verdict {at}"},
        }
        for at in range(1, 11)
    ]
    totals = {kind: dict(METRICS) for kind in KINDS}
    return Period(spec, START, END, weeks, totals, reviews, decisions, spans, Requests(7010, 7000, 1, 10, 6990))


def test_the_page_shows_the_figures_and_every_decision(period):
    page = replay_page.html(period)

    assert period.retrainings == 4
    for text in ("7,010", "0.5000", "because of &lt;withdraw&gt;", "verdict 7", "Log-loss by week", "AUC by week"):
        assert text in page


def test_the_page_needs_nothing_else(period):
    page = replay_page.html(period)

    names = re.compile(r'xmlns(:\w+)?="[^"]*"|<!DOCTYPE[^>]*>|rdf:resource="[^"]*"')
    assert "<script" not in page
    assert not re.findall(r"https?://", names.sub("", page))
    assert len(page) < 300_000


@pytest.mark.browser
@pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"needs {EXECUTABLE}")
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_browser_shows_it_and_asks_nobody(period, tmp_path, size):
    page = tmp_path / REPLAY
    page.write_text(replay_page.html(period))

    with chromium() as browser:
        seen = look(
            browser, page.as_uri(), shows="Log-loss by week", size=size, screenshot=tmp_path / "year.png", settle=0
        )

    assert_sound(seen)
    assert "Audit" in seen.text
    assert seen.width <= size[0]
