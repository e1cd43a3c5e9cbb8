"""Other machines that work for a stack."""

from __future__ import annotations

import re

import click

from stack.cli.common import main, runtime_option, settings_with
from stack.core.errors import StackError

KEY = re.compile(r"[0-9a-f]{64}\..+")
"""Without the first part, any authority would be trusted with the password."""


@main.command()
@click.option("--url", required=True, help="Address of the gateway there: https://<machine>:8443.")
@click.option("--key", required=True, help="What `make up PROFILES=lan` prints there, with the password.")
@click.option("--profiles", help="Optional services for the training there: dask, a cluster of that machine.")
@runtime_option
def join(url: str, key: str, profiles: str | None, runtime: str | None) -> None:
    """Train for the stack on another machine, from now on; `down` ends it."""
    from stack.ops import credentials, runtimes

    if not KEY.fullmatch(key):
        raise StackError(
            "KEY",
            found="a text of another form" if key else "nothing",
            expected="the SHA-256 of the gateway's authority, a dot, and the password",
            todo="take the first part from what `make up PROFILES=lan` prints there",
        )
    joined = {"profiles": ",".join(["scale", *filter(None, [profiles])]), "join_url": url.rstrip("/"), "join_key": key}
    settings = settings_with(runtime=runtime, **joined)
    chosen = runtimes.to_start(settings, click.echo)
    if any(getattr(settings_with(), name) != value for name, value in joined.items()):
        credentials.keep(joined)  # for status, logs and down
    chosen.up(click.echo)
    click.echo(f"this machine trains for {settings.join_url}")
