"""Where files are: a folder of this machine, or a URL that fsspec reads; ``s3://`` by pyarrow's own client."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec.compression import compr
from fsspec.core import get_compression
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.local import LocalFileSystem

from stack.core import secrets
from stack.core.errors import StackError, UnavailableError
from stack.sources import key
from stack.specification.sources import File, Folder, Storage

REFUSED = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|NO_SUCH|NOT_FOUND|HTTP status 4|\b40[0134]\b|Permission denied"
)
S3_SECONDS = 20
LOCAL = LocalFileSystem()


def locate(source: File | Folder, folder: Path) -> tuple[Any, str]:
    """Return the file system (fsspec) of a source, and the path in it."""
    path = secrets.resolve(source.path, key(folder, "path"))
    if path.startswith("s3://"):
        return _s3(source.storage, folder), path.removeprefix("s3://").rstrip("/")
    if "://" in path:
        files, path = fsspec.url_to_fs(path)
        return files, path
    return LOCAL, str(folder / Path(path).expanduser())


def is_local(files: Any) -> bool:
    """Return whether a file system is this machine's."""
    return isinstance(files, LocalFileSystem)


def has_times(files: Any) -> bool:
    """Return whether a file system says when each file was changed."""
    return is_local(files) or _is_s3(files)


def opened(files: Any, path: str) -> IO[bytes]:
    """Open a file, uncompressed where its ending says how; the content of a web server is fetched as a whole."""
    content = files.open(path, "rb") if has_times(files) else BytesIO(files.cat_file(path))
    unpacked: IO[bytes] = compr[get_compression(path.partition("?")[0], "infer")](content, mode="rb")
    return unpacked


@contextmanager
def explained(source: File | Folder, folder: Path) -> Iterator[None]:
    """Turn what a file system raises into an error that says what to do."""
    where = key(folder, "path")
    try:
        yield
    except StackError:
        raise
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        todo = "put it there, or correct the path"
        raise StackError(
            where, found=f"no {source.kind} {source.path}", expected=f"a {source.kind}", todo=todo
        ) from None
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__module__.split(".")[0] not in ("aiohttp", "asyncio"):
            raise
        found = f"{source.path}: {secrets.redact(' '.join(str(error).split()))[:300] or type(error).__name__}"
        if isinstance(error, PermissionError) or REFUSED.search(str(error)):
            todo = "correct the path, and the keys that source.storage names"
            raise StackError(where, found=found, expected=f"a {source.kind} that may be read", todo=todo) from None
        todo = "look whether the server runs and its address is right"
        raise UnavailableError(where, found=found, expected="a server that answers", todo=todo) from None


def _is_s3(files: Any) -> bool:
    return isinstance(files, ArrowFSWrapper)


def _s3(storage: Storage, folder: Path) -> ArrowFSWrapper:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    def value(name: str) -> str | None:
        return secrets.resolve(getattr(storage, name), key(folder, f"storage.{name}")) or None

    scheme, _, server = (value("endpoint") or "").rpartition("://")
    return ArrowFSWrapper(
        S3FileSystem(
            anonymous=storage.anonymous,
            access_key=value("access_key"),
            secret_key=value("secret_key"),
            endpoint_override=server or None,
            scheme=scheme or "https",
            region=value("region") or ("us-east-1" if server else None),
            connect_timeout=S3_SECONDS,
            request_timeout=S3_SECONDS,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=3),
        ),
        skip_instance_cache=True,
    )
