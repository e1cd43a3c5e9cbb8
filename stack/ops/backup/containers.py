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

from stack.core.errors import StackError
from stack.core.settings import PREFIX, Settings, load
from stack.ops import compose, credentials, docker, image, ownership
from stack.ops.backup import archive, backup, contents, databases, inside, restore
from stack.ops.backup.archive import Counts, Manifest
from stack.ops.backup.backup import Say

CHAMPIONS = "SELECT name || '=' || version FROM registered_model_aliases WHERE alias = 'champion'"


def make(settings: Settings, out: Path, at: datetime, say: Say, *, secrets: Path | None = None) -> Path:
    """Write one archive of everything while the containers run; as `backup.make` does for the local runtime."""
    _require_own_servers(settings)
    ownership.require_own(settings)
    if not (server := docker.containers(settings).get("postgres")) or not server.running:
        raise StackError("postgres", found="it does not run", expected="a running stack", todo="make up")
    began, file = time.monotonic(), backup.target(out, at)
    with backup.aside(settings, file) as folder:
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
        made = folder / file.name
        with (folder / "given.tar").open("rb") as source, made.open("xb") as sink:
            made.chmod(0o600)
            _inside(settings, say, "backup", at.isoformat(), stdin=source, stdout=sink)
        checked = archive.verify(made)
        made.rename(file)
    say(backup.summary(file, checked, time.monotonic() - began))
    return file


def bring_back(
    settings: Settings, file: Path, at: datetime, say: Say, *, replace: bool = False, secrets: bool = False
) -> Manifest:
    """Make new volumes hold what an archive holds; as `restore.restore` does for the local runtime.

    Volumes cannot be renamed, so there must be none; when it fails, those that it made are deleted again.
    """
    say(f"checking {file}")
    manifest = archive.verify(file)
    restore.require_readable(file, manifest, dict.fromkeys(databases.SERVED, inside.KIND))
    restore.require_secrets(file, manifest, wanted=secrets)
    _require_own_servers(settings)
    if kept := docker.volumes(settings):
        raise StackError(
            ", ".join(kept),
            found="state that the archive would replace",
            expected="no volumes of this name" + (", as YES=1 cannot rename them" if replace else ""),
            todo="make a backup, then `make clean`; or set STACK_NAME to restore beside it, on other ports",
        )
    if image.outdated():
        say("building the image (minutes when nothing is cached)")
        image.build(credentials.complete(settings))
    if secrets:
        with TemporaryDirectory() as folder:
            archive.extract(file, Path(folder), manifest, below="secrets/")
            shutil.move(Path(folder) / "secrets/.env", contents.ENV)
        settings = load()
    settings = credentials.complete(settings)
    ownership.claim(settings)
    try:
        docker.compose(settings, "up", "--detach", "--wait", "--quiet-pull", "postgres", "redis")
        _load(settings, file, manifest)
        with file.open("rb") as source:
            _inside(settings, say, "restore", stdin=source, stdout=subprocess.DEVNULL)
        if (found := _counts(settings)) != manifest.counts:
            raise StackError(settings.name, found=str(found), expected=f"what the archive says: {manifest.counts}")
    except BaseException:
        docker.compose(settings, "down", "--volumes", check=False)
        raise
    docker.compose(settings, "down")
    say(f"restored {settings.name} as of {manifest.made_at}; {backup.told(manifest)}")
    return manifest


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
    """The answer of the server, a line a row."""
    words = ("psql", "--username=postgres", "--no-align", "--tuples-only", "--command", query, database)
    return _server(settings, *words, stdout=subprocess.PIPE).strip()


def _server(
    settings: Settings, *words: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | int | None = None
) -> str:
    """Run a command in PostgreSQL's container, where its tools have the server's version."""
    ran = subprocess.run(
        docker.command(settings, "exec", "--no-TTY", "postgres", *words),
        cwd=compose.FILE.parent,
        env=docker.environment(settings),
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout or subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if ran.returncode:
        raise _failed(words[0], ran.stderr.decode(errors="replace").splitlines())
    return (ran.stdout or b"").decode()


def _inside(settings: Settings, say: Say, *words: str, stdin: IO[bytes], stdout: IO[bytes] | int) -> None:
    """Run `stack.ops.backup.inside` in a container of our image, and tell what it says."""
    run = ("--progress", "quiet", "run", "--rm", "--no-deps", "--no-TTY", image.SERVICE)
    with subprocess.Popen(
        docker.command(settings, *run, "python", "-W", "ignore", "-m", inside.__name__, *words),
        cwd=compose.FILE.parent,
        env=docker.environment(settings),
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = []
        for line in process.stderr or ():
            lines.append(line.rstrip())
            if line.startswith("  ") and line[2].islower():  # a part, and no traceback
                say(line.rstrip())
    if process.returncode:
        raise _failed(words[0], lines)


def _failed(what: str, lines: list[str]) -> StackError:
    return StackError(
        f"{what} in a container",
        found="\n            ".join(lines[-12:]) or "an error without a word",
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
