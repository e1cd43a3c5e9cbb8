"""Run MLflow's tracking server in one process: ``python -m services.tracking``."""

from services import guard
from services.tracking import _compat
from stack.core.settings import settings


def main() -> None:
    """Listen on the host and port of the settings; ``services.migrations`` has migrated the database before."""
    stack = settings()
    guard.serve(_compat.application(stack), stack, "mlflow")


if __name__ == "__main__":
    main()
