"""Where the registry reaches beneath MLflow's documented REST API (https://mlflow.org/docs/latest/rest-api.html)."""

from urllib.parse import quote, urlsplit

import httpx

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def proxied(artifact_uri: str, path: str) -> str:
    """Return where the server hands out an artifact below the URI of a run, relative to ``/api/2.0/``.

    Tool: MLflow
    Reach: GET and PUT /api/2.0/mlflow-artifacts/artifacts/<path>
    Why: the documented REST API lists artifacts but does not transfer them, and MLflow's Python client costs each
    process of the prediction service 4 s and 150 MB. The stack logs every artifact through the server
    (``mlflow-artifacts:``).
    Upstream: https://github.com/mlflow/mlflow/issues/5714
    """
    return f"mlflow-artifacts/artifacts/{quote(urlsplit(artifact_uri).path.strip('/'))}/{quote(path)}"


def is_absent(answer: httpx.Response) -> bool:
    """Return whether an alias was asked for that no version has.

    Tool: MLflow
    Reach: the error codes of GET /api/2.0/mlflow/registered-models/alias
    Why: a project without a model is RESOURCE_DOES_NOT_EXIST, but a model without the alias is INVALID_PARAMETER_VALUE,
    which is documented for neither.
    Upstream: none known (mlflow/store/model_registry/sqlalchemy_store.py, get_model_version_by_alias)
    """
    return answer.is_client_error and any(code in answer.text for code in ABSENT)
