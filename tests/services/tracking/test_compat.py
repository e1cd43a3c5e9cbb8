"""The reaches into MLflow still exist in the installed version."""

import inspect

import mlflow
import pytest
from mlflow import db, server
from mlflow.environment_variables import _MLFLOW_SGI_NAME
from mlflow.server import constants, handlers

from services.tracking import _compat
from stack.core.settings import Settings

CHANGED = f"mlflow {mlflow.__version__} has changed; see services/tracking/_compat.py"


def test_environment_has_the_names_that_the_server_reads(tmp_path):
    names = (
        constants.BACKEND_STORE_URI_ENV_VAR,
        constants.ARTIFACT_ROOT_ENV_VAR,
        constants.ARTIFACTS_DESTINATION_ENV_VAR,
        constants.SERVE_ARTIFACTS_ENV_VAR,
        _MLFLOW_SGI_NAME.name,
    )
    assert set(_compat.environment(Settings(home=tmp_path))) == set(names), CHANGED


@pytest.mark.parametrize("part", ["fastapi_app:app", "_MLFLOW_SGI_NAME.name", "env_map"])
def test_server_still_starts_this_application_with_this_environment(part):
    assert part in inspect.getsource(server._run_server), CHANGED


def test_stores_are_initialised_from_the_database_address():
    assert next(iter(inspect.signature(handlers.initialize_backend_stores).parameters)) == "backend_store_uri", CHANGED


def test_database_command_is_there():
    assert "upgrade" in db.commands.commands, CHANGED
