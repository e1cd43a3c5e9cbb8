"""One typed class of settings: every port, path and backend, each with its default.

The defaults are the local (embedded) runtime. Docker Compose gives the same keys other values; nothing
else in the code asks which way the stack runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from stack.core.errors import StackError, nearest
from stack.core.runtimes import RuntimeName

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "STACK_"


class Settings(BaseSettings):
    """Everything that differs between two stacks. Each field is the environment key ``STACK_<FIELD>``.

    Only :func:`load` reads environment and ``.env``; an object made by its constructor has what it is given.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True)

    home: Path = ROOT / "var"
    runtime: Literal["auto", RuntimeName] = "auto"
    name: str = Field("homelab-mlops", pattern="^[a-z0-9][a-z0-9_-]*$")
    """What Docker Compose names containers and volumes after: two stacks on one machine need two names."""
    profiles: str = ""
    host: str = "127.0.0.1"
    bind: str = ""
    """What a server process binds to: `host`, but every interface inside a container."""

    portal_port: int = Field(8080, ge=1, le=65535)
    prediction_port: int = Field(3000, ge=1, le=65535)
    prefect_port: int = Field(4200, ge=1, le=65535)
    mlflow_port: int = Field(5000, ge=1, le=65535)
    features_port: int = Field(6566, ge=1, le=65535)
    monitoring_port: int = Field(8000, ge=1, le=65535)
    feast_ui_port: int = Field(8888, ge=1, le=65535)
    notebook_port: int = Field(8889, ge=1, le=65535)

    # The gateway of the profile lan: where it listens, what other machines call this one, a port a user interface.
    lan_host: str = "0.0.0.0"  # noqa: S104  # with a login
    lan_address: str = ""
    lan_portal_port: int = Field(8443, ge=1, le=65535)
    lan_prediction_port: int = Field(3443, ge=1, le=65535)
    lan_prefect_port: int = Field(4443, ge=1, le=65535)
    lan_mlflow_port: int = Field(5443, ge=1, le=65535)
    lan_features_port: int = Field(6443, ge=1, le=65535)
    lan_monitoring_port: int = Field(7443, ge=1, le=65535)
    lan_feast_ui_port: int = Field(9443, ge=1, le=65535)
    lan_password_hash: str = Field("", repr=False)

    # Of a machine that trains for another one: the gateway there, and what opens it.
    join_url: str = ""
    join_key: str = Field("", repr=False)
    trainer_port: int = Field(8090, ge=1, le=65535)

    # The cluster that searches candidates; the one of the profile dask where no other is named.
    dask_address: str = ""
    dask_port: int = Field(8786, ge=1, le=65535)
    dask_status_port: int = Field(8787, ge=1, le=65535)
    dask_workers: int = Field(2, ge=1)
    dask_url: str = ""
    """Where the services reach the scheduler's status."""

    # Where the services answer; derived from host and ports unless given.
    portal_url: str = ""
    prediction_url: str = ""
    prefect_url: str = ""
    mlflow_url: str = ""
    features_url: str = ""
    monitoring_url: str = ""

    # The table of differences between the two ways to run; derived from `home` unless given. Addresses hold passwords.
    mlflow_database: str = Field("", repr=False)
    prefect_database: str = Field("", repr=False)
    feast_registry: str = Field("", repr=False)
    state_database: str = Field("", repr=False)
    online_store: str = Field("", repr=False)
    online_store_type: Literal["", "sqlite", "redis"] = ""
    artifacts: str = ""

    # Of the servers in Docker Compose; stack/ops/credentials.py makes them up.
    postgres_password: str = Field("", repr=False)
    mlflow_db_password: str = Field("", repr=False)
    prefect_db_password: str = Field("", repr=False)
    feast_db_password: str = Field("", repr=False)
    state_db_password: str = Field("", repr=False)
    redis_password: str = Field("", repr=False)

    lake_remote: str = ""
    alert_urls: str = Field("", repr=False)
    keep_days: int = Field(90, ge=1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take nothing from the environment behind the caller's back."""
        return (init_settings,)

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser() if home.expanduser().is_absolute() else (ROOT / home).resolve()

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, given: dict[str, Any]) -> dict[str, Any]:
        values = {name: field.default for name, field in cls.model_fields.items()} | given
        home = cls._absolute(Path(values["home"]))
        derived = {
            f"{name}_url": f"http://{_reachable(values['host'])}:{values[f'{name}_port']}"
            for name in ("portal", "prediction", "prefect", "mlflow", "features", "monitoring")
        }
        if values["join_url"]:
            derived |= {f"{name}_url": f"{values['join_url']}/{name}" for name in ("prefect", "mlflow")}
        if "dask" in _names(values["profiles"]):
            derived["dask_address"] = f"tcp://{_reachable(values['host'])}:{values['dask_port']}"
        derived |= {
            "dask_url": f"http://{_reachable(values['host'])}:{values['dask_status_port']}",
            "bind": values["host"],
            "mlflow_database": f"sqlite:///{home}/mlflow/mlflow.db",
            "prefect_database": f"sqlite+aiosqlite:///{home}/prefect/prefect.db",
            "feast_registry": f"sqlite:///{home}/feast/registry.db",
            "state_database": f"sqlite:///{home}/state/state.db",
            "online_store": f"{home}/feast/online.db",
            # A path is a file of SQLite, anything else Feast's connection string for Redis.
            "online_store_type": "sqlite" if str(given.get("online_store") or "/").startswith("/") else "redis",
            "artifacts": f"{home}/artifacts",
        }
        return given | {key: given.get(key) or value for key, value in derived.items()}

    @property
    def optional(self) -> frozenset[str]:
        """Names of the profiles: groups of services that run only where they are asked for."""
        return _names(self.profiles)

    def address(self, service: str) -> str:
        """Where a browser on this machine finds a service, by the name of its port setting."""
        return f"http://{_reachable(self.host)}:{getattr(self, f'{service}_port')}"

    def link(self, service: str) -> str:
        """Where a link on a page leads: through the gateway where there is one, so that any machine can follow it."""
        return self.through_gateway(service, self.lan_address) if self.lan_address else self.address(service)

    def through_gateway(self, service: str, host: str) -> str:
        """Where a browser that calls this machine `host` finds a service behind the gateway."""
        return f"https://{host}:{getattr(self, f'lan_{service}_port')}"

    def environment(self) -> dict[str, str]:
        """Every setting as ``STACK_<FIELD>``, resolved: what a child process or a Compose file is given."""
        return {f"{PREFIX}{name}".upper(): str(value) for name, value in self.model_dump().items()}

    @property
    def lake(self) -> Path:
        """The data registry: a git and DVC repository."""
        return self.home / "lake"

    @property
    def feature_tables(self) -> Path:
        """Parquet files of the feature tables, one folder a project and view."""
        return self.home / "features"

    @property
    def quarantine(self) -> Path:
        """Refused batches and rows, one folder a batch."""
        return self.home / "quarantine"

    @property
    def data_docs(self) -> Path:
        """The static site of Great Expectations' Data Docs."""
        return self.home / "docs"

    @property
    def reports(self) -> Path:
        """Evidently's workspace."""
        return self.home / "reports"

    @property
    def pages(self) -> Path:
        """Report pages with their summaries, one folder a project; the portal serves them."""
        return self.home / "pages"

    @property
    def run(self) -> Path:
        """Sockets, pid files and generated configuration of the running stack."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """One log file a service."""
        return self.home / "logs"


def _reachable(host: str) -> str:
    """A host to connect to for one to listen on: every interface includes the loopback one."""
    return "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104  # compared with, not bound to


def _names(profiles: str) -> frozenset[str]:
    """The names in a list; the word ``none`` stands for an empty one."""
    return frozenset(one.strip() for one in profiles.split(",")) - {"", "none"}


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
    """Read the settings from the environment, then from the env file.

    Args:
        environ: the environment; ``os.environ`` when omitted. It wins over the file.
        env_file: ``.env`` of the checkout when omitted; it may be missing.

    Raises:
        StackError: a key is unknown or a value malformed; names the file, the key and what was expected.
    """
    environ = os.environ if environ is None else environ
    env_file = ROOT / ".env" if env_file is None else env_file
    ours = {key: value for key, value in environ.items() if key.startswith(PREFIX)}
    from_file = _fields(str(env_file), dotenv_values(env_file))
    from_environment = _fields("environment", ours)
    try:
        return Settings(**(from_file | from_environment))
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "home"
        key = f"{PREFIX}{field}".upper()
        where = "environment" if field in from_environment else env_file if field in from_file else "settings"
        raise StackError(
            f"{where}, key {key}",
            found=repr(first["input"]),
            expected=first["msg"],
            todo=f"fix {key}; .env.example lists every key with its default",
        ) from None


def _fields(where: str, variables: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the fields that environment keys set; refuse a key that is none of ours."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    if unknown := next((key for key in variables if key not in known), None):
        raise StackError(
            f"{where}, key {unknown}",
            found=f"an unknown key{nearest(unknown, known)}",
            expected="a key of .env.example",
            todo="correct or remove the key",
        )
    source = EnvSettingsSource(Settings)
    source.env_vars = {key.lower(): value for key, value in variables.items()}
    return source()


def settings() -> Settings:
    """Return the settings of this process, read once; within :func:`using`, the ones given there."""
    return _given.get() or _of_this_process()


@contextmanager
def using(given: Settings) -> Iterator[None]:
    """Let :func:`settings` return these settings within the context, in this thread alone."""
    token = _given.set(given)
    try:
        yield
    finally:
        _given.reset(token)


_given: ContextVar[Settings | None] = ContextVar("given", default=None)


@lru_cache(maxsize=1)
def _of_this_process() -> Settings:
    return load()
