"""The data registry as a git and DVC repository: opened one at a time, and whole again after a kill.

An append leaves a journal while it works. Whoever opens the repository next finds the journal of a killed append and
takes back what that append had not committed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from dvc.repo import Repo, lock_repo
from dvc.scm import Git
from filelock import FileLock

from stack.core.settings import Settings
from stack.lake import listings

REMOTE = "stack"
IDENTITY = {"name": "stack", "email": "stack@localhost"}


@contextmanager
def opened(settings: Settings) -> Iterator[Repo]:
    """Open the repository alone among all processes, in a sound state; make it when it is missing."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.home / "lake.lock"):
        if not settings.lake.exists():
            _make(settings)
        _configure(settings)
        # A user's `dvc status` may hold DVC's own lock: wait for it.
        with Repo(str(settings.lake), _wait_for_lock=True) as repo:
            _recover(repo)
            yield repo


@dataclass(frozen=True)
class Snapshot:
    """A project's files at one revision."""

    version: str
    """DVC's hash of the folder; empty before the first batch."""
    files: dict[tuple[str, str], str]
    """(table, batch) -> file in DVC's cache, in the order of the batches."""


def snapshot(repo: Repo, project: str, revision: str) -> Snapshot:
    """Look up a project's files at a revision, without checking anything out."""
    at, cache = version(repo, project, revision), repo.cache.local
    if not at:
        return Snapshot(at, {})
    if not cache.exists(at) and not _relisted(repo, project, revision, at):
        fetch(repo, revision)
    listed = listings.load(cache, at)
    files = {(table, name.removesuffix(".parquet")): cache.oid_to_path(info.value) for (table, name), _, info in listed}
    return Snapshot(at, dict(sorted(files.items(), key=lambda item: item[0][::-1])))


def version(repo: Repo, project: str, revision: str) -> str:
    """DVC's hash of a project's folder at a revision; empty before the first batch."""
    recorded = _blob(repo, f"{project}/raw.dvc", revision)
    return "" if recorded is None else str(yaml.safe_load(recorded)["outs"][0]["md5"])


def _relisted(repo: Repo, project: str, revision: str, at: str) -> bool:
    """Rebuild a file list that was thinned out, from the newest one and the commits up to the revision."""
    start, subject = repo.scm.resolve_rev(revision).encode(), f"Append {project} "
    walk = repo.scm.dulwich.repo.get_walker(include=[start])
    subjects = (entry.commit.message.decode().partition("\n")[0] for entry in walk)
    batches = {one.removeprefix(subject) for one in subjects if one.startswith(subject)}
    return listings.rebuild(repo.cache.local, at, version(repo, project, "HEAD"), batches)


def fetch(repo: Repo, revision: str) -> None:
    """Bring the files of a revision from the DVC remote into the cache."""
    repo.fetch(revs=[revision], workspace=False)


@contextmanager
def journal(repo: Repo, project: str, batch: str) -> Iterator[None]:
    """Record that a batch is being appended; a kill leaves the record behind."""
    path = _journal(repo)
    write(path, lambda new: new.write_text(json.dumps({"project": project, "batch": batch})))
    if not Path(repo.root_dir, project, "raw.dvc").exists():
        # Files added to a tracked folder are links to the cache; those that come with the folder are copies.
        folder(repo, project).mkdir(parents=True, exist_ok=True)
        repo.add([str(folder(repo, project))])
    yield
    path.unlink()


def folder(repo: Repo, project: str) -> Path:
    """The folder of a project's raw tables."""
    return Path(repo.root_dir, project, "raw")


def commit(repo: Repo, project: str, files: list[Path], message: str) -> str:
    """Add `files` to what DVC tracks for a project, and commit them to git; give the new revision."""
    tracked = Path(repo.root_dir, project, "raw.dvc")
    with repo.scm_context(quiet=True):
        repo.add([str(path) for path in files])
    repo.scm.add([str(tracked), str(tracked.with_name(".gitignore"))])
    repo.scm.commit(message, no_verify=True)
    found = str(repo.scm.get_rev())
    tracked_now = [path.parent.name for path in Path(repo.root_dir).glob("*/raw.dvc")]
    listings.thin(repo.cache.local, {version(repo, name, found) for name in tracked_now})
    return found


def revisions(repo: Repo) -> dict[str, str]:
    """Subject of each commit -> its revision."""
    walk = repo.scm.dulwich.repo.get_walker()
    return {entry.commit.message.decode().partition("\n")[0]: entry.commit.id.decode() for entry in walk}


def last_change(scm: Git, project: str) -> str:
    """The newest revision that changed what DVC tracks for a project; before its first batch, the newest of all."""
    newest = str(scm.get_rev())
    walk = scm.dulwich.repo.get_walker([newest.encode()], paths=[f"{project}/raw.dvc".encode()], max_entries=1)
    return next((entry.commit.id.decode() for entry in walk), newest)


def frame(paths: Iterable[str], columns: list[str], *, only: bool = False) -> pd.DataFrame:
    """Read parquet files as one frame; a column that is all null in one file takes its type from the others.

    Args:
        paths: files of one table.
        columns: columns that an empty frame has.
        only: leave other columns out.
    """
    parts = [pq.ParquetFile(path).read(columns=columns if only else None) for path in paths]
    whole = (
        pa.concat_tables(parts, promote_options="permissive").to_pandas() if parts else pd.DataFrame(columns=columns)
    )
    return cast(pd.DataFrame, whole)


def write(path: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write a file that is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    fill(new)
    new.replace(path)


def _make(settings: Settings) -> None:
    """Build the repository aside and move it into place, so that a kill leaves none or a whole one."""
    new = settings.home / "lake.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    Git.init(str(new)).close()
    (new / ".git/HEAD").write_text("ref: refs/heads/main\n")
    with Repo.init(str(new)) as repo:
        with repo.config.edit() as config:
            config["core"] |= {"analytics": False, "check_update": False, "autostage": True}
            # One copy of the data: the working tree links to the cache, write-protected.
            config["cache"]["type"] = ["hardlink", "copy"]
        identity = repo.scm.dulwich.repo.get_config()
        for key, value in IDENTITY.items():
            identity.set((b"user",), key.encode(), value.encode())
        identity.write_to_path()
        repo.scm.add([str(new / name) for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore")])
        repo.scm.commit("Prepare the data registry", no_verify=True)
        shutil.rmtree(repo.site_cache_dir, ignore_errors=True)
    new.rename(settings.lake)


def _configure(settings: Settings) -> None:
    """Write what differs between two stacks into DVC's untracked configuration: scratch folder and remote."""
    wanted = ["[core]", f"    site_cache_dir = {settings.lake}/.dvc/tmp/site"]
    if settings.lake_remote:
        wanted += [f"    remote = {REMOTE}", f"['remote \"{REMOTE}\"']", f"    url = {settings.lake_remote}"]
    path, text = settings.lake / ".dvc/config.local", "\n".join([*wanted, ""])
    if not path.exists() or path.read_text() != text:
        write(path, lambda new: new.write_text(text))


def _recover(repo: Repo) -> None:
    """Take back what a killed append has left behind."""
    if not _journal(repo).exists():
        return
    left = json.loads(_journal(repo).read_text())
    project, batch = left["project"], left["batch"]
    with lock_repo(repo):
        # DVC writes it in place; nobody else holds DVC's lock now, so its entries are of the dead.
        Path(repo.tmp_dir, "rwlock").unlink(missing_ok=True)
    for lock in Path(repo.root_dir, ".git").rglob("*.lock"):
        lock.unlink(missing_ok=True)
    known = snapshot(repo, project, repo.scm.get_rev())
    for path in folder(repo, project).glob("*/*"):
        # DVC tries links out on files of its own, .<random>.tmp, beside the data.
        ours = batch in path.name or path.suffix == ".tmp"
        if ours and (path.suffix != ".parquet" or (path.parent.name, batch) not in known.files):
            path.unlink()
    for name in (f"{project}/raw.dvc", f"{project}/.gitignore"):
        _restore(repo, name)
    _journal(repo).unlink()


def _restore(repo: Repo, name: str) -> None:
    """Set a file, in the working tree and in git's index, to what HEAD holds."""
    recorded, path = _blob(repo, name, "HEAD"), Path(repo.root_dir, name)
    if recorded is None:
        path.unlink(missing_ok=True)
    elif not path.exists() or path.read_bytes() != recorded:
        write(path, lambda new: new.write_bytes(recorded))
    with suppress(KeyError):  # neither in HEAD nor in the index
        repo.scm.dulwich.repo.get_worktree().unstage([name])


def _blob(repo: Repo, name: str, revision: str) -> bytes | None:
    """Content of a file at a revision; None when it has none."""
    files = repo.scm.get_fs(revision)
    return bytes(files.cat_file(f"/{name}")) if files.exists(f"/{name}") else None


def _journal(repo: Repo) -> Path:
    return Path(repo.tmp_dir, "append.json")
