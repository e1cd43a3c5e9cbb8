"""Features of pushed rows are online before the lake has the rows, as the ingest gives them later, and offline."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from stack.core import wall_clock
from stack.features import feature_tables, features
from stack.features.online import OnlineFeatures
from stack.features.pushed import OnlineRows
from stack.project import Project
from stack.sources import push
from tests.stack.sources.test_push import ingest, row
from tests.stack.sources.test_push import pushed as pushed  # the fixture

TICK = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
ASKED = [{"shop_id": shop, "price": 9.5, "promo": True, "weather": "rain"} for shop in (1, 2, 3)]


@pytest.fixture
def project(pushed, monkeypatch) -> Project:
    monkeypatch.setattr(wall_clock, "observe", lambda _: wall_clock.Observation(now[0], now[0]))
    now[0] = TICK - timedelta(hours=3)
    project = pushed(by_hour=True)
    features.apply_alone(project)
    return project


now = [TICK]


def serve(project: Project, since: datetime, until: datetime) -> None:
    """Do what the flow does."""
    ingest(project, since, until)
    since = min(since, feature_tables.served_until(project))
    features.update(project, since, until)
    features.materialise(project, since, until)
    feature_tables.mark_served(project, until)


def online(project: Project, at: datetime) -> pd.DataFrame:
    asked = [request | {"sold_at": at} for request in ASKED]
    return pd.DataFrame(OnlineFeatures(project).read(asked, at).columns)


def offline(project: Project, at: datetime) -> pd.DataFrame:
    events = pd.DataFrame(ASKED).assign(sold_at=pd.Timestamp(at), event_timestamp=pd.Timestamp(at))
    return features.training_set(project, events)[[*project.spec.features.columns]]


def test_online_now_as_after_the_ingest_and_offline(project):
    push.keep(project.settings, "declared", [row(number, shop_id=number % 3) for number in range(30)])
    now[0] = first = TICK - timedelta(minutes=30)
    serve(project, project.spec.clock.start, first)
    rows = OnlineRows(project)
    assert rows.update(now[0]) == 0, "nothing has come"

    now[0] = TICK - timedelta(minutes=10)
    wrong = row(77, shop_id=1, price=1e6)  # taken out by the checks of the batch
    new = [row(40 + number, shop_id=1 + number % 3, units=float(number)) for number in range(30)]
    push.keep(project.settings, "declared", [*new, wrong, row(1, shop_id=1, units=49.0)])
    at = now[0] = TICK + timedelta(seconds=5)
    before = online(project, at)
    assert rows.update(at) > 0 and rows.update(at) == 0
    early = online(project, at)
    assert not early.equals(before)
    serve(project, first, at)
    pd.testing.assert_frame_equal(online(project, at), early)
    pd.testing.assert_frame_equal(offline(project, at), early, check_dtype=False, check_column_type=False)


def test_what_an_ingest_writes_over_is_written_again(project):
    push.keep(project.settings, "declared", [row(1, shop_id=1)])
    now[0] = first = TICK - timedelta(minutes=90)
    serve(project, project.spec.clock.start, first)
    rows = OnlineRows(project)
    now[0] = TICK - timedelta(minutes=70)
    push.keep(project.settings, "declared", [row(2, shop_id=1)])
    now[0] = second = TICK - timedelta(minutes=50)
    assert rows.update(second) == 1
    push.keep(project.settings, "declared", [row(3, shop_id=1)])
    now[0] = TICK + timedelta(seconds=1)
    assert rows.update(now[0]) > 0
    early = online(project, now[0])
    serve(project, first, second)
    assert not online(project, now[0]).equals(early)
    assert rows.update(now[0]) > 0
    pd.testing.assert_frame_equal(online(project, now[0]), early)


def test_a_batch_that_would_be_refused_is_not_brought_online(project):
    push.keep(project.settings, "declared", [row(1, shop_id=1)])
    now[0] = first = TICK - timedelta(minutes=90)
    serve(project, project.spec.clock.start, first)
    push.keep(project.settings, "declared", [row(number, price=1e6) for number in range(2, 12)])
    assert OnlineRows(project).update(TICK) == 0
