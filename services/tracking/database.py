"""Create or migrate MLflow's database: ``python -m services.tracking.database``; the server refuses an older one."""

from stack.core.settings import Settings, settings


def migrate(stack: Settings) -> None:
    """Bring the database to the installed version, as `mlflow db upgrade` does with a URL on its command line."""
    from mlflow import db

    db.commands(["upgrade", stack.mlflow_database], standalone_mode=False)


if __name__ == "__main__":
    migrate(settings())
