"""Backup and restore of the Compose runtime: databases by the server's own tools, files where the volume is."""

import shutil
import subprocess
import tarfile
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from stack.core import notices
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings, load
from stack.core.variables import key
from stack.ops import archive, backups, contents, credentials, databases, servers
from stack.ops.archive import Counts, Manifest
from stack.ops.compose import docker, image, inside, ownership


def backup(settings: Settings, out: Path, at: datetime, report: Reporter, *, secrets: Path | None = None) -> Path:
    """Write an archive of everything while the containers run, and return its path."""
    _require_own_servers(settings)
    ownership.require_own(settings)
    if not (server := docker.containers(settings).get("postgres")) or not server.running:
        raise StackError("postgres", found="it does not run", expected="a running stack", todo="make up")
    file = backups.target(out, at)
    with backups.new_archive(settings, file, report) as path:
        dumps, packed = path.with_name("dumps"), path.with_name("dumps.tar")
        dumps.mkdir()
        for name in databases.SERVED:
            with (dumps / name).open("wb") as dump:
                _server(settings, "pg_dump", "--format=custom", f"--username={name}", name, stdout=dump)
        (dumps / inside.COUNTS).write_text(_counts(settings).model_dump_json())
        if secrets and secrets.exists():
            shutil.copy(secrets, dumps / contents.ENV.name)
        with tarfile.open(packed, "w") as tar:
            tar.add(dumps, arcname=".")
        with packed.open("rb") as source, path.open("xb") as sink:
            path.chmod(0o600)
            _inside(settings, report, "backup", at.isoformat(), stdin=source, stdout=sink)
    return file


def restore(
    settings: Settings, file: Path, report: Reporter, *, replace: bool = False, secrets: bool = False
) -> Manifest:
    """Fill new volumes with what an archive holds.

    Volumes cannot be renamed, so there must be none; when it fails, the new volumes are deleted again.
    """
    manifest = backups.read_manifest(file, dict.fromkeys(databases.SERVED, servers.KIND), report, secrets=secrets)
    _require_own_servers(settings)
    if volumes := docker.volumes(settings):
        raise StackError(
            ", ".join(volumes),
            found="state that the archive would replace",
            expected="no volumes of this name" + (", as YES=1 cannot rename them" if replace else ""),
            todo="make a backup, then `make clean`; or set STACK_NAME to restore beside it, on other ports",
        )
    if image.outdated():
        image.build(credentials.complete(settings), report)
    if secrets:
        backups.write_secrets(file, manifest)
        settings = load()
    _fill(credentials.complete(settings), file, manifest, report)
    backups.say_absent_projects(settings, file, manifest, report)
    report(f"restored {settings.name} as of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC; {manifest.summary}")
    return manifest


def _fill(settings: Settings, file: Path, manifest: Manifest, report: Reporter) -> None:
    """Start the database servers on new volumes and fill all; when that fails, the volumes are deleted again."""
    ownership.claim(settings)
    try:
        docker.compose(settings, "up", "--detach", "--wait", "--quiet-pull", "postgres", "redis")
        with TemporaryDirectory() as folder:
            archive.extract(file, Path(folder), manifest, lambda name: name.startswith("databases/"))
            for name in manifest.databases.keys() - databases.MADE_ANEW:
                with (Path(folder) / "databases" / name).open("rb") as dump:
                    _server(settings, *load_words(name), stdin=dump)
        with file.open("rb") as source:
            _inside(settings, report, "restore", stdin=source, stdout=subprocess.DEVNULL)
        databases.require_counts(settings.name, manifest, _counts(settings))
    except BaseException:
        docker.compose(settings, "down", "--volumes", check=False)
        raise
    docker.compose(settings, "down")


def load_words(name: str) -> list[str]:
    """Return the command that fills a database from a dump, as the user that the database belongs to.

    A superuser, whatever role is set, would run the programs that a dump names.
    """
    options = ("--exit-on-error", "--no-owner", "--no-comments", "--no-privileges")
    return ["pg_restore", *options, f"--username={name}", f"--dbname={name}"]


def _counts(settings: Settings) -> Counts:
    """Count what a user would miss first."""

    def query(database: str, text: str) -> list[str]:
        words = (f"--username={database}", "--no-align", "--tuples-only", "--command", text, database)
        return _server(settings, "psql", *words, stdout=subprocess.PIPE).splitlines()

    return Counts(
        champions=dict(line.rsplit("|", 1) for line in query("mlflow", servers.CHAMPIONS)),
        runs=int(query("mlflow", "SELECT count(*) FROM runs")[0]),
        predictions=int(query("state", "SELECT count(*) FROM predictions")[0]),
    )


def _server(
    settings: Settings,
    *words: str,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
) -> str:
    """Run a command in PostgreSQL's container, where its tools have the server's version; return its output."""
    command = ("exec", "--no-TTY", "postgres", *words)
    return docker.compose(settings, *command, what=f"{words[0]} in a container", stdin=stdin, stdout=stdout).stdout


def _inside(settings: Settings, report: Reporter, *words: str, stdin: IO[bytes], stdout: IO[bytes] | int) -> None:
    """Run the module `inside` in a container of our image, and report its notices."""
    # The service of the backups is the one that knows all databases.
    run = ("--progress", "quiet", "run", "--rm", "--no-deps", "--no-TTY", "backups")
    module = ("python", "-W", "ignore", "-m", inside.__name__)
    with docker.started(settings, *run, *module, *words, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE) as process:
        errors = []
        for line in process.stderr or ():
            if (notice := notices.parse(line)) is not None:
                report(notice)
            else:
                errors.append(line)
    if process.returncode:
        raise docker.failure(f"{words[0]} in a container", "".join(errors) or "no error output")


def _require_own_servers(settings: Settings) -> None:
    """Refuse to leave out, in silence, what lies elsewhere."""
    names = ("mlflow_database", "prefect_database", "feast_registry", "state_database")
    if elsewhere := set(map(key, names)) & set(docker.values(settings)):
        raise StackError(
            "backup",
            found=f"databases of your own: {', '.join(sorted(elsewhere))}",
            expected="those of the stack's PostgreSQL",
            todo="dump yours with their own tools, and the stack's without these keys",
        )
