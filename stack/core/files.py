"""Write files as a whole or not at all, whenever a process is killed."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"
"""Ending of a file that is still being written; a backup leaves such files out."""


def partial(path: Path) -> Path:
    """Return where a file is written before it is complete: hidden, in its folder, so that a rename is atomic."""
    return path.with_name(f".{path.name}{PARTIAL}")


def write(path: Path, content: str | bytes | Callable[[Path], object], *, durable: bool = False, mode: int = 0) -> None:
    """Write a file, and its missing folders, in one step: readers see the old content or the new one, never a part.

    Args:
        content: text (UTF-8), bytes, or a function that fills its argument, a path.
        durable: return only when content and name have reached the disk.
        mode: permissions; those of the process's umask when 0.
    """
    with replacing(path, durable=durable, mode=mode) as new:
        if callable(content):
            content(new)
        else:
            new.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, *, durable: bool = False, mode: int = 0) -> Iterator[Path]:
    """Give a path to fill, which replaces `path` when the context ends well and is gone when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = partial(path)
    new.unlink(missing_ok=True)
    if mode:
        new.touch(mode)
    try:
        yield new
        if durable:
            sync(new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
