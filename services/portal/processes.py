"""What takes more memory than the portal has is read in a process of its own, which prints JSON."""

import asyncio
import json
import os
import sys
from typing import Any

from stack.core.settings import ROOT, Settings

PATIENCE_SECONDS = 60.0
AT_ONCE = asyncio.Semaphore(2)
"""More of them would slow each other, and the stack, down."""


async def read(settings: Settings, module: str, *arguments: str, patience: float = PATIENCE_SECONDS) -> Any:
    """Run ``python -m module arguments`` and return what it prints.

    Raises:
        RuntimeError: it fails, with the last line of its output, or takes too long.
    """
    async with AT_ONCE:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            cwd=ROOT,
            env=os.environ | settings.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), patience)
        except TimeoutError:
            raise RuntimeError(f"no answer within {patience:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode:
        raise RuntimeError((err.decode().strip().splitlines() or ["no answer"])[-1])
    return json.loads(out)
