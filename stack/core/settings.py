"""One typed class of settings: every port, path and backend.

The defaults are those of the local (embedded) runtime. Docker Compose gives the same keys other values; nothing else
in the code asks which way the stack runs.
"""

import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from stack.core import saved, variables
from stack.core.runtimes import RuntimeName
from stack.core.variables import PREFIX as PREFIX

ROOT = Path(__file__).resolve().parents[2]
Port = Annotated[int, Field(ge=1, le=65535)]
Secret = Annotated[str, Field(repr=False)]


@dataclass(frozen=True)
class Folder:
    """A folder below the home, or below another one; of the class, which has neither, its name."""

    name: str
    parent: str = "home"

    def __get__(self, settings: "Settings", _: type["Settings"]) -> Path:
        return Path(getattr(settings, self.parent, "")) / self.name


class Settings(BaseSettings):
    """Everything that differs between two stacks. Each field is the environment key ``STACK_<FIELD>``.

    Only :func:`load` reads environment and ``.env``; the constructor takes its arguments alone. `model_fields_set` has
    the fields that either has set, and not those that the browser has saved.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True)

    home: Path = Field(ROOT / "var", description="Folder of all state; a relative one is below the checkout.")
    workspace: Path = Field(ROOT, description="Folder with your projects/ and feature_repo/; the checkout when unset.")
    runtime: Literal["auto", "inside", RuntimeName] = Field("auto", description="auto, local (processes) or compose.")
    name: str = Field(
        "homelab-mlops",
        pattern="^[a-z0-9][a-z0-9_-]*$",
        description="Name of containers and volumes; two stacks need two.",
    )
    title: str = Field("Home-lab MLOps", min_length=1, max_length=60, description="Name on its pages and alarms.")
    profiles: str = Field(
        "", description="Optional services, `make up PROFILES=`: feast-ui, lan, scale, dask, grafana."
    )
    host: str = Field("127.0.0.1", description="Address of the stack; beyond 127.0.0.1 only predictions want a token.")
    allowed_hosts: str = Field("", description="Further host names of the services, by commas: those of your proxy.")
    bind: str = Field("", description="Address the server processes bind to; STACK_HOST when empty.")

    portal_port: Port = Field(8080, title="home page", description="Port of the home page.")
    prediction_port: Port = Field(3000, title="predictions", description="Port of the prediction service.")
    prefect_port: Port = Field(4200, title="Prefect", description="Port of Prefect's API and UI.")
    mlflow_port: Port = Field(5000, title="MLflow", description="Port of MLflow's API and UI.")
    features_port: Port = Field(6566, description="Port of Feast's feature server.")
    monitoring_port: Port = Field(8000, title="Evidently", description="Port of Evidently's UI.")
    feast_ui_port: Port = Field(8888, title="Feast UI", description="Port of Feast's own UI (profile feast-ui).")
    access_port: Port = Field(8081, description="Port of the service that checks logins for the gateway.")
    grafana_port: Port = Field(3001, description="Port of Grafana (profile grafana), in containers.")
    notebook_port: Port = Field(8889, description="Port of Jupyter, while `make notebook` is open.")

    prediction_copies: int = Field(1, ge=1, description="Copies of the prediction service, in containers.")
    require_tokens: bool = Field(False, description="Whether predictions want a token on 127.0.0.1 too.")
    read_only: bool = Field(False, description="Whether all changes are refused, as in `make demo`.")

    lan_host: str = Field("0.0.0.0", description="Address at which the gateway (profile lan) listens.")  # noqa: S104  # with a login
    lan_address: str = Field("", description="Name or number of this machine in the network; detected when empty.")
    lan_portal_port: Port = Field(8443, description="Port of the home page at the gateway.")
    lan_prediction_port: Port = Field(3443, description="Port of the prediction service at the gateway.")
    lan_prefect_port: Port = Field(4443, description="Port of Prefect at the gateway.")
    lan_mlflow_port: Port = Field(5443, description="Port of MLflow at the gateway.")
    lan_features_port: Port = Field(6443, description="Port of the feature server at the gateway.")
    lan_monitoring_port: Port = Field(7443, description="Port of Evidently's UI at the gateway.")
    lan_feast_ui_port: Port = Field(9443, description="Port of Feast's own UI at the gateway.")
    gateway_port: Port = Field(2015, description="Port of the gateway's health check, on 127.0.0.1.")
    lan_password_hash: Secret = Field("", description="Hash of the gateway's password; made at the first start.")

    join_url: str = Field("", description="Gateway of the stack that this machine trains for, set by `make join`.")
    join_key: Secret = Field("", description="Key of that gateway.")
    trainer_port: Port = Field(8090, description="Port of the health check of a machine that trains, on 127.0.0.1.")

    dask_address: str = Field("", description="Dask scheduler of long work; that of the profile dask when empty.")
    dask_port: Port = Field(8786, description="Port of the Dask scheduler of the profile dask.")
    dask_status_port: Port = Field(8787, description="Port of that scheduler's status page.")
    dask_workers: int = Field(2, ge=1, description="Worker processes of the profile dask.")
    dask_url: str = Field("", description="Where services reach the scheduler's status page.")

    # Where the services answer; derived from host and ports unless given.
    portal_url: str = Field("", description="Where other services reach the portal; from host and port when empty.")
    prediction_url: str = Field("", description="Where other services reach the prediction service.")
    prefect_url: str = Field("", description="Where other services reach Prefect.")
    mlflow_url: str = Field("", description="Where other services reach MLflow.")
    features_url: str = Field("", description="Where other services reach the feature server.")
    monitoring_url: str = Field("", description="Where other services reach Evidently's UI.")
    feast_ui_url: str = Field("", description="Where the gateway reaches Feast's own UI.")
    access_url: str = Field("", description="Where the gateway has logins checked.")

    # The table of differences between the two ways to run; derived from `home` unless given. Addresses hold passwords.
    mlflow_database: Secret = Field("", description="SQLAlchemy URL of MLflow's database; SQLite when empty.")
    prefect_database: Secret = Field("", description="Async SQLAlchemy URL of Prefect's database.")
    feast_registry: Secret = Field("", description="SQLAlchemy URL of Feast's registry.")
    state_database: Secret = Field("", description="SQLAlchemy URL of the prediction log and the clocks.")
    online_store: Secret = Field("", description="File of SQLite, or Feast's connection string for Redis.")
    online_store_type: Literal["", "sqlite", "redis"] = Field("", description="sqlite or redis; by the store if empty.")
    artifacts: str = Field("", description="Folder or S3 URL of MLflow's artifacts.")

    # stack/ops/credentials.py makes them up: the keys in both runtimes, the passwords for servers of Docker Compose.
    prefect_key: Secret = Field("", description="Key of Prefect's API; generated at the first start.")
    access_key: Secret = Field("", description="Token of the stack's own requests for predictions; generated too.")
    postgres_password: Secret = Field("", description="Password of PostgreSQL; it and the next five are generated.")
    mlflow_db_password: Secret = Field("", description="Password of MLflow's database.")
    prefect_db_password: Secret = Field("", description="Password of Prefect's database.")
    feast_db_password: Secret = Field("", description="Password of Feast's registry.")
    state_db_password: Secret = Field("", description="Password of the prediction log.")
    redis_password: Secret = Field("", description="Password of Redis.")

    lake_remote: Secret = Field("", description="URL of a DVC remote that the lake is pushed to; none when empty.")
    alert_urls: Secret = Field("", description="Apprise URLs, separated by commas, that alarms go to.")
    keep_days: int = Field(90, ge=1, description="Days that runs, reports, answers, checks and quarantine are kept.")
    unload_minutes: int = Field(30, ge=0, description="Minutes until unused tools leave memory; 0: they never do.")
    upload_megabytes: int = Field(2_000, ge=1, description="Largest table that is uploaded in the browser, in MB.")
    backup_folder: Path = Field(ROOT / "backups", description="Folder of the daily backups, best on another disk.")
    backup_daily: int = Field(7, ge=0, description="Days whose last backup is kept; 0: no backup is made by itself.")
    backup_weekly: int = Field(4, ge=0, description="Weeks whose last backup is kept.")

    projects: ClassVar = Folder("projects", "workspace")
    """The projects, a folder each."""
    definitions: ClassVar = Folder("feature_repo", "workspace")
    """The Feast definitions that projects have written, a module each."""
    lake: ClassVar = Folder("lake")
    """The data registry: a git and DVC repository."""
    feature_tables: ClassVar = Folder("features")
    """Parquet files of the feature tables, a folder for each project and view."""
    quarantine: ClassVar = Folder("quarantine")
    """Refused batches and rows, a folder for each batch."""
    data_docs: ClassVar = Folder("docs")
    """The static site of Great Expectations' Data Docs."""
    reports: ClassVar = Folder("reports")
    """Evidently's workspace."""
    pages: ClassVar = Folder("pages")
    """Report pages with their summaries, a folder for each project; the portal serves them."""
    older_predictions: ClassVar = Folder("older_predictions")
    """Parquet files of the predictions that left the database, a folder for each project."""
    run: ClassVar = Folder("run")
    """Sockets, pid files and generated configuration of the running stack."""
    logs: ClassVar = Folder("logs")
    """A log file for each service."""

    @classmethod
    @override
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[PydanticBaseSettingsSource, ...]:
        return (sources["init_settings"],)

    @field_validator("home", "workspace", "backup_folder")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        return folder.expanduser() if folder.expanduser().is_absolute() else (ROOT / folder).resolve()

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, explicit: dict[str, Any]) -> dict[str, Any]:
        values = {name: field.default for name, field in cls.model_fields.items()} | explicit
        home, host = cls._absolute(Path(values["home"])), _reachable(values["host"])
        derived = {
            f"{name}_url": f"http://{host}:{values[f'{name}_port']}"
            for name in ("portal", "prediction", "prefect", "mlflow", "features", "monitoring", "feast_ui", "access")
        }
        if values["join_url"]:
            derived |= {f"{name}_url": f"{values['join_url']}/{name}" for name in ("prefect", "mlflow")}
        if "dask" in _names(values["profiles"]):
            derived["dask_address"] = f"tcp://{host}:{values['dask_port']}"
        derived |= {
            "dask_url": f"http://{host}:{values['dask_status_port']}",
            "bind": values["host"],
            "mlflow_database": f"sqlite:///{home}/mlflow/mlflow.db",
            "prefect_database": f"sqlite+aiosqlite:///{home}/prefect/prefect.db",
            "feast_registry": f"sqlite:///{home}/feast/registry.db",
            "state_database": f"sqlite:///{home}/state/state.db",
            "online_store": f"{home}/feast/online.db",
            "online_store_type": "sqlite" if str(explicit.get("online_store") or "/").startswith("/") else "redis",
            "artifacts": f"{home}/artifacts",
        }
        return explicit | {key: explicit.get(key) or value for key, value in derived.items()}

    @property
    def optional(self) -> frozenset[str]:
        """Names of the profiles: groups of services that run only where they are asked for."""
        return _names(self.profiles) | ({"copies"} if self.prediction_copies > 1 else set())

    def address(self, service: str) -> str:
        """Return where a browser on this machine finds a service, by the name of its port setting."""
        return f"http://{_reachable(self.host)}:{getattr(self, f'{service}_port')}"

    def link(self, service: str) -> str:
        """Return the target of a link on a page: through the gateway, if any, so that any machine can follow it."""
        return self.through_gateway(service, self.lan_address) if self.lan_address else self.address(service)

    def through_gateway(self, service: str, host: str) -> str:
        """Return where a browser that calls this machine `host` finds a service behind the gateway."""
        return f"https://{host}:{getattr(self, f'lan_{service}_port')}"

    @property
    def prefect_headers(self) -> dict[str, str]:
        """Headers of a request to Prefect's API."""
        return {"Authorization": f"Basic {b64encode(self.prefect_key.encode()).decode()}"} if self.prefect_key else {}

    @property
    def prediction_headers(self) -> dict[str, str]:
        """Headers of a request to the prediction service."""
        return {"Authorization": f"Bearer {self.access_key}"} if self.access_key else {}

    def environment(self) -> dict[str, str]:
        """Return the settings as ``STACK_<FIELD>``, resolved, for a child process or a Compose file.

        Those that the browser may change are left to it, where neither environment nor ``.env`` have set them.
        """
        later = {*saved.FIELDS} - self.model_fields_set
        return {variables.key(name): str(value) for name, value in self.model_dump().items() if name not in later}

    def renewed(self) -> "Settings":
        """Return the settings with what the browser has saved by now; what has been set otherwise stays."""
        read = saved.read(self.home)
        try:
            parsed = Settings(**read)  # type: ignore[arg-type]  # pydantic converts them
        except ValidationError as error:
            raise variables.refusal(error, {str(saved.path(self.home)): read}) from None
        changes = {name: getattr(parsed, name) for name in saved.FIELDS if name not in self.model_fields_set}
        renewed = self.model_copy(update=changes)
        renewed.model_fields_set.difference_update(changes)
        return renewed


def _reachable(host: str) -> str:
    """Return the host to connect to, for the host to listen on: every interface includes the loopback interface."""
    return "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104  # compared with, not bound to


def _names(profiles: str) -> frozenset[str]:
    """Return the names in a list; the word ``none`` stands for an empty list."""
    return frozenset(name.strip() for name in profiles.split(",")) - {"", "none"}


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
    """Read the settings from the environment (``os.environ``), and below it from the env file (``.env``), if any.

    What the browser has saved comes below both. A StackError names the file and the key that is unknown or malformed.
    """
    environ = os.environ if environ is None else environ
    env_file = ROOT / ".env" if env_file is None else env_file
    from_file = variables.fields(Settings, str(env_file), dotenv_values(env_file))
    given = {key: environ[key] for key in environ if key.startswith(PREFIX)}
    from_environment = variables.fields(Settings, "environment", given)
    try:
        settings = Settings(**(from_file | from_environment))
    except ValidationError as error:
        raise variables.refusal(error, {"environment": from_environment, str(env_file): from_file}) from None
    return settings.renewed()


_override: ContextVar[Settings | None] = ContextVar("override", default=None)


def settings() -> Settings:
    """Return the settings of this process, read once; within :func:`using`, its argument."""
    return _override.get() or _of_this_process()


@contextmanager
def using(temporary: Settings) -> Iterator[None]:
    """Let :func:`settings` return these settings within the context, in this thread alone."""
    token = _override.set(temporary)
    try:
        yield
    finally:
        _override.reset(token)


@lru_cache(maxsize=1)
def _of_this_process() -> Settings:
    return load()
