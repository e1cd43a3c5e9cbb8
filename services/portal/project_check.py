"""The check of a project.yaml that is not saved yet."""

import asyncio
import os
import sys

from stack.authoring.project_file import proposed
from stack.core.settings import ROOT, Settings

CHECK_SECONDS = 120


async def findings(settings: Settings, name: str, text: str) -> str:
    """Return what `stack check` finds in a project with another project.yaml; empty where it finds nothing.

    It runs in a process of its own, as it imports what would stay in the portal's memory, and code of the project.
    """
    with proposed(settings, name, text) as workspace:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stack", "check", name),
            cwd=ROOT,
            env=os.environ | settings.environment() | {"STACK_WORKSPACE": str(workspace)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), CHECK_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            return f"the check took more than {CHECK_SECONDS} s, perhaps as the source does not answer"
        said = output.decode(errors="replace").replace(f"{workspace}/", "").strip()
        return said if process.returncode or "warning:" in said else ""
