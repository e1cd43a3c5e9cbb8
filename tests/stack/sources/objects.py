"""An S3 server that has an object on the disk before it acknowledges it: ``objects.py PORT FOLDER``.

moto keeps objects in memory; killed and started again, it has those of the folder, with the instants of their writing.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.s3.models import S3Backend, s3_backends
from moto.server import main

ACCOUNT, BUCKET = "123456789012", "home"


def instant(path: Path) -> datetime:
    """When an object was written, as moto has it: UTC without a zone."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)


def serve(port: str, folder: Path) -> None:
    """Answer until the process is killed."""
    backend, put = s3_backends[ACCOUNT]["aws"], S3Backend.put_object
    backend.create_bucket(BUCKET, "us-east-1")
    for path in folder.rglob("*.json"):
        put(backend, BUCKET, str(path.relative_to(folder)), path.read_bytes()).last_modified = instant(path)

    def keep(self: S3Backend, bucket: str, name: str, value: bytes, *words: Any, **options: Any) -> Any:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(value)
        new.replace(path)
        kept = put(self, bucket, name, value, *words, **options)
        kept.last_modified = instant(path)
        return kept

    S3Backend.put_object = keep
    main(["-p", port])


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
