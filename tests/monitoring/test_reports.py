import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import evidently
import evidently.metrics
import numpy as np
import pandas as pd
import pytest
from evidently.ui.workspace import Workspace

from monitoring import pages, reports, workspace
from monitoring.comparison import CATEGORY_METHODS
from stack.core.errors import StackError
from stack.project import Project

AT = datetime(2013, 3, 15, tzinfo=UTC)
CUTOFF = AT - timedelta(days=15)


def test_a_drifted_column_is_found_and_a_calm_one_is_not(home, spec, frame):
    report = reports.run(Project(home, spec), frame(seed=1), frame(shift=2.0), at=AT, name="r1", cutoff=CUTOFF)

    assert report.drifted == ("moved",)
    assert report.drift["moved"] > report.drift_limit == 0.2 > report.drift["calm"]
    assert report.window.drift_share == pytest.approx(1 / 3)
    assert report.prediction_drift < 0.2
    assert report.verdict.action == "notice"
    assert report.performance["rows"] == 600
    assert abs(report.performance["bias"]) < 0.04


def test_of_a_text_the_length_is_compared(home, spec, frame):
    text = spec.features.model_copy(update={"columns": {"calm": "number", "note": "text"}})
    spec, texts = (
        spec.model_copy(update={"features": text}),
        np.array(["a b c", "free", "\N{GRINNING FACE} x"] * 200, object),
    )
    calm, longer = (frame().assign(note=notes) for notes in (texts, texts + " and more of it"))
    drift = [
        reports.run(
            Project(home, spec), frame(seed=1).assign(note=texts), current, at=AT, name=name, cutoff=CUTOFF
        ).drift
        for name, current in (("r1", calm), ("r2", longer))
    ]
    assert drift[0]["note"] < 0.2 < drift[1]["note"]


def test_no_drift_gives_no_notice(home, spec, frame):
    report = reports.run(Project(home, spec), frame(seed=1), frame(), at=AT, name="r1", cutoff=CUTOFF)

    assert report.drifted == ()
    assert report.verdict.action == "none"


@pytest.mark.parametrize("method", ["psi", "ks", "wasserstein", "jensenshannon"])
def test_every_method_of_the_specification_gives_the_scores_that_evidently_gives(home, spec, frame, method):
    threshold = {"ks": 1e-6}.get(method, 0.3)
    policy = spec.monitoring.model_copy(update={"method": method, "threshold": threshold})
    spec, reference, current = spec.model_copy(update={"monitoring": policy}), frame(seed=1), frame(shift=2.0)

    report = reports.run(Project(home, spec), reference, current, at=AT, name="r1")

    assert report.drifted == ("moved",)
    methods = dict.fromkeys(["calm", "moved"], method) | {"origin_id": CATEGORY_METHODS[method]}
    alone = evidently.Report(
        [evidently.metrics.ValueDrift(column=column, method=test) for column, test in methods.items()]
    )
    expected = alone.run(evidently.Dataset.from_pandas(current), evidently.Dataset.from_pandas(reference)).dict()
    assert report.drift == pytest.approx(
        {metric["config"]["column"]: metric["value"] for metric in expected["metrics"]}
    )


def test_too_few_rows_decide_nothing_and_say_so(home, spec, frame):
    report = reports.run(Project(home, spec), frame(seed=1), frame(rows=49, shift=9.0), at=AT, name="r1", cutoff=CUTOFF)

    assert (report.window.drift_share, report.drifted, report.performance) == (None, (), None)
    assert (report.verdict.action, report.verdict.decided) == ("none", False)
    assert report.verdict.summary == "Undecided; drift: 49 rows, too few to say (at least 50 needed)"
    page = report.path.read_text()
    assert report.verdict.summary in page and pages.UNDECIDED in page and pages.COLOURS["none"] not in page


def test_a_shift_of_few_rows_is_told_from_chance_column_by_column(home, spec, frame):
    few = spec.model_copy(update={"monitoring": spec.monitoring.model_copy(update={"min_rows": 1000})})
    calm, shifted = frame(rows=199), frame(rows=199, shift=1.0)
    lost = calm.assign(origin_id=calm["origin_id"].where(calm.index % 3 > 0))
    others = calm.assign(origin_id=calm["origin_id"].where(calm.index % 5 > 0, "BOS"))

    verdicts = [
        reports.run(Project(home, few), frame(seed=1), rows, at=AT, name=f"r{number}", cutoff=CUTOFF).verdict
        for number, rows in enumerate((calm, shifted, lost, others))
    ]

    assert [verdict.action for verdict in verdicts] == ["none", "notice", "notice", "notice"]
    assert verdicts[0].decided
    assert verdicts[1].summary == "Notice: drift: moved in 199 rows (1 of 3 columns)"
    assert "missing: origin_id lost values" in verdicts[2].summary
    assert "origin_id in 199 rows" in verdicts[3].summary


def test_a_score_that_chance_explains_is_no_drift(home, spec, frame):
    policy = spec.monitoring.model_copy(update={"min_rows": 60, "max_drift_share": 0.1})
    noisy = spec.model_copy(update={"monitoring": policy})

    def drifted(shift: float, seed: int) -> tuple[str, ...]:
        rows = frame(rows=60, shift=shift, seed=seed)
        return reports.run(Project(home, noisy), frame(seed=99), rows, at=AT, name="r1").drifted

    by_psi = [drifted(0.0, seed) for seed in range(5)]
    assert by_psi == [()] * 5
    assert drifted(1.0, 0) == ("moved",)


def test_the_rows_of_another_origin_are_told_apart(home, spec, frame):
    snapshot = {"tables": {"rows": spec.tables["rows"].model_copy(update={"snapshot": True})}}
    timeless = Project(home, spec.model_copy(update=snapshot))
    requests, new = frame(rows=600), frame(rows=300, shift=2.0)
    requests.attrs, new.attrs = {"origin": "requests"}, {"origin": "new rows"}

    told = reports.run(timeless, frame(seed=1), requests, other=new, at=AT, name="r1")
    turned = reports.run(timeless, frame(seed=1), new, other=requests.iloc[:20], at=AT, name="r2")

    assert told.verdict.summary == "Notice: drift: no column in 600 requests; moved in 300 new rows (1 of 3 columns)"
    assert turned.verdict.summary == (
        "Notice: drift: moved in 300 new rows (1 of 3 columns); 20 requests, too few to say (at least 50 needed)"
    )


def test_a_champion_is_not_judged_on_rows_that_it_was_trained_on(home, spec, frame):
    rows = frame()
    rows.attrs = {"origin": "new rows", "new": 0, "trained_on": 600}

    report = reports.run(Project(home, spec), frame(seed=1), rows.assign(late=np.nan), at=AT, name="r1")

    assert (report.performance, report.drifted, report.verdict.decided) == (None, (), False)
    texts = {reason.name: reason.text for reason in report.verdict.reasons}
    assert texts["drift"] == "drift: 0 new rows, too few to say (at least 50 needed)"
    assert texts["performance"] == (
        "performance: 0 labelled rows, too few to say (at least 50 needed); 600 others are left out, as the champion "
        "was trained on them"
    )


def test_an_empty_window_is_reported(home, spec, frame):
    report = reports.run(Project(home, spec), frame(seed=1), frame(rows=1).iloc[:0], at=AT, name="r1", cutoff=CUTOFF)

    assert (report.window.rows, report.dashboard, report.performance) == (0, "", None)
    assert "too few to say" in report.path.read_text()


def test_evidently_is_imported_for_a_window_with_rows_alone():
    code = "import sys, monitoring.review; print('evidently' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_a_calibration_gap_retrains_once_the_labels_suffice(home, spec, frame):
    gap = frame(bias=0.2)
    late = gap.assign(late=gap["late"].where(gap.index < 250))

    enough = reports.run(Project(home, spec), frame(seed=1), gap, at=AT, name="r1", cutoff=CUTOFF)
    too_few = reports.run(Project(home, spec), frame(seed=1), late, at=AT, name="r2", cutoff=CUTOFF)
    after_promotion = reports.run(
        Project(home, spec), frame(seed=1), gap, at=AT, name="r3", cutoff=AT - timedelta(days=1)
    )

    assert enough.verdict.retrain
    assert not too_few.verdict.retrain
    assert not after_promotion.verdict.retrain


def test_an_old_champion_is_retrained_when_its_data_have_grown(home, spec, frame):
    policy = spec.monitoring.model_copy(update={"max_age": AT - CUTOFF, "min_growth": 0.2})
    project = Project(home, spec.model_copy(update={"monitoring": policy}))

    verdicts = [
        reports.run(project, frame(seed=1), frame(), at=AT, name=name, cutoff=CUTOFF, growth=growth).verdict
        for name, growth in (("r1", 0.19), ("r2", 0.21))
    ]

    assert [verdict.retrain for verdict in verdicts] == [False, True]


def test_a_lost_feed_gives_notice_and_no_error(home, spec, frame):
    report = reports.run(
        Project(home, spec), frame(seed=1), frame().assign(calm=np.nan), at=AT, name="r1", cutoff=CUTOFF
    )

    assert report.window.lost == ("calm",)
    assert "calm" in report.drifted
    assert report.verdict.action == "notice"
    assert report.window.measured["missing"] == pytest.approx(1 / 3)


def test_predictions_and_labels_may_be_absent(home, spec, frame):
    columns = list(spec.features.columns)

    report = reports.run(Project(home, spec), frame(seed=1)[columns], frame()[columns], at=AT, name="r1", cutoff=CUTOFF)

    assert (report.prediction_drift, report.performance) == (None, None)
    assert report.window.drift_share == 0


def test_a_missing_feature_column_is_named(home, spec, frame):
    with pytest.raises(StackError, match="no column calm"):
        reports.run(Project(home, spec), frame(), frame().drop(columns="calm"), at=AT, name="r1")


def test_a_name_that_leaves_the_folder_is_refused(home, spec, frame):
    with pytest.raises(StackError, match="report name"):
        reports.run(Project(home, spec), frame(), frame(), at=AT, name="../r1")


def test_reports_are_kept_once_a_name_and_for_the_days_of_the_settings(home, spec, frame):
    old, new = AT, AT + timedelta(days=31)
    for at, name in ((old, "r1"), (old, "r1"), (old + timedelta(days=25), "r2"), (new, "r3")):
        report = reports.run(Project(home, spec), frame(seed=1), frame(), at=at, name=name)

    kept = Workspace(str(home.reports)).list_runs(workspace.project_id(spec))
    assert {workspace.snapshot_id(spec, "r2"), workspace.snapshot_id(spec, "r3")} == set(kept)
    assert sorted(path.name for path in report.path.parent.iterdir()) == ["r2.html", "r2.json", "r3.html", "r3.json"]
    assert sorted(path.name for path in home.reports.iterdir()) == [".lock", str(workspace.project_id(spec))]


def test_what_every_page_repeats_is_kept_once(home, spec, frame, monkeypatch):
    monkeypatch.setattr(reports, "SNAPSHOTS", 2)
    paths = [
        reports.run(Project(home, spec), frame(seed=1), frame(), at=AT, name=name).path for name in ("r1", "r2", "r3")
    ]
    [library] = (home.pages / "assets").iterdir()

    assert library.stat().st_size > 1_000_000
    for page in paths:
        assert f'src="../assets/{library.name}"' in page.read_text()
        assert page.stat().st_size < 2_000_000
    kept = Workspace(str(home.reports)).list_runs(workspace.project_id(spec))
    assert {workspace.snapshot_id(spec, "r2"), workspace.snapshot_id(spec, "r3")} == set(kept)


def test_evidently_reads_the_project_its_dashboard_and_the_verdict(home, spec, frame):
    reports.run(Project(home, spec), frame(seed=1), frame(shift=2.0), at=AT, name="r1")
    reports.run(Project(home, spec), frame(seed=1), frame(shift=2.0), at=AT, name="r2")

    read = Workspace(str(home.reports))
    (project,) = read.list_projects()
    run = read.get_run(project.id, workspace.snapshot_id(spec, "r1"))
    titles = [panel.title for panel in project.dashboard.model().panels]

    assert (project.name, project.description) == ("tiny", "Is it late?")
    assert len(titles) == len(set(titles)) > 5
    assert run.tags == ["notice"]
    assert run.metadata["verdict"].startswith("Notice: drift: 33%")


def test_the_page_holds_the_verdict_and_the_summary_is_json(home, spec, frame):
    report = reports.run(Project(home, spec), frame(seed=1), frame(shift=2.0), at=AT, name="r1")

    summary = json.loads(report.path.with_suffix(".json").read_text())

    assert summary["verdict"]["action"] == "notice"
    assert summary["performance"]["rows"] == 600
    assert 'id="verdict"' in report.path.read_text()


def of_task(spec, task: str, classes: list[str]):
    return type(spec).model_validate(spec.model_dump() | {"task": task, "classes": classes})


def answers(frame, task: str, off: float = 0.0):
    """Answer the rows of a binary frame as another task would, `off` above the truth."""
    truth = frame["probability"]
    frame = frame.drop(columns=["probability", "late"])
    if task == "regression":
        return frame.assign(prediction=100 * (truth + off), late=100 * truth + np.where(frame.index % 2, 1, -1))
    first = np.clip(0.5 + off, 0, 0.9)
    labels = np.arange(len(frame)) % 4 // 2 * (1 + np.arange(len(frame)) % 2)
    return frame.assign(
        probability_a=first, probability_b=(1 - first) / 2, probability_c=(1 - first) / 2, late=labels.astype(float)
    )


@pytest.mark.parametrize(
    ("task", "classes", "headline", "limit"),
    [
        ("multiclass", ["a", "b", "c"], ("log_loss", "accuracy", "auc", "bias"), 0.1),
        ("regression", [], ("rmse", "r2", "mae", "bias"), 10),
    ],
)
def test_every_task_is_reported(home, spec, frame, task, classes, headline, limit):
    spec = of_task(spec, task, classes)
    policy = spec.monitoring.model_copy(update={"max_bias": limit})
    spec = spec.model_copy(update={"monitoring": policy})
    reference, sound, off = (answers(frame(seed=seed), task, by) for seed, by in ((1, 0), (0, 0), (0, 0.3)))

    quiet = reports.run(Project(home, spec), reference, sound, at=AT, name="r1", cutoff=CUTOFF)
    alarm = reports.run(Project(home, spec), reference, off, at=AT, name="r2", cutoff=CUTOFF)

    assert quiet.headline == headline
    assert all(quiet.performance[name] is not None for name in headline)
    assert (quiet.verdict.action, alarm.verdict.action) == ("none", "retrain")
    assert alarm.prediction_drift > 0.2 > quiet.prediction_drift
    assert alarm.performance["bias"] == pytest.approx(quiet.performance["bias"] + (30 if task == "regression" else 0.3))
    assert "Reliability" in alarm.path.read_text()


def test_the_age_of_the_features_is_reported(home, spec, frame):
    current = frame()
    old = current["event_timestamp"].dt.tz_convert("UTC") - pd.Timedelta(minutes=50)

    report = reports.run(Project(home, spec), frame(seed=1), current.assign(features_at=old), at=AT, name="r1")

    assert report.window.measured["feature_age"] == pytest.approx(50)
    assert report.path.read_text().count("Age of the features, minutes") > 0


def test_a_retraining_that_came_to_nothing_is_no_reason_to_wait(home, spec, frame):
    old, day = AT - timedelta(days=61), timedelta(days=1)
    first = reports.run(Project(home, spec), frame(seed=1), frame(rows=50), at=AT, name="r1", cutoff=old, trained=old)
    lost = reports.run(
        Project(home, spec), frame(seed=1), frame(rows=50), at=AT + day, name="r2", cutoff=old, trained=old
    )
    came = reports.run(
        Project(home, spec), frame(seed=1), frame(rows=50), at=AT + 2 * day, name="r3", cutoff=old, trained=AT + day
    )

    assert [report.verdict.action for report in (first, lost, came)] == ["retrain", "retrain", "notice"]
