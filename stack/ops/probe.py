"""Ask a service a real question over HTTP: the health check of both runtimes.

``python -m stack.ops.probe URL [--data JSON] [--find TEXT] [--key NAME] [--timeout SECONDS]`` ends with 0 when the
answer is good. Only the standard library, as it runs every few seconds.
"""

import argparse
import os
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

DIRECT = build_opener(ProxyHandler({}))  # a proxy of the user's shell does not lead to the stack


def ask(
    url: str,
    data: str | None = None,
    find: str = "",
    key: str | None = None,
    timeout: float = 5.0,
    environ: Mapping[str, str] = os.environ,
) -> str | None:
    """Send a request, GET or with `data` POST, and judge its answer, which has to contain the text `find`.

    The variable `key` of the environment has the credentials for HTTP Basic authentication.

    Returns:
        What is wrong with the service, or None when it is healthy.
    """
    try:
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Basic {b64encode(environ.get(key, '').encode()).decode()}"
        request = Request(url, data.encode() if data else None, headers)  # noqa: S310
        with DIRECT.open(request, timeout=timeout) as answer:
            body = answer.read().decode(errors="replace")
    except HTTPError as error:
        return f"HTTP {error.code}: {error.read(200).decode(errors='replace')}"
    except (OSError, HTTPException, ValueError) as error:
        return str(getattr(error, "reason", error))
    return None if find in body else f"the answer lacks {find}: {body[:200]}"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line: url, data, find, key, timeout."""
    parser = argparse.ArgumentParser(prog="python -m stack.ops.probe", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--data")
    parser.add_argument("--find", default="")
    parser.add_argument("--key")
    parser.add_argument("--timeout", type=float, default=5.0)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong; return the exit code."""
    problem = ask(**vars(parse(arguments)))
    if problem:
        print(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
