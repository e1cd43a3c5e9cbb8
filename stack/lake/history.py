"""The lake's git history: files at a revision, and the commit of each batch.

A commit names its batch in trailers, ``Project:`` and ``Batch:``; older commits in the subject alone.
"""

import re
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import PurePosixPath

from dvc.scm import Git
from scmrepo.git.objects import GitCommit, GitObject

LAYOUT = "Layout"
"""Trailer of a commit that changes how data is stored, not the data."""
REMOVED = "Removed"
"""Trailer of the commit that removes a project's data."""
OLD_SUBJECT = re.compile(r"Append (\S+) (\S+)")


def message(subject: str, body: str, **trailers: str) -> str:
    """Return a commit message with trailers."""
    lines = "\n".join(f"{name}: {value}" for name, value in trailers.items())
    return "\n\n".join(part for part in (subject, body, lines) if part) + "\n"


def entry(scm: Git, revision: str, path: str) -> GitObject | None:
    """Look up a file or folder at a revision, reading only the trees on the way to it."""
    node = scm.get_tree_obj(scm.resolve_rev(revision))
    for name in PurePosixPath(path).parts:
        node = next((child for child in node.scandir() if child.name == name), None)
        if node is None:
            return None
    return node


def content(scm: Git, revision: str, path: str) -> bytes | None:
    """Read a file at a revision; None if there is none."""
    node = entry(scm, revision, path)
    return None if node is None else bytes(node.open("rb").read())


def commits(scm: Git, revision: str = "HEAD") -> Iterator[GitCommit]:
    """Iterate over the commits up to a revision, newest first."""
    return map(scm.resolve_commit, scm.branch_revs(revision))


def revisions(scm: Git, project: str) -> Iterator[tuple[str, str]]:
    """Iterate over (batch, revision) of a project, newest first, back to the removal of an earlier one of its name."""
    for commit in commits(scm):
        if _trailers(commit).get(REMOVED) == project:
            return
        trailers, old = _trailers(commit), OLD_SUBJECT.fullmatch(commit.message.partition("\n")[0])
        if trailers.get("Project", old and old[1]) == project:
            yield str(trailers.get("Batch", old and old[2])), commit.hexsha


def last_change(scm: Git, project: str) -> str:
    """Find the newest revision that changed a project's data; before its first batch, the newest of all."""
    newest = str(scm.get_rev())
    sha = _sha(scm, newest, project)
    for commit in commits(scm) if sha else ():
        before = _sha(scm, commit.parents[0], project) if commit.parents else ""
        if before != sha and LAYOUT not in _trailers(commit):
            return str(commit.hexsha)
        sha = before
    return newest


def _sha(scm: Git, revision: str, path: str) -> str:
    node = entry(scm, revision, path)
    return "" if node is None else str(node.sha)


def _trailers(commit: GitCommit) -> Message:
    """Parse the last paragraph of a message; git's trailers look like the headers of a mail."""
    return HeaderParser().parsestr(commit.message.rstrip().rpartition("\n\n")[2])
