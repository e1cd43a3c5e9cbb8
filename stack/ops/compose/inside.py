"""The part of a backup or restore that needs the state's volume: run in a container of our image.

``python -m stack.ops.compose.inside backup INSTANT < dumps.tar > archive`` and ``... restore < archive``.
"""

import shutil
import sys
import tarfile
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from stack.core import notices
from stack.core.settings import Settings, settings
from stack.ops import archive, backups, contents, databases, servers
from stack.ops.archive import Counts
from stack.ops.databases import Dumps
from stack.project import Project

FOLDER = ".backup-"
COUNTS = "counts.json"


def main(words: list[str]) -> None:
    """Write an archive to standard output, or restore the archive on standard input."""
    stack = settings()
    for leftover in stack.home.glob(f"{FOLDER}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with TemporaryDirectory(prefix=FOLDER, dir=stack.home) as folder:
        if words[0] == "backup":
            _backup(stack, Path(folder), datetime.fromisoformat(words[1]))
        else:
            _restore(stack, Path(folder))


def _backup(stack: Settings, folder: Path, at: datetime) -> None:
    """Read the dumps that the servers' own tools have made, add the files, write the archive to standard output."""
    dumps, file = folder / "dumps", folder / "archive.tar.gz"
    dumps.mkdir()
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for info in tar:
            if content := tar.extractfile(info):
                with (dumps / Path(info.name).name).open("wb") as sink:
                    shutil.copyfileobj(content, sink)

    def dump(into: Path) -> Dumps:
        for name in databases.SERVED:
            shutil.move(dumps / name, into / name)
        counts = Counts.model_validate_json((dumps / COUNTS).read_text())
        return Dumps(dict.fromkeys(databases.SERVED, servers.KIND), counts)

    report = partial(notices.emit, file=sys.stderr)
    with backups.exclusive(stack):
        backups.write(stack, file, at, report, secrets=dumps / contents.ENV.name, dump=dump)
    with file.open("rb") as complete:
        shutil.copyfileobj(complete, sys.stdout.buffer)


def _restore(stack: Settings, folder: Path) -> None:
    """Put the files of the archive on standard input in their places, and bring the features online again."""
    from stack.features import feature_tables, features
    from stack.specification import specs

    file = folder / "archive.tar.gz"
    with file.open("wb") as incoming:
        shutil.copyfileobj(sys.stdin.buffer, incoming)
    backups.put_files(stack, file, archive.verify(file))
    left_out = features.apply(stack)
    for name in set(specs.names()) - set(left_out):
        project = Project.open(name, stack)
        if (until := feature_tables.served_until(project)) > project.spec.clock.start:
            features.materialise(project, project.spec.clock.start, until)


if __name__ == "__main__":
    main(sys.argv[1:])
