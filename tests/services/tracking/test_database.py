"""MLflow's database of an older version is migrated before the start, with what is in it."""

import sqlite3

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine

from services.tracking.database import migrate
from stack.core.settings import Settings


def test_database_of_an_older_version_is_migrated(tmp_path):
    settings = Settings(home=tmp_path)
    (tmp_path / "mlflow").mkdir()
    engine, config = create_engine(settings.mlflow_database), utils._get_alembic_config(settings.mlflow_database)
    older, *_ = ScriptDirectory.from_config(config).get_revision("head")._all_down_revisions
    Base.metadata.create_all(engine)
    command.upgrade(config, older)
    with sqlite3.connect(tmp_path / "mlflow" / "mlflow.db") as database:
        database.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'old', 'active')")

    with pytest.raises(MlflowException, match="out-of-date"):
        utils._verify_schema(engine)

    migrate(settings)

    utils._verify_schema(engine)
    with sqlite3.connect(tmp_path / "mlflow" / "mlflow.db") as database:
        assert database.execute("SELECT name FROM experiments WHERE experiment_id = 7").fetchall() == [("old",)]
