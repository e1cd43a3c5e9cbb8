"""What takes more memory than the portal has, or code of a project, runs in a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from stack.core.settings import ROOT, Settings

PATIENCE_SECONDS = 60.0
AT_ONCE = asyncio.Semaphore(2)
"""More of them would slow each other, and the stack, down."""


async def read(settings: Settings, module: str, *arguments: str, patience: float = PATIENCE_SECONDS) -> Any:
    """Run ``python -m module arguments``, which prints JSON, and return that.

    Raises:
        RuntimeError: it fails, with the last line of its output, or takes too long.
    """
    async with AT_ONCE:
        try:
            code, out, err = await _run(settings, (module, *arguments), patience, {}, asyncio.subprocess.PIPE)
        except TimeoutError:
            raise RuntimeError(f"no answer within {patience:.0f} s") from None
    if code:
        raise RuntimeError((err.strip().splitlines() or ["no answer"])[-1])
    return json.loads(out)


async def command(
    settings: Settings, *words: str, patience: float = PATIENCE_SECONDS, changes: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a `stack` command; return its exit code and what it says.

    Args:
        settings: of the stack.
        words: of the command.
        patience: seconds.
        changes: variables of its environment that differ.

    Raises:
        TimeoutError: it takes longer.
    """
    code, said, _ = await _run(settings, ("stack", *words), patience, changes or {}, asyncio.subprocess.STDOUT)
    return code, said.strip()


async def _run(
    settings: Settings, words: tuple[str, ...], patience: float, changes: Mapping[str, str], errors: int
) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        cwd=ROOT,
        env={**os.environ, **settings.environment(), **changes},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), patience)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(errors="replace"), (err or b"").decode(errors="replace")
