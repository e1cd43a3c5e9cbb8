"""What the registry reaches into MLflow for is still as it was: a failure here names what has changed."""

from importlib.metadata import version

import mlflow

from stack.core.settings import Settings
from stack.registry import _compat, rest

CHANGED = f"mlflow {version('mlflow')} has changed, see stack/registry/_compat.py: "


def test_an_artifact_goes_there_and_back_through_the_server(tracked: Settings, client: mlflow.MlflowClient) -> None:
    run = client.create_run(client.create_experiment("compat-artifacts")).info
    with rest.client(tracked) as http:
        path = _compat.proxied(run.artifact_uri, "a b/file.txt")
        assert http.put(path, content=b"rows").is_success, f"{CHANGED}PUT {path}"
        assert http.get(path).content == b"rows", f"{CHANGED}GET {path}"
    assert [file.path for file in client.list_artifacts(run.run_id, "a b")] == ["a b/file.txt"]


def test_an_alias_that_no_version_has_is_told_from_a_failure(tracked: Settings, client: mlflow.MlflowClient) -> None:
    client.create_registered_model("compat-alias")
    with rest.client(tracked) as http:
        for name in ("compat-alias", "compat-no-such-model"):
            asked = {"name": name, "alias": "champion"}
            answer = http.get("mlflow/registered-models/alias", params=asked)
            assert _compat.is_absent(answer), f"{CHANGED}{answer.status_code} {answer.text}"
        assert not _compat.is_absent(http.get("mlflow/no-such-endpoint")), f"{CHANGED}a missing endpoint"
