"""The check of a project.yaml that is not saved yet."""

from services.portal import processes
from stack.authoring.project_file import proposed
from stack.core.settings import Settings

CHECK_SECONDS = 120


async def findings(settings: Settings, name: str, text: str) -> str:
    """Return what `stack check` finds in a project with another project.yaml; empty where it finds nothing."""
    with proposed(settings, name, text) as workspace:
        elsewhere = {"STACK_WORKSPACE": str(workspace)}
        try:
            code, said = await processes.command(settings, "check", name, patience=CHECK_SECONDS, changes=elsewhere)
        except TimeoutError:
            return f"the check took more than {CHECK_SECONDS} s, perhaps as the source does not answer"
        said = said.replace(f"{workspace}/", "")
        return said if code or "warning:" in said else ""
