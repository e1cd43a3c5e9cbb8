"""Migrate the layout of a lake: from a DVC-tracked folder for each project to partitions.

History stays, so that every revision keeps its name. Old revisions need their file lists, of which earlier releases
deleted the older ones: as the lake only grew, each is a part of the newest list, and its hash verifies the rebuilt one.
"""

from collections import defaultdict
from pathlib import Path

import yaml
from dvc.repo import Repo

from stack.core import disk
from stack.core.settings import Settings
from stack.lake import _compat, history, repository
from stack.lake.windows import partition

OLD_FOLDER = repository.OLD_FILE.removesuffix(".dvc")


def run(settings: Settings, repo: Repo) -> list[str]:
    """Bring the layout up to date, where it is not; return the projects whose data was partitioned.

    Killed at any point, it is completed by the next run. DiskFullError: the lists of old revisions need more space.
    """
    projects = [
        project.name
        for project in repo.scm.get_tree_obj("HEAD").scandir()
        if project.isdir and any(file.name == repository.OLD_FILE for file in project.scandir())
    ]
    ignored = (history.content(repo.scm, "HEAD", ".gitignore") or b"").decode()
    if not projects and repository.IGNORED in ignored:
        return []
    with repository.journal(repo), _compat.lock(repo):
        # DVC writes it in place, so a killed append of an earlier release may have left a part of it.
        (repository.scratch(repo) / "rwlock").unlink(missing_ok=True)
        changed = [Path(repo.root_dir, ".gitignore")]
        repository.write(changed[0], ignored + repository.IGNORED)
        for project in projects:
            _rebuild_lists(settings, repo, project)
            changed += _partition(repo, project)
        repo.scm.add([str(path) for path in changed])
        subject = f"Partition {', '.join(projects)}" if projects else "Ignore partitions"
        repo.scm.commit(history.message(subject, "The data is the same.", **{history.LAYOUT: "2"}), no_verify=True)
        repository.forget_pushed(repo)
    return projects


def _rebuild_lists(settings: Settings, repo: Repo, project: str) -> None:
    """Put the lists that old revisions need back into the cache."""
    newest = _compat.read_list(repo, _list(repo, project, "HEAD"))
    batches: set[str] = set()
    for batch, revision in reversed(list(history.revisions(repo.scm, project))):
        batches.add(batch)
        version = _list(repo, project, revision)
        if not _compat.has(repo, version):
            disk.require_reserve(settings, f"file list of {project} at {revision}")
            then = {path: oid for path, oid in newest.items() if Path(path).stem in batches}
            _compat.write_list(repo, then, wanted=version)


def _list(repo: Repo, project: str, revision: str) -> str:
    """Hash of the file list of a revision, which the cache or the remote has if it is the newest."""
    recorded = history.content(repo.scm, revision, f"{project}/{repository.OLD_FILE}") or b""
    version = str(yaml.safe_load(recorded)["outs"][0]["md5"])
    if revision == "HEAD" and not _compat.has(repo, version):
        repository.fetch(repo, revision)
    return version


def _partition(repo: Repo, project: str) -> list[Path]:
    """Move a project's files into partitions; return the files that git tracks, new and deleted."""
    home, parts = Path(repo.root_dir, project), defaultdict[str, dict[str, str]](dict)
    for path, oid in _compat.read_list(repo, _list(repo, project, "HEAD")).items():
        parts[partition(Path(path).stem)][path] = oid
        former = home / OLD_FOLDER / path
        if former.exists():
            new = home / partition(former.stem) / path
            new.parent.mkdir(parents=True, exist_ok=True)
            former.replace(new)
    changed = [home / repository.OLD_FILE]
    for name, listed in parts.items():
        cached = [Path(_compat.cached(repo, oid)) for oid in listed.values()]
        size = sum(path.stat().st_size for path in cached if path.exists())
        changed.append(repository.track_list(repo, home / name, listed, size))
    for folder in [*(home / OLD_FOLDER).glob("*"), home / OLD_FOLDER]:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    changed[0].unlink(missing_ok=True)
    for keys in repository.scratch(repo).glob("keys-*.npz"):
        keys.unlink()
    return changed
