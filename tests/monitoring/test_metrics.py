"""A monitored metric is one row of one table: everything else follows from it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from evidently.ui.workspace import Workspace

from monitoring import drawings, metrics, reports, workspace
from monitoring.comparison import WindowComparison
from monitoring.metrics import MonitoredMetric
from monitoring.rules import History
from stack.kit.drift import Reason
from stack.project import Project

AT = datetime(2013, 3, 15, tzinfo=UTC)
LIMIT = 0.1
"""Of a real metric it stands in the specification's section ``monitoring``."""


def repeated_share(window: WindowComparison) -> float | None:
    columns = list(window.spec.features.columns)
    return float(window.current[columns].duplicated().mean()) if len(window.current) else None


def repeated_rule(history: History) -> Reason:
    value = history.last.measured["repeated"]
    action, windows = history.alarm(lambda window: window.measured.get("repeated", 0) > LIMIT, "notice")
    text = f"repeated: {value:.0%} of the rows, notice above {LIMIT:.0%}{windows}"
    return Reason("repeated", value, LIMIT, action, text)


@pytest.fixture
def repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = MonitoredMetric("repeated", "Repeated rows", measure=repeated_share, rule=repeated_rule)
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, metric))


def test_a_registered_metric_is_in_report_summary_dashboard_and_verdict(home, spec, frame, repeated):
    current = frame()
    current.loc[300:, list(spec.features.columns)] = current.loc[0, list(spec.features.columns)].to_numpy()

    report = reports.run(Project(home, spec), frame(seed=1), current, at=AT, name="r1")

    assert report.window.measured["repeated"] == pytest.approx(0.5, abs=0.01)
    assert "repeated: 50% of the rows, notice above 10%" in report.verdict.summary
    assert (report.verdict.action, report.verdict.reasons[-1].name) == ("notice", "repeated")
    page = report.path.read_text()
    assert "repeated: 50% of the rows" in page and "Repeated rows" in page
    summary = json.loads(report.path.with_suffix(".json").read_text())
    assert summary["figures"]["Repeated rows"] == "50.0%"
    (project,) = Workspace(str(home.reports)).list_projects()
    assert "Repeated rows" in [panel.title for panel in project.dashboard.model().panels]
    run = Workspace(str(home.reports)).get_run(project.id, workspace.snapshot_id(spec, "r1"))
    values = {result.display_name: result.dict().get("value") for result in run.metric_results.values()}
    assert values["Repeated rows"] == report.window.measured["repeated"]


def test_a_registered_metric_counts_in_earlier_windows(home, spec, frame, repeated):
    policy = spec.monitoring.model_copy(update={"breaches": 2, "windows": 2})
    project = Project(home, spec.model_copy(update={"monitoring": policy}))
    columns = list(spec.features.columns)
    current = frame()
    current.loc[300:, columns] = current.loc[0, columns].to_numpy()

    once, twice = (
        reports.run(project, frame(seed=1), current, at=AT + timedelta(days=days), name=f"r{days}").verdict
        for days in (1, 2)
    )

    assert (once.reasons[-1].action, twice.reasons[-1].action) == ("none", "notice")
    assert "in 2 of the last 2 windows (2 needed)" in twice.reasons[-1].text


def test_a_report_of_an_older_release_is_read(home, spec, frame, repeated):
    project = Project(home, spec)
    first = reports.run(project, frame(seed=1), frame(), at=AT, name="r1").path.with_suffix(".json")
    summary = json.loads(first.read_text())
    del summary["measured"], summary["figures"], summary["window"]["growth"]
    first.write_text(json.dumps(summary))

    second = reports.run(project, frame(seed=1), frame(), at=AT + timedelta(days=1), name="r2")

    assert second.verdict.action == "none"
    assert set(summary["window"]) == {
        *("at", "rows", "drift_share", "prediction_drift", "lost", "labelled", "bias", "loss", "samples", "shifts"),
        "retrained",
    }


def test_names_and_titles_are_unique():
    names, titles = ([getattr(metric, key) for metric in metrics.METRICS] for key in ("name", "title"))
    shown = [title for title in titles if title]

    assert len(set(names)) == len(names)
    assert len(set(shown)) == len(shown)


def test_each_drawing_is_of_a_metric():
    assert set(drawings.DRAWINGS) <= {metric.name for metric in metrics.METRICS}


def test_the_coverage_of_intervals_is_monitored(home, spec, frame):
    project = Project(home, spec.model_copy(update={"task": "regression", "interval": 0.8}))
    rows = frame().rename(columns={"probability": "prediction"})
    rows = rows.assign(late=range(600), low=-1.0, high=299.5)

    report = reports.run(project, rows, rows, at=AT, name="r1")

    assert report.window.measured["coverage"] == 0.5
    reason = next(reason for reason in report.verdict.reasons if reason.name == "coverage")
    assert reason.action == "notice"
    assert reason.text == "coverage: 50% of the outcomes are inside their 80% intervals, limit 10% off"
    assert "Outcomes inside their intervals" in report.path.read_text()


def test_without_intervals_no_coverage_is_reported(home, spec, frame):
    report = reports.run(Project(home, spec), frame(seed=1), frame(), at=AT, name="r1")
    assert "coverage" not in {reason.name for reason in report.verdict.reasons}
    (project,) = Workspace(str(home.reports)).list_projects()
    assert drawings.COVERAGE not in [panel.title for panel in project.dashboard.model().panels]
