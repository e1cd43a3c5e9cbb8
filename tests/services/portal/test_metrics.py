import asyncio
import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from services.portal import history, sampler
from services.portal.cards import Card, ModelSummary
from services.portal.history import History, Sample
from services.portal.measurements import METRICS, Measurement, exposition
from services.portal.pages import metrics
from services.portal.portal import Portal
from stack.core import disk
from tests.polling import eventually
from tests.services.test_measured import values

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def kept(tmp_path):
    return History(tmp_path / "run" / "week.db")


def test_the_portal_measures_stack_and_projects(reported, portal):
    reported.run.mkdir(parents=True, exist_ok=True)
    made = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    (reported.run / "backup.json").write_text(json.dumps({"since": made, "at": made}))
    client = portal(reported)
    client.get("/healthz")
    found = eventually(
        lambda: ("stack_project_drift_share", "flights") in (read := values(client.get("/metrics").text)) and read
    )

    assert found["stack_project_drift_share", "flights"] == 0.387
    assert found["stack_project_performance", "auc", "flights"] == 0.71
    assert found["stack_project_quarantined_batches", "flights"] == 1
    assert found["stack_project_logged_predictions", "flights"] == 0
    assert found["stack_problems",] >= 6 and found["stack_problem", "MLflow does not answer"] == 1
    assert 3600 <= found["stack_backup_age_seconds",] < 3700
    assert found["stack_state_bytes",] > 0 and found["http_requests_total", "200"] >= 1


def test_ages_are_days_of_the_project_s_own_clock(home):
    champion = ModelSummary("1", "run", {}, "2013-02-01T00:00:00+00:00", "", "", "")
    card = Card("p", now=datetime(2013, 3, 1, 12, tzinfo=UTC), champion=champion)
    found = {each.name: each.value for each in metrics.measurements._of_project(home, card)}

    assert found["stack_project_champion_age_days"] == 28.5
    assert "stack_project_data_age_days" not in found


def test_labels_of_titles_are_escaped():
    text = exposition([Measurement("stack_problem", 1, {"title": 'a "b"\\\nc'})]).decode()

    assert values(text) == {("stack_problem", 'a "b"\\\nc'): 1.0}


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"12345")
    (tmp_path / "d").write_bytes(b"12")
    (tmp_path / "loop").symlink_to(tmp_path)

    assert 7 <= disk.size(tmp_path) < 7 + 200 and disk.size(tmp_path / "none") == 0


def test_what_is_drawn_is_measured():
    assert set(sampler.DRAWN) <= set(METRICS)
    assert all(label or name in sampler.NAMES for name, (_, label, _) in sampler.DRAWN.items())


def test_samples_are_kept_for_a_week_and_survive_a_restart(kept, tmp_path):
    for days, value in ((8, 1.0), (1, 2.0), (0, 4.0)):
        kept.add([Sample("Problems", "problems", value)], NOW - timedelta(days=days))

    (series,) = History(tmp_path / "run" / "week.db").read(NOW)
    assert (series.least, series.most, series.last, len(series.points)) == (2.0, 4.0, 4.0, 2)
    assert sqlite3.connect(tmp_path / "run" / "week.db").execute("SELECT count(*) FROM samples").fetchone() == (2,)


def test_after_a_clock_that_was_ahead_samples_go_on(kept):
    kept.add([Sample("Problems", "problems", 9.0)], NOW + timedelta(days=300))
    kept.add([Sample("Problems", "problems", 1.0)], NOW)

    assert [series.most for series in kept.read(NOW)] == [1.0]


def test_a_damaged_file_is_begun_anew(kept, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "week.db").write_bytes(b"no database" * 500)
    assert kept.read(NOW) == []

    kept.add([Sample("Problems", "problems", 1.0)], NOW)
    assert len(kept.read(NOW)) == 1


def counters(answers, quick, slow):
    lines = [f'prediction_requests_total{{project="{name}",status="200"}} {count}' for name, count in answers.items()]
    bounds = {"0.01": quick, "0.1": quick + slow, "+Inf": quick + slow}
    lines += [f'prediction_request_seconds_bucket{{project="p",le="{bound}"}} {n}' for bound, n in bounds.items()]
    kinds = "# TYPE prediction_requests counter\n{}\n# TYPE prediction_request_seconds histogram\n{}\n"
    return sampler.Requests(kinds.format("\n".join(lines[: len(answers)]), "\n".join(lines[len(answers) :])))


def test_rate_and_time_are_of_the_last_ten_minutes():
    before, after = counters({"p": 100, "q": 50}, 1000, 0), counters({"p": 400, "q": 350}, 1000, 600)
    samples = [*after.since(before)]
    found = {sample.name: sample.value for sample in samples if sample.title in (sampler.RATE, sampler.LATENCY)}
    of_p = {sample.title: sample.value for sample in samples if sample.name == "p"}

    assert found["a second"] == 1.0
    assert found["half below"] == pytest.approx(55) and found["99 % below"] == pytest.approx(99.1)
    assert of_p[sampler.REQUESTS] == 30 and of_p[sampler.HALF] == pytest.approx(55)


def test_after_a_restart_of_the_service_and_without_requests_nothing_is_made_up():
    many = counters({"p": 100}, 10, 0)

    assert [*counters({"p": 5}, 1, 0).since(many)] == [] == [*many.since(None)]
    assert [sample.value for sample in many.since(many)] == [0.0, 0.0]


def test_services_that_do_not_answer_are_left_out(home):
    own = Portal.of(home)
    texts = asyncio.run(sampler.metrics(own))

    assert set(texts) == {"portal"}
    assert [(each.title, each.name) for each in sampler.memory(texts)] == [(sampler.MEMORY, "portal")]


def test_a_sample_has_what_can_be_measured_while_no_service_runs(reported):
    async def once():
        own = Portal.of(reported)
        try:
            return await sampler.sample(own, None)
        finally:
            await own.client.aclose()

    found, requests = asyncio.run(once())
    titles = {(each.title, each.name): each.value for each in found}
    assert requests is None and titles["Drifting features, %", "flights"] == pytest.approx(38.7)
    assert titles["Disk, GiB", "free"] > 0 and titles[sampler.MEMORY, "portal"] > 10
    assert titles["Problems", "problems"] >= 6


def test_the_page_draws_each_series_and_breaks_the_line_where_samples_are_missing(home, portal):
    now = history.now()
    for hours in (60, 59, 2, 1, 0):
        kept = [Sample("Problems", "<b>", float(hours)), Sample("Memory, MiB", "portal", 70.0)]
        History.of(home).add(kept, now - timedelta(hours=hours))
    page = portal(home).get("/metrics/week").text

    assert page.count("<svg") == 2 and "&lt;b&gt;" in page and "style=" not in page
    assert re.search(r'data-name="now">0<.*\n.*data-name="least">0<.*\n.*data-name="most">60<', page)
    path = metrics.sparkline([(now.timestamp() - 90_000 + 1800 * step, step) for step in (0, 1, 40, 41)], now)
    assert (path.count("M"), path.count("L")) == (2, 2)


def test_before_the_first_sample_the_page_says_so(home, portal):
    assert "No sample yet" in portal(home).get("/metrics/week").text
