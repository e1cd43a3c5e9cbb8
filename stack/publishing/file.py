"""Append answers to a file, CSV or JSON lines."""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from stack.core import files
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.publishing.messages import columns
from stack.publishing.outbox import Message
from stack.specification.sinks import File
from stack.specification.specs import ProjectSpec

TAIL_BYTES = 4 << 20
"""What is read of the end of a file; the answers of one delivery take less."""


class Receiver:
    """A file that grows. A kill leaves at most some whole lines and one that is cut off."""

    def __init__(self, settings: Settings, spec: ProjectSpec, sink: File) -> None:
        self.path = settings.home / "published" / spec.name / sink.path
        self._columns = [*columns(spec)]
        self._is_csv = self.path.suffix == ".csv"

    def deliver(self, messages: Sequence[Message]) -> Iterator[int]:
        """Append the answers that the end of the file lacks. StackError: a CSV file has other columns."""
        if not messages:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            written = self._last_lines(file)
            lines = [line for line in map(self._line, messages) if line not in written]
            if self._is_csv:
                lines = [*self._header(file), *lines]
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        files.sync(self.path.parent)
        yield len(messages)

    def close(self) -> None:
        """Do nothing: the file is open for one delivery alone."""

    def _last_lines(self, file: BinaryIO) -> set[bytes]:
        """Return the last lines, after removing one that was cut off."""
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        tail = file.read()
        whole = tail[: tail.rfind(b"\n") + 1]
        file.truncate(size - len(tail) + len(whole))
        return {*whole.splitlines(keepends=True)}

    def _header(self, file: BinaryIO) -> list[bytes]:
        """Return the line of the columns, for an empty file; of any other it is compared."""
        header = _csv(self._columns)
        file.seek(0)
        first = file.readline()
        if first and first != header:
            found, expected = (line.decode(errors="replace").strip() for line in (first, header))
            raise StackError(f"{self.path}, line 1", found=found, expected=expected, todo="move the file away")
        return [] if first else [header]

    def _line(self, message: Message) -> bytes:
        if self._is_csv:
            return _csv([message.get(name) for name in self._columns])
        return json.dumps(message, ensure_ascii=False).encode() + b"\n"


def _csv(values: Sequence[Any]) -> bytes:
    """Return a line of CSV; a line break within a value becomes a space."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([_one_line(value) for value in values])
    return line.getvalue().encode() + b"\n"


def _one_line(value: Any) -> Any:
    return " ".join(value.splitlines()) if isinstance(value, str) else value
