"""Feast's server answers what it cannot use with the reason, and not as a failure of its own."""

import pytest
from feast import FeatureStore
from starlette.testclient import TestClient

from services.features.app import application


@pytest.fixture
def client(tmp_path) -> TestClient:
    registry, online = tmp_path / "registry.db", tmp_path / "online.db"
    (tmp_path / "feature_store.yaml").write_text(
        f"project: tiny\nprovider: local\nregistry: {registry}\nonline_store: {{type: sqlite, path: {online}}}\n"
    )
    store = FeatureStore(repo_path=str(tmp_path))
    store.apply([])
    return TestClient(application(store), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("/get-online-features", {"entities": {}}, 400, "No features specified"),
        ("/get-online-features", {"entities": {}, "features": ["x"]}, 400, "Invalid feature reference"),
        ("/get-online-features", {"entities": {}, "feature_service": "x"}, 404, "x does not exist"),
        ("/push", {"push_source_name": "x", "df": {"a": [1], "b": [1, 2]}, "to": "online"}, 400, "same length"),
        ("/push", {"push_source_name": "x", "df": {"a": [1]}, "to": "moon"}, 400, "not a supported push format"),
        ("/search", {}, 400, ""),
    ],
)
def test_a_request_that_cannot_be_used_is_refused(client, path, body, status, reason):
    with client:
        answer = client.post(path, json=body)
    assert answer.status_code == status
    assert reason in answer.text
