"""Feedback: labels are sent by the ids of predictions."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from tests.services.conftest import NOW, post
from tests.services.prediction.conftest import ROW, logged

pytestmark = pytest.mark.services


def feedback(url: str, *labels: dict) -> httpx.Response:
    return post(url.replace("predict", "feedback"), {"labels": list(labels)})


def test_what_was_true_is_told_by_prediction_id(home, spec, url, champion):
    asked_at = (NOW - timedelta(minutes=10)).isoformat()
    answers = post(url, {"rows": [ROW | {"asked_at": asked_at}] * 2}).json()
    first, second = (answer["prediction_id"] for answer in answers)
    known_at = NOW - timedelta(minutes=5)
    labels = (
        {"prediction_id": first, "label": 1, "known_at": known_at.isoformat()},
        {"prediction_id": second, "label": 0},
    )
    for _ in range(2):
        assert feedback(url, *labels).json() == {"labelled": 2, "unknown": []}
    log = logged(home, spec)
    assert log.loc[[first, second], "label"].tolist() == [1, 0]
    assert log.loc[[first, second], "label_at"].tolist() == [known_at, NOW]
    # The same label, sent again later, was known when it was first sent; another label replaces it.
    assert feedback(url, {"prediction_id": first, "label": True}).json() == {"labelled": 1, "unknown": []}
    assert logged(home, spec).loc[first, "label_at"] == known_at
    feedback(url, {"prediction_id": first, "label": 0})
    assert logged(home, spec).loc[first, ["label", "label_at"]].tolist() == [0, NOW]


def test_a_label_cannot_be_known_before_its_prediction_was_asked_for(home, spec, url, champion):
    first, second = (answer["prediction_id"] for answer in post(url, {"rows": [ROW, ROW]}).json())
    early = {"prediction_id": second, "label": 1, "known_at": (NOW - timedelta(seconds=1)).isoformat()}
    answer = feedback(url, {"prediction_id": first, "label": 1, "known_at": NOW.isoformat()}, early)
    assert answer.status_code == 400
    (mistake,) = answer.json()["detail"]
    assert mistake["loc"] == ["labels", 1, "known_at"]
    assert mistake["msg"].endswith("expected at least the instant of the prediction, 2013-01-12 15:00:00+00:00")
    assert logged(home, spec).loc[[first, second], "label"].isna().all(), "no label of a refused body is written"


def test_ids_that_are_not_in_the_log_are_named(url, champion):
    (answer,) = post(url, {"rows": [ROW]}).json()
    strange, known = str(uuid4()), {"prediction_id": answer["prediction_id"], "label": 1}
    answer = feedback(url, {"prediction_id": strange, "label": 1}, known)
    assert (answer.status_code, answer.json()) == (200, {"labelled": 1, "unknown": [strange]})


WRONG_LABELS = [
    ({"label": 1}, "prediction_id", "found nothing, expected a UUID"),
    ({"prediction_id": str(UUID(int=7)), "label": 2}, "label", "found 2, expected one of 0, 1 (late)"),
    ({"prediction_id": str(UUID(int=7)), "label": "1"}, "label", "found '1', expected one of 0, 1 (late)"),
    ({"prediction_id": str(UUID(int=7)), "label": 1, "known_at": "0213-05-01T00:00:00Z"}, "known_at", "at least 1700"),
    ({"prediction_id": str(UUID(int=7)), "lable": 1}, "lable", "did you mean 'label'?"),
]


@pytest.mark.parametrize(("label", "place", "message"), WRONG_LABELS)
def test_a_wrong_label_is_refused_with_its_place(url, label, place, message):
    answer = feedback(url, label)
    assert answer.status_code == 400
    mistakes = {error["loc"][-1]: error["msg"] for error in answer.json()["detail"]}
    assert message in mistakes[place]
