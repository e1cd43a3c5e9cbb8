"""The page of a project, also while nothing answers; and its charts' data."""

import json
import re
from datetime import UTC, datetime, timedelta

from services.portal import alarms, history, sampler, series
from services.portal.history import History, Sample
from stack.core import migrations
from stack.promotion.decisions import Entry
from tests.polling import eventually
from tests.services.portal.conftest import REPORT


def entry(kind, day, state="done"):
    at = datetime(2013, 3, day, tzinfo=UTC)
    return Entry("7", "6", "better", {}, 1, kind, at, at, state)


def test_the_page_shows_what_it_can_while_services_are_down(reported, portal):
    migrations.upgrade(reported.state_database)
    client = portal(reported)
    page = eventually(lambda: "Features drifting" in (text := client.get("/projects/flights").text) and text)
    assert "champion:" in page and 'hx-confirm="Make the previous version champion?"' in page
    data = json.loads(re.search(r'id="series">(.*?)</script>', page, re.DOTALL)[1])
    assert data["times"] == [datetime(2013, 3, 15, tzinfo=UTC).timestamp()]
    assert client.get("/projects/nothing").status_code == 404
    assert "Prefect at" in eventually(lambda: "Prefect at" in (text := client.get("/projects/flights").text) and text)


def test_versions_say_why_they_are_not_shown(reported, portal):
    page = portal(reported).get("/projects/flights/versions?a=1&b=<b>").text
    assert 'class="problem"' in page and "<b>" not in page


def test_charts_have_the_reports_in_the_order_of_time_and_the_decisions_as_marks():
    older = REPORT | {"at": "2013-03-08T00:00:00+00:00", "drift_share": None, "measured": {"estimated_loss": 0.49}}
    data = series.charts([REPORT, older], [entry("promote", 9), entry("canary", 10), entry("refuse", 11, "void")])
    assert data["times"][0] < data["times"][1]
    lines = {chart["title"]: {line["name"]: line["values"] for line in chart["lines"]} for chart in data["charts"]}
    assert lines["Features drifting"]["Share"] == [None, 0.387]
    assert lines["Log-loss"] == {"Log-loss": [0.5, 0.5], "Estimated": [0.49, None]}
    assert [mark["text"] for mark in data["marks"]] == ["promote 7"]


def test_alarms_are_marked_beside_the_promotions_and_listed_with_them(reported, portal):
    migrations.upgrade(reported.state_database)
    notice, refused = alarms.alarms(reported, "flights", [REPORT])[::-1]
    assert (notice.kind, notice.href) == ("notice", f"/reports/flights/{REPORT['path']}")
    assert (refused.kind, refused.text, refused.href) == ("refused", "912 keys twice", "/docs/flights/validation.html")
    marks = series.charts([REPORT], [entry("promote", 9)], [refused, notice])["marks"]
    assert [(mark["kind"], mark["text"]) for mark in marks] == [
        ("promote", "promote 7"),
        ("alarm", "refused"),
        ("alarm", "notice"),
    ]
    client = portal(reported)
    page = eventually(lambda: "912 keys twice" in (text := client.get("/projects/flights").text) and text)
    assert page.index("Notice: &lt;script&gt;") < page.index("912 keys twice")


def test_the_traffic_of_a_project_has_its_samples_and_gaps_where_there_are_none(home):
    kept, began = History.of(home), history.now().replace(minute=5, second=0)
    for hours, value in ((3, 10.0), (1, 30.0)):
        at = began - timedelta(hours=hours)
        kept.add([Sample(sampler.REQUESTS, name, value) for name in ("flights", "weather")], at)
        kept.add([Sample(sampler.MOST, "flights", 2 * value)], at)
    data = series.traffic(kept.read(history.now(), "flights"), [], [])
    requests, times = data["charts"]
    assert requests["lines"] == [{"name": "Requests", "values": [10.0, None, None, None, 30.0]}]
    assert [line["values"][0] for line in times["lines"]] == [None, 20.0] and len(data["times"]) == 5
    assert series.traffic(kept.read(history.now(), "titanic"), [], [])["charts"] == []


def test_without_reports_there_is_no_chart():
    assert series.charts([], [entry("promote", 9)])["charts"] == []
