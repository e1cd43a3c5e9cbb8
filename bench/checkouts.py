"""Copies of the checkout, so that projects come and go without the running stack seeing them."""

import shutil
import sys
import venv
from pathlib import Path

from stack.core.settings import ROOT

LEFT_OUT = (".git", ".venv", ".*_cache", "__pycache__", "var", "tests", "docs")


def copy(folder: Path) -> Path:
    """Copy the checkout without its projects into a new folder; return the interpreter that runs it."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for path in (folder / "projects").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
            (folder / "feature_repo" / f"{path.name}.py").unlink(missing_ok=True)
    return interpreter(folder)


def interpreter(folder: Path) -> Path:
    """Make a virtual environment in a copy of the checkout: its own code, with the packages that are installed here.

    Returns its interpreter; the tools' commands lie beside it.

    What runs there in another folder, as a flow's process does, would else find the code of the installed checkout.
    """
    packages, scripts = [one for one in sys.path if one.endswith("site-packages")], Path(sys.executable).parent
    venv.create(folder / ".venv", symlinks=True)
    own = folder / ".venv/bin"
    place = next((folder / ".venv/lib").glob("python*")) / "site-packages"
    # A folder named in a .pth file is searched, but its own .pth files, which name this checkout, are not read.
    (place / "checkout.pth").write_text("\n".join([str(folder), *packages]))
    for script in scripts.iterdir():
        if not (own / script.name).exists() and script.read_bytes()[:2] == b"#!":
            (own / script.name).write_text(script.read_text().replace(str(scripts), str(own), 1))
            (own / script.name).chmod(0o755)
    return own / "python"
