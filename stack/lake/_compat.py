"""Every reach beneath the documented interface of DVC, dvc-data and scmrepo.

DVC documents its command line and `dvc.api`, which only reads. `dvc.repo.Repo` mirrors the commands but is not
promised to stay (https://github.com/treeverse/dvc/issues/5050, https://github.com/treeverse/dvc/issues/7071).
`tests/stack/lake/test_compat.py` fails when one of these has changed.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import cast

from dvc.exceptions import UploadError
from dvc.repo import Repo
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from dvc_objects.errors import ObjectFormatError
from dvc_objects.fs.local import localfs

ALGORITHM = "md5"
UNREADABLE_LIST = (ObjectFormatError,)
"""What `read_list` raises where the list in the cache is damaged."""


def open_repo(root: Path) -> Repo:
    """Open a repository whose lock is waited for.

    Tool: DVC
    Reach: dvc.repo.Repo(_wait_for_lock=True)
    Why: A user's `dvc status` may hold the lock; the command line has `--wait-for-lock`, the class no public argument.
    Upstream: https://github.com/treeverse/dvc/pull/10784
    """
    return Repo(str(root), _wait_for_lock=True)


def lock(repo: Repo) -> AbstractContextManager[object]:
    """Hold DVC's own lock.

    Tool: DVC
    Reach: dvc.repo.Repo.lock
    Why: A user's `dvc gc` must not delete what is about to be committed.
    Upstream: https://github.com/treeverse/dvc/issues/5050
    """
    return cast(AbstractContextManager[object], repo.lock)


def read_list(repo: Repo, version: str) -> dict[str, str]:
    """Read the file list of a folder from the cache: path -> hash. FileNotFoundError if the cache lacks it.

    Tool: DVC
    Reach: dvc_data.hashfile.tree.Tree, dvc.repo.Repo.cache.local
    Why: A revision is read without checking it out.
    Upstream: https://github.com/treeverse/dvc/issues/7071
    """
    tree = Tree.load(repo.cache.local, HashInfo(ALGORITHM, version), hash_name=ALGORITHM)
    return {"/".join(key): str(info.value) for key, _, info in tree}


def write_list(repo: Repo, files: Mapping[str, str], wanted: str | None = None) -> str:
    """Put the file list of a folder into the cache, and return its hash.

    Tool: DVC
    Reach: dvc_data.hashfile.tree.Tree.from_list, HashFileDB.add
    Why: `dvc add` loads every .dvc file of the repository first, so an append would cost more with each one.
    Upstream: https://github.com/treeverse/dvc/issues/8768

    Args:
        repo: of the cache.
        files: path -> hash.
        wanted: keep only a list that has this hash.
    """
    tree = Tree.from_list([{"relpath": path, ALGORITHM: oid} for path, oid in files.items()], hash_name=ALGORITHM)
    tree.digest()
    if wanted in (None, tree.oid):
        repo.cache.local.add(tree.path, tree.fs, tree.oid, verify=True)
    return str(tree.oid)


def has(repo: Repo, version: str) -> bool:
    """Say whether the cache has an object."""
    return bool(repo.cache.local.exists(version))


def cached(repo: Repo, oid: str) -> str:
    """Path of an object in the cache."""
    return str(repo.cache.local.oid_to_path(oid))


def store(repo: Repo, path: Path) -> str:
    """Link a file of the working tree into the cache, write-protect both, and return its hash.

    Tool: DVC
    Reach: dvc_data.hashfile.hash.hash_file, HashFileDB.add(hardlink=True)
    Why: As for the list: `dvc add` of a file loads every .dvc file first.
    Upstream: https://github.com/treeverse/dvc/issues/8768
    """
    _, info = hash_file(str(path), localfs, ALGORITHM, state=repo.state)
    # A copy that a kill has cut short is not write-protected yet: verified, it is replaced.
    repo.cache.local.add(str(path), localfs, info.value, hardlink=True, verify=True)
    return str(info.value)


def checked_out(repo: Repo, folder: Path) -> None:
    """Let `dvc checkout` of a revision without this folder remove it, as if `dvc checkout` had made it.

    Tool: DVC
    Reach: dvc.repo.Repo.state.save_link
    Why: DVC removes only folders that it remembers to have linked.
    Upstream: none known
    """
    repo.state.save_link(str(folder), localfs)


def push(repo: Repo, version: str) -> None:
    """Upload a folder's list and files to the default remote.

    Tool: DVC
    Reach: dvc.repo.Repo.cloud.push
    Why: `Repo.push` loads the other .dvc files too.
    Upstream: https://github.com/treeverse/dvc/issues/8768
    """
    oids = [version, *read_list(repo, version).values()]
    failed = repo.cloud.push([HashInfo(ALGORITHM, oid) for oid in oids]).failed
    if failed:
        raise UploadError(len(failed))
