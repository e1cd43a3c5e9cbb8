"""The part of a backup or restore that needs the state's volume: run in a container of our image.

``python -m stack.ops.compose.inside backup INSTANT < dumps.tar > archive`` and ``... restore < archive``.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from stack.core import notices
from stack.core.settings import Settings, settings
from stack.ops import archive, backups, contents, databases, restores
from stack.ops.archive import Counts
from stack.ops.databases import Dumps
from stack.project import Project

FOLDER = ".backup-"
COUNTS = "counts.json"
KIND = "postgresql"


def main(words: list[str]) -> None:
    """Do one of the two."""
    stack = settings()
    for left in stack.home.glob(f"{FOLDER}*"):
        shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=FOLDER, dir=stack.home) as folder:
        if words[0] == "backup":
            _backup(stack, Path(folder), datetime.fromisoformat(words[1]))
        else:
            _restore(stack, Path(folder))


def _backup(stack: Settings, folder: Path, at: datetime) -> None:
    """Read the dumps, add the files, write the archive to standard output."""
    given = folder / "given"
    given.mkdir()
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for info in tar:
            if content := tar.extractfile(info):
                with (given / Path(info.name).name).open("wb") as file:
                    shutil.copyfileobj(content, file)
    written = backups.write(
        stack,
        folder / "made.tar.gz",
        at,
        partial(notices.emit, file=sys.stderr),
        secrets=given / contents.ENV.name,
        dump=partial(_given, given),
    )
    with written.file.open("rb") as whole:
        shutil.copyfileobj(whole, sys.stdout.buffer)


def _given(given: Path, folder: Path) -> Dumps:
    """Return the dumps that the servers' own tools have made."""
    for name in databases.SERVED:
        shutil.move(given / name, folder / name)
    return Dumps(dict.fromkeys(databases.SERVED, KIND), Counts.model_validate_json((given / COUNTS).read_text()))


def _restore(stack: Settings, folder: Path) -> None:
    """Put the files of the archive on standard input in their places, and bring the features online again."""
    from stack.features import datasets, features
    from stack.specification import specs

    file = folder / "archive.tar.gz"
    with file.open("wb") as incoming:
        shutil.copyfileobj(sys.stdin.buffer, incoming)
    restores.put_files(stack, file, archive.verify(file))
    left_out = features.apply(stack)
    for name in set(specs.names()) - set(left_out):
        spec = specs.load(name)
        if (until := datasets.served_until(Project(stack, spec))) > spec.clock.start:
            features.materialise(Project(stack, spec), spec.clock.start, until)


if __name__ == "__main__":
    main(sys.argv[1:])
