"""The prediction service in a process of its own, with a model trained on eleven real days."""

import asyncio
import json
import math
import signal
import threading
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import httpx
import pandas as pd
import psutil
import pytest

from bench.load import load
from stack.project import Project
from stack.specification import specs
from tests.polling import PATIENCE_SECONDS, eventually
from tests.services.conftest import NOW, get, post
from tests.services.prediction.conftest import ROW, another, logged, promote, readiness

pytestmark = pytest.mark.services


def test_before_there_is_a_champion_the_service_says_what_to_do(home, no_champion, url):
    answer = post(url, {"rows": [ROW]})
    assert answer.status_code == 503
    assert answer.json() == {"error": "flights has no champion yet", "todo": "make train PROJECT=flights"}
    assert answer.headers["retry-after"]
    assert get(f"{home.prediction_url}/readyz").status_code == 200
    nothing = dict.fromkeys(["champion", "canary", "shadow", "previous", "since"])
    assert readiness(home) == nothing | {"problem": ""}


def test_an_answer_is_complete_and_in_the_log(home, spec, url, champion):
    (answer,) = post(url, {"rows": [ROW]}).json()
    assert 0 < answer["probability"] < 1
    assert answer["decision"] == (answer["probability"] >= spec.threshold)
    assert answer["model_version"] == champion
    assert answer["warnings"] == []
    assert UUID(answer["prediction_id"]).version == 7
    assert NOW - timedelta(hours=3) < datetime.fromisoformat(answer["features_at"]) <= NOW
    row = logged(home, spec).loc[answer["prediction_id"]]
    assert row["event_timestamp"] == NOW
    assert row["probability"] == answer["probability"]
    assert (row["carrier"], row["carrier_id"], row["dep_minute"]) == ("UA", "UA", 720)
    assert row[list(spec.features.columns)].notna().all()


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_reasons_add_up_to_the_answer_and_are_in_the_log(home, spec, url, champion):
    body = {"rows": [ROW, ROW | {"dest": "ZZZ"}], "explain": True}
    answers = post(url, body).json()
    log = Project(home, spec).log.reasons(NOW - timedelta(days=1), NOW)
    for answer in answers:
        why = answer["reasons"]
        total = why["base"] + sum(why["contributions"].values())
        assert total == pytest.approx(log_odds(answer["probability"]), abs=1e-6)
        assert why["unit"] == "log-odds" and set(why["contributions"]) == set(spec.features.columns)
        sizes = [abs(value) for value in why["contributions"].values()]
        assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0
        assert log[answer["prediction_id"]] == why
    assert [answer["reasons"] for answer in post(url, body).json()] == [answer["reasons"] for answer in answers]
    (plain,) = post(url, {"rows": [ROW]}).json()
    assert "reasons" not in plain and plain["prediction_id"] not in log
    assert plain["probability"] == answers[0]["probability"]


def test_a_row_with_an_id_and_an_instant_of_its_own_is_logged_once_at_that_instant(home, spec, url, champion):
    own, asked_at = str(uuid4()), NOW - timedelta(minutes=20)
    row = ROW | {"prediction_id": own, "asked_at": asked_at.isoformat()}
    later = ROW | {"asked_at": (NOW + timedelta(hours=1)).isoformat()}
    first, capped = post(url, {"rows": [row, later]}).json()
    again = post(url, {"rows": [row]}).json()[0]
    log = logged(home, spec)
    assert first["prediction_id"] == again["prediction_id"] == own
    assert log.loc[own, "event_timestamp"] == asked_at
    # The store holds the values of NOW only, and those are of this row's future.
    assert pd.isna(log.loc[own, "features_at"])
    assert pd.isna(log.loc[own, "temp"])
    assert log.loc[capped["prediction_id"], "event_timestamp"] == NOW


def test_many_rows_are_answered_in_their_order(home, spec, url, champion):
    rows = [ROW | {"dest": dest} for dest in ("ORD", "LAX", "ATL", "SFO") for _ in range(250)]
    answers = post(url, {"rows": rows}).json()
    log = logged(home, spec).loc[[answer["prediction_id"] for answer in answers]]
    assert log["dest"].tolist() == [row["dest"] for row in rows]
    assert log["probability"].tolist() == [answer["probability"] for answer in answers]
    assert log["probability"].nunique() == 4


def test_one_row_and_a_batch_give_the_same_probability(url, champion):
    rows = [ROW | {"dest": dest} for dest in ("ORD", "LAX", "ATL")]
    together = [answer["probability"] for answer in post(url, {"rows": rows}).json()]
    assert together == [post(url, {"rows": [row]}).json()[0]["probability"] for row in rows]


def test_unknown_values_are_answered_with_a_warning(url, champion):
    (answer,) = post(url, {"rows": [ROW | {"carrier": "ZZ", "origin": "XXX"}]}).json()
    assert 0 < answer["probability"] < 1
    assert "origin: 'XXX' is not among the 3 values seen in training" in answer["warnings"]
    assert any("ZZ" in warning for warning in answer["warnings"])


WRONG = [
    ({"rows": [ROW | {"origin": "ewr"}]}, 400, ["rows", 0, "origin"]),
    ({"rows": [ROW, ROW | {"sched_dep": "2013-01-12T12:00:00"}]}, 400, ["rows", 1, "sched_dep"]),
    ({"rows": [{}]}, 400, ["rows", 0, "carrier"]),
    ({"rows": []}, 400, ["rows"]),
    ({"rows": [ROW] * 1001}, 400, ["rows"]),
    ({"rows": [ROW] * 51, "explain": True}, 400, ["rows"]),
    ({"rows": [ROW], "explain": "yes"}, 400, ["explain"]),
    (ROW, 400, ["rows"]),
]


@pytest.mark.parametrize(("body", "status", "place"), WRONG)
def test_a_wrong_request_is_refused_with_its_place(url, champion, body, status, place):
    answer = post(url, body)
    assert answer.status_code == status
    error = answer.json()["detail"][0]
    assert error["loc"] == place
    assert error["msg"].startswith("found ")
    assert ", expected " in error["msg"]


def test_a_body_is_json_whatever_it_calls_itself(url, champion):
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        body = json.dumps({"rows": [ROW]})
        assert (
            httpx.post(
                url, content=body, headers={"content-type": kind}, timeout=PATIENCE_SECONDS, trust_env=False
            ).status_code
            == 200
        )
    pickled = httpx.post(
        url,
        content=b"x",
        headers={"content-type": "application/vnd.bentoml+pickle"},
        timeout=PATIENCE_SECONDS,
        trust_env=False,
    )
    assert pickled.status_code == 415


def test_a_huge_body_is_refused_unread(url, champion):
    assert httpx.post(url, content=b" " * 5_000_000, timeout=PATIENCE_SECONDS, trust_env=False).status_code == 413


def test_a_huge_body_in_chunks_is_refused_and_not_held(url, champion, prediction):
    process = psutil.Process(prediction.process.pid)
    before = process.memory_info().rss
    chunks = (b" " * 100_000 for _ in range(600))
    assert httpx.post(url, content=chunks, trust_env=False, timeout=PATIENCE_SECONDS).status_code == 413
    assert process.memory_info().rss - before < 30_000_000


def test_an_unknown_project_is_answered_with_the_known_ones(home, url):
    answer = post(url.replace("flights", "flihgts"), {})
    assert answer.status_code == 404
    assert answer.json() == {"error": "no project 'flihgts', did you mean 'flights'?", "projects": specs.names()}


def test_the_documents_describe_the_request(home, url):
    document = get(f"{home.prediction_url}/docs.json").json()
    operation = document["paths"]["/flights/predict"]["post"]
    assert set(operation["responses"]) == {"200", "400", "401", "403", "404", "409", "413", "415", "500", "503", "504"}
    assert {f"/{name}/{verb}" for name in specs.names() for verb in ("predict", "feedback")} == set(document["paths"])
    assert document["components"]["schemas"]["FlightsRow"]["properties"]["dest"]["examples"] == ["ORD"]
    assert "http" not in json.dumps(document["info"])


def test_the_page_loads_nothing_from_elsewhere(home, url):
    page = get(f"{home.prediction_url}/")
    assert "http" not in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-light-32x32.png"):
        assert asset in page.text
        assert get(f"{home.prediction_url}/static_content/{asset}").status_code == 200


def test_metrics_count_requests_by_project_and_not_by_path(home, url, champion):
    post(url, {"rows": [ROW]})
    post(url.replace("flights", "made-up"), {})
    text = get(f"{home.prediction_url}/metrics").text
    assert 'prediction_requests_total{project="flights",status="200"}' in text
    assert 'prediction_champion_version{project="flights"}' in text
    assert "made-up" not in text


def test_a_moved_alias_drops_no_request(home, spec, url, champion):
    other = another(home, spec, champion)
    moves = threading.Thread(
        target=lambda: [promote(home, spec, to, after) for after, to in pairwise((champion, other) * 3 + (champion,))]
    )
    versions: set[str] = set()

    async def ask():
        bodies = [json.dumps({"rows": [ROW] * 3}).encode()]

        def answered(body: bytes) -> None:
            (version,) = {row["model_version"] for row in json.loads(body)}
            versions.add(version)

        while moves.is_alive():
            sent = await load(url, bodies, clients=4, seconds=1, answered=answered, rate=25)
            assert sent.failed == 0
            assert sent.statuses[200] > 0

    moves.start()
    asyncio.run(ask())
    moves.join()
    assert versions == {champion, other}
    assert readiness(home)["previous"] == other


def test_without_the_registry_the_champion_goes_on_and_comes_back(home, url, champion, mlflow_service, prediction):
    mlflow_service.stop()
    try:
        eventually(lambda: readiness(home)["problem"])
        assert post(url, {"rows": [ROW]}).json()[0]["model_version"] == champion
        prediction.stop(signal.SIGKILL)
        prediction.start()
        assert post(url, {"rows": [ROW]}).json()[0]["model_version"] == champion
        assert readiness(home)["problem"]
    finally:
        mlflow_service.start()
    eventually(lambda: not readiness(home)["problem"])


def test_an_acknowledged_prediction_survives_a_kill(home, spec, url, champion, prediction):
    acknowledged: list[str] = []
    kill = threading.Timer(1.5, lambda: prediction.stop(signal.SIGKILL))

    async def ask():
        bodies = [json.dumps({"rows": [ROW] * 2}).encode()]
        await load(
            url,
            bodies,
            clients=8,
            seconds=2,
            answered=lambda body: acknowledged.extend(row["prediction_id"] for row in json.loads(body)),
        )

    kill.start()
    asyncio.run(ask())
    kill.join()
    assert len(acknowledged) > 50
    assert set(acknowledged) <= set(logged(home, spec).index)
