"""The file lists of old versions: DVC writes one a version, each as long as the lake has batches.

Of hourly batches that is 4 GB a year and table, and grows with the square of the time. The lake only ever grows, so an
old list is a part of the newest one, and its hash says whether it was rebuilt right: only the last ones are kept.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

KEPT = 100
"""Lists of all projects; DVC's own commands reach so many versions back by themselves."""
AT_ONCE = 20
"""A batch should not wait for the lists of years."""


def load(cache: HashFileDB, version: str) -> Tree:
    """The list of a version, which the cache has."""
    return Tree.load(cache, HashInfo("md5", version), hash_name="md5")


def thin(cache: HashFileDB, newest: Collection[str]) -> int:
    """Delete old lists that are a part of one of the newest; a user's own are not. Returns how many."""
    lists = sorted(Path(cache.path).glob("??/*.dir"), key=lambda path: path.stat().st_mtime_ns)
    old = [path for path in lists[:-KEPT] if path.parent.name + path.name not in newest]
    whole = [_entries(cache, version) for version in newest] if old else []
    gone = 0
    for path in old:
        part = _entries(cache, path.parent.name + path.name)
        if any(part <= one for one in whole):
            path.unlink()
            gone += 1
        if gone == AT_ONCE:
            break
    return gone


def rebuild(cache: HashFileDB, version: str, newest: str, batches: Collection[str]) -> bool:
    """Put the list of an old version back into the cache.

    Args:
        cache: of the lake.
        version: its hash.
        newest: version that the cache has the list of.
        batches: that the old version held.

    Returns:
        Whether the rebuilt list has the hash.
    """
    if version == newest or not cache.exists(newest):
        return False
    files = load(cache, newest).as_list()
    then = [file for file in files if file["relpath"].rpartition("/")[2].removesuffix(".parquet") in batches]
    tree = Tree.from_list(then, hash_name="md5")
    tree.digest()
    if tree.oid != version:
        return False
    cache.add(tree.path, tree.fs, tree.oid)
    return True


def _entries(cache: HashFileDB, version: str) -> set[tuple[str, str]]:
    return {(file["relpath"], file["md5"]) for file in load(cache, version).as_list()}
