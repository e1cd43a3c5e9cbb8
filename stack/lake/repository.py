"""The data registry as a git and DVC repository: opened by one process at a time, and consistent after a kill.

An append keeps a journal while it runs. Where a killed append has left its journal, the next to open the repository
removes what that append had not committed.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from dvc.repo import Repo
from dvc.scm import Git
from filelock import FileLock
from scmrepo.git.objects import GitObject

from stack.core.files import write as write
from stack.core.settings import Settings
from stack.core.wait import wait_until
from stack.lake import _compat, history, windows

REMOTE = "stack"
CONFIGURATION = {
    ".git/config": "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
    "\tlogallrefupdates = true\n[user]\n\tname = stack\n\temail = stack@localhost\n",
    # One copy of the data: the working tree links to the cache, write-protected.
    ".dvc/config": "[core]\n    analytics = False\n    check_update = False\n    autostage = True\n"
    "[cache]\n    type = hardlink, copy\n",
}
"""File -> text: the configuration of git and of DVC."""
IGNORED = "/*/[0-9][0-9][0-9][0-9]-[0-9][0-9]/*/*\n"
"""What git ignores: the content of the folders that DVC tracks."""
MONTH = re.compile(r"\d{4}-\d{2}")
JOURNAL = "append.json"
LOCK_SECONDS = 5.0
"""For which a lock of a git command of the user's is waited for."""
OLD_FILE = "raw.dvc"
"""One folder a project, as the layout before partitions had it; old revisions have it still."""


@dataclass(frozen=True)
class Repository:
    """The git and DVC repository of a stack."""

    settings: Settings


@contextmanager
def opened(settings: Settings) -> Iterator[Repo]:
    """Open the repository, alone among all processes, in a consistent state; create it where it is missing."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.home / "lake.lock"):
        if not settings.lake.exists():
            _make(settings)
        _unlock(settings.lake / ".git")
        _configure(settings)
        with _compat.open_repo(settings.lake) as repo:
            _recover(repo)
            yield repo


def partitions(repo: Repo, project: str, revision: str) -> Iterator[tuple[str, GitObject]]:
    """Iterate over a project's partitions at a revision, newest first: folder below the project's, .dvc file."""
    tree = history.entry(repo.scm, revision, project)
    for child in _newest_first(tree) if tree else ():
        if child.name == OLD_FILE:
            yield child.name.removesuffix(".dvc"), child
        elif MONTH.fullmatch(child.name):
            for file in _newest_first(child):
                if file.name.endswith(".dvc"):
                    yield f"{child.name}/{file.name.removesuffix('.dvc')}", file


def _newest_first(folder: GitObject) -> list[GitObject]:
    return sorted(folder.scandir(), key=lambda child: str(child.name), reverse=True)


def files(repo: Repo, file: GitObject, revision: str) -> dict[tuple[str, str], str]:
    """Return what a .dvc file of a revision tracks: (table, batch) -> file in DVC's cache, in the order of batches."""
    if not _compat.has(repo, version(file)):
        fetch(repo, revision)
    listed = {PurePosixPath(path): oid for path, oid in _compat.read_list(repo, version(file)).items()}
    return _ordered({(path.parent.name, path.stem): _compat.cached(repo, oid) for path, oid in listed.items()})


def snapshot(
    repo: Repo, project: str, revision: str, since: datetime | None = None, until: datetime | None = None
) -> dict[tuple[str, str], str]:
    """Return the :func:`files` of a project's partitions at a revision that may overlap (since, until]."""
    parts = partitions(repo, project, revision)
    overlapping = [files(repo, file, revision) for name, file in parts if windows.may_overlap(name, since, until)]
    return _ordered({key: path for part in overlapping for key, path in part.items()})


def _ordered(files: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    return dict(sorted(files.items(), key=lambda item: item[0][::-1]))


def version(file: GitObject) -> str:
    """Return the hash of the list that a .dvc file refers to."""
    return str(_out(file)["md5"])


def _out(file: GitObject) -> dict[str, Any]:
    """Read the entry of a .dvc file about its folder."""
    return dict(yaml.safe_load(file.open("rb"))["outs"][0])


def fetch(repo: Repo, revision: str) -> None:
    """Download the files of a revision from the DVC remote into the cache."""
    repo.fetch(revs=[revision], workspace=False)


def push_all_once(repo: Repo, remote: str) -> None:
    """Push the batches from before this remote was set; `commit` pushes each later batch."""
    mark = scratch(repo) / "pushed"
    if not mark.exists() or mark.read_text() != remote:
        repo.push()
        write(mark, remote)


def forget_pushed(repo: Repo) -> None:
    """Let the next append push everything."""
    (scratch(repo) / "pushed").unlink(missing_ok=True)


@contextmanager
def journal(repo: Repo, **work: str) -> Iterator[None]:
    """Record the work for as long as it takes; a kill leaves the record."""
    path = scratch(repo) / JOURNAL
    write(path, json.dumps(work))
    yield
    path.unlink()


def commit(repo: Repo, folder: Path, added: Iterable[Path], message: str) -> str:
    """Add files to a folder that DVC tracks, push and commit them; return the new revision."""
    tracked = track(repo, folder, {path.relative_to(folder).as_posix(): path for path in added})
    if repo.config["core"].get("remote") == REMOTE:
        _compat.push(repo, yaml.safe_load(tracked.read_text())["outs"][0]["md5"])
    repo.scm.add([str(tracked)])
    repo.scm.commit(message, no_verify=True)
    return str(repo.scm.get_rev())


def remove(repo: Repo, project: str) -> None:
    """Delete the folder of a project, and commit that."""
    folder = Path(repo.root_dir, project)
    shutil.rmtree(folder, ignore_errors=True)
    if tree := history.entry(repo.scm, "HEAD", project):
        repo.scm.add([str(Path(repo.root_dir, project, path)) for path in _below(tree)])
        repo.scm.commit(history.message(f"Remove {project}", "", **{history.REMOVED: project}), no_verify=True)


def _below(tree: GitObject) -> Iterator[str]:
    """Iterate over the paths of the files below a folder."""
    for child in tree.scandir():
        yield from (f"{child.name}/{path}" for path in _below(child)) if child.isdir else [str(child.name)]


def track(repo: Repo, folder: Path, added: Mapping[str, Path]) -> Path:
    """Add files (path below the folder -> file) to those that HEAD tracks in it; write and return its .dvc file."""
    tracked = folder.with_name(f"{folder.name}.dvc")
    known = history.entry(repo.scm, "HEAD", tracked.relative_to(repo.root_dir).as_posix())
    out = _out(known) if known else {}
    listed = _compat.read_list(repo, out["md5"]) if out else {}
    listed |= {name: _compat.store(repo, path) for name, path in added.items()}
    return track_list(repo, folder, listed, out.get("size", 0) + sum(path.stat().st_size for path in added.values()))


def track_list(repo: Repo, folder: Path, listed: Mapping[str, str], size: int) -> Path:
    """Write the list of a folder and its .dvc file, as `dvc add` does; return the .dvc file."""
    out = {"md5": _compat.write_list(repo, listed), "size": size, "nfiles": len(listed), "hash": "md5"}
    tracked, content = folder.with_name(f"{folder.name}.dvc"), {"outs": [out | {"path": folder.name}]}
    write(tracked, yaml.safe_dump(content, sort_keys=False))
    _compat.checked_out(repo, folder)
    return tracked


def frame(paths: Iterable[str], columns: list[str], *, only: bool = False) -> pd.DataFrame:
    """Read the parquet files of a table; a column that is all null in a file takes its type from the others.

    Without files the frame is empty, with these columns; with `only`, no other column is read.
    """
    return joined([pq.ParquetFile(path).read(columns=columns if only else None) for path in paths], columns)


def joined(parts: list[pa.Table], columns: list[str]) -> pd.DataFrame:
    """Return the rows of some files of a table as a frame, and empty the list: the rows are in memory once."""
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pa.concat_tables(parts, promote_options="permissive")
    parts.clear()
    return cast(pd.DataFrame, table.to_pandas(self_destruct=True))


def _make(settings: Settings) -> None:
    """Create the repository in a folder beside, and rename it, so that a kill leaves all of it or nothing."""
    new = settings.home / "lake.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    Git.init(str(new)).close()
    (new / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (new / ".gitignore").write_text(IGNORED)
    with Repo.init(str(new)) as repo:
        for name, text in CONFIGURATION.items():
            (new / name).write_text(text)
        repo.scm.add([str(new / name) for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore")])
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
        write(path, text)


def _unlock(git: Path) -> None:
    """Delete the locks of a git command that was killed: one that works still releases its own within moments."""
    locks = [path for pattern in ("*.lock", "refs/heads/*.lock") for path in git.glob(pattern)]
    if not wait_until(lambda: not any(path.exists() for path in locks), LOCK_SECONDS):
        for lock in locks:
            lock.unlink(missing_ok=True)


def _recover(repo: Repo) -> None:
    """Remove what a killed append has left."""
    path = scratch(repo) / JOURNAL
    if not path.exists():
        return
    work = json.loads(path.read_text())
    for lock in Path(repo.root_dir, ".git").rglob("*.lock"):
        lock.unlink(missing_ok=True)
    if "batch" in work:
        _remove(repo, work["project"], work.get("partition", OLD_FILE.removesuffix(".dvc")), work["batch"])
    path.unlink()


def _remove(repo: Repo, project: str, partition: str, batch: str) -> None:
    """Delete the files of a batch that HEAD does not track, and restore what git tracks of their folder."""
    folder = Path(repo.root_dir, project, partition)
    file = history.entry(repo.scm, "HEAD", f"{project}/{partition}.dvc")
    known = files(repo, file, "HEAD") if file else {}
    for path in folder.glob("*/*"):
        # Older releases let DVC try links out, on files of its own beside the data: .<random>.tmp.
        ours = batch in path.name or path.suffix == ".tmp"
        if ours and (path.suffix != ".parquet" or (path.parent.name, batch) not in known):
            path.unlink()
    for name in (f"{project}/{partition}.dvc", f"{project}/.gitignore"):
        _restore(repo, name)


def _restore(repo: Repo, name: str) -> None:
    """Set a file, in the working tree and in git's index, to what HEAD holds."""
    recorded, path = history.content(repo.scm, "HEAD", name), Path(repo.root_dir, name)
    if recorded is None:
        path.unlink(missing_ok=True)
    elif not path.exists() or path.read_bytes() != recorded:
        write(path, recorded)
    repo.scm.add([str(path)])


def scratch(repo: Repo) -> Path:
    """Return DVC's folder for what git does not track."""
    return Path(repo.root_dir, ".dvc", "tmp")
