"""Backup and restore of the Compose runtime: databases by the server's own tools, files where the volume is."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from stack.core import notices
from stack.core.errors import StackError
from stack.core.settings import PREFIX, ROOT, Settings, load
from stack.ops import archive, backups, contents, credentials, databases, restores
from stack.ops.archive import Counts, Manifest
from stack.ops.compose import docker, image, inside, ownership
from stack.ops.runtime import Report

CHAMPIONS = "SELECT name || '=' || version FROM registered_model_aliases WHERE alias = 'champion'"


def backup(settings: Settings, out: Path, at: datetime, report: Report, *, secrets: Path | None = None) -> Path:
    """Write one archive of everything while the containers run."""
    _require_own_servers(settings)
    ownership.require_own(settings)
    if not (server := docker.containers(settings).get("postgres")) or not server.running:
        raise StackError("postgres", found="it does not run", expected="a running stack", todo="make up")
    began, file = time.monotonic(), backups.target(out, at)
    with backups.work_folder(settings, file) as folder:
        given = folder / "given"
        given.mkdir()
        for name in databases.SERVED:
            with (given / name).open("wb") as dump:
                _server(settings, "pg_dump", "--format=custom", "--username=postgres", name, stdout=dump)
        (given / inside.COUNTS).write_text(_counts(settings).model_dump_json())
        if secrets and secrets.exists():
            shutil.copy(secrets, given / contents.ENV.name)
        with tarfile.open(folder / "given.tar", "w") as tar:
            tar.add(given, arcname=".")
        partial = folder / file.name
        with (folder / "given.tar").open("rb") as source, partial.open("xb") as sink:
            partial.chmod(0o600)
            _inside(settings, report, "backup", at.isoformat(), stdin=source, stdout=sink)
        checked = archive.verify(partial)
        partial.rename(file)
    report(backups.summary(file, checked, time.monotonic() - began))
    return file


def restore(
    settings: Settings, file: Path, report: Report, *, replace: bool = False, secrets: bool = False
) -> Manifest:
    """Fill new volumes with what an archive holds.

    Volumes cannot be renamed, so there must be none; when it fails, those that it made are deleted again.
    """
    report(f"checking {file}")
    manifest = archive.verify(file)
    restores.require_readable(file, manifest, dict.fromkeys(databases.SERVED, inside.KIND))
    restores.require_secrets(file, manifest, wanted=secrets)
    _require_own_servers(settings)
    if kept := docker.volumes(settings):
        raise StackError(
            ", ".join(kept),
            found="state that the archive would replace",
            expected="no volumes of this name" + (", as YES=1 cannot rename them" if replace else ""),
            todo="make a backup, then `make clean`; or set STACK_NAME to restore beside it, on other ports",
        )
    if image.outdated():
        report("building the image (minutes when nothing is cached)")
        image.build(credentials.complete(settings))
    if secrets:
        restores.write_secrets(file, manifest)
        settings = load()
    _fill(credentials.complete(settings), file, manifest, report)
    report(f"restored {settings.name} as of {manifest.made_at}; {manifest.summary}")
    return manifest


def _fill(settings: Settings, file: Path, manifest: Manifest, report: Report) -> None:
    """Start the database servers on new volumes and fill all; when that fails, the volumes are deleted again."""
    ownership.claim(settings)
    try:
        docker.compose(settings, "up", "--detach", "--wait", "--quiet-pull", "postgres", "redis")
        _load(settings, file, manifest)
        with file.open("rb") as source:
            _inside(settings, report, "restore", stdin=source, stdout=subprocess.DEVNULL)
        if (counts := _counts(settings)) != manifest.counts:
            raise StackError(settings.name, found=str(counts), expected=f"what the archive says: {manifest.counts}")
    except BaseException:
        docker.compose(settings, "down", "--volumes", check=False)
        raise
    docker.compose(settings, "down")


def _load(settings: Settings, file: Path, manifest: Manifest) -> None:
    """Fill the new databases, each as the user that it belongs to."""
    with TemporaryDirectory() as folder:
        archive.extract(file, Path(folder), manifest, below="databases/")
        for name in databases.SERVED:
            words = ("--exit-on-error", "--no-owner", "--no-comments", f"--role={name}", f"--dbname={name}")
            with (Path(folder) / "databases" / name).open("rb") as dump:
                _server(settings, "pg_restore", "--username=postgres", *words, stdin=dump)


def _counts(settings: Settings) -> Counts:
    """Count what a user would miss first."""
    champions = _ask(settings, "mlflow", CHAMPIONS).splitlines()
    return Counts(
        champions=dict(line.rsplit("=", 1) for line in champions),
        runs=int(_ask(settings, "mlflow", "SELECT count(*) FROM runs")),
        predictions=int(_ask(settings, "state", "SELECT count(*) FROM predictions")),
    )


def _ask(settings: Settings, database: str, query: str) -> str:
    """Return the answer of the server, a line a row."""
    words = ("psql", "--username=postgres", "--no-align", "--tuples-only", "--command", query, database)
    return _server(settings, *words, stdout=subprocess.PIPE).strip()


def _server(
    settings: Settings, *words: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | int | None = None
) -> str:
    """Run a command in PostgreSQL's container, where its tools have the server's version."""
    ran = subprocess.run(
        docker.command(settings, "exec", "--no-TTY", "postgres", *words),
        cwd=ROOT,
        env=docker.environment(settings),
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout or subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if ran.returncode:
        raise _failed(words[0], ran.stderr.decode(errors="replace").splitlines())
    return (ran.stdout or b"").decode()


def _inside(settings: Settings, report: Report, *words: str, stdin: IO[bytes], stdout: IO[bytes] | int) -> None:
    """Run the module `inside` in a container of our image, and report its notices."""
    run = ("--progress", "quiet", "run", "--rm", "--no-deps", "--no-TTY", image.SERVICE)
    module = ("python", "-W", "ignore", "-m", inside.__name__)
    with docker.started(settings, *run, *module, *words, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE) as process:
        lines = []
        for line in process.stderr or ():
            if (notice := notices.parse(line)) is not None:
                report(notice)
            else:
                lines.append(line.rstrip())
    if process.returncode:
        raise _failed(words[0], lines)


def _failed(what: str, lines: list[str]) -> StackError:
    return StackError(
        f"{what} in a container",
        found="\n            ".join(lines[-12:]) or "no error output",
        expected="an exit code of 0",
        todo="run `make doctor`",
    )


def _require_own_servers(settings: Settings) -> None:
    """Refuse to leave out, in silence, what lies elsewhere."""
    elsewhere = {f"{PREFIX}{name}".upper() for name in ("mlflow_database", "prefect_database", "feast_registry")}
    elsewhere = (elsewhere | {f"{PREFIX}STATE_DATABASE"}) & set(docker.values(settings))
    if elsewhere:
        raise StackError(
            "backup",
            found=f"databases of your own: {', '.join(sorted(elsewhere))}",
            expected="those of the stack's PostgreSQL",
            todo="dump yours with their own tools, and the stack's without these keys",
        )
