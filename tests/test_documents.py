"""What the documents and configuration files name is there."""

import re
import subprocess
from importlib import metadata

import pytest

from stack.authoring import reference, upgrading
from stack.cli import main
from stack.core.settings import ROOT, Settings

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
KEYS = {f"STACK_{name}".upper() for name in Settings.model_fields}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(path):
    named = set(
        re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)\b", "\n".join(re.findall(r"`[^`]+`|^\$ .*", path.read_text(), re.M)))
    )

    assert named - TARGETS == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_environment_keys_exist(path):
    assert set(re.findall(r"\bSTACK_[A-Z_]+[A-Z]\b", path.read_text())) - KEYS == set()


def test_the_files_that_the_architecture_names_exist():
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:stack|flows|services|monitoring|docker)/[\w./]*)`", text))

    assert len(named) > 30
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_tests_that_the_page_on_security_names_exist():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "security.md").read_text())

    assert len(named) > 20
    assert [(path, name) for path, name in named if f"def {name}(" not in (ROOT / path).read_text()] == []


def test_make_targets_call_commands_that_exist():
    called = set(re.findall(r"@\$\(STACK\) ([a-z]+)", (ROOT / "Makefile").read_text()))

    assert called and called - set(main.commands) == set()


def test_errors_and_help_name_targets_that_exist():
    for path in (*(ROOT / "stack").rglob("*.py"), *(ROOT / "flows").glob("*.py")):
        named = set(re.findall(r"`make ([a-z]+)", path.read_text()))
        assert named - TARGETS == set(), path


@pytest.mark.parametrize("page", ["projects.md", *reference.PAGES.values()])
def test_the_reference_of_project_yaml_is_current(page):
    """When it is not: ``python -m stack.authoring.reference docs/projects.md docs/sources.md docs/publishing.md``."""
    text = (ROOT / "docs" / page).read_text()

    assert reference.BEGIN.search(text) and reference.update(text) == text


def test_the_page_about_upgrading_tools_is_current():
    """When it is not: ``python -m stack.authoring.upgrading docs/upgrading-tools.md``."""
    assert (ROOT / "docs" / "upgrading-tools.md").read_text() == upgrading.markdown()


def test_every_reach_into_a_tool_has_a_test():
    tests = {f"tests/{reach.module}".replace("_compat.py", "test_compat.py") for reach in upgrading.reaches(ROOT)}

    assert [path for path in sorted(tests) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("section", ["", *reference.PAGES])
def test_every_key_of_project_yaml_says_what_it_means(section):
    rows = [line.split(" | ") for line in reference.markdown(section).splitlines() if line.startswith("| `")]

    assert len(rows) > (10 if section else 60) and [row[0] for row in rows if not row[-1].strip(" |")] == []


def test_locks_hold_no_registry_and_no_local_path():
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert not re.search(r"https?://|file:|^-|^/|^\.| @ ", text, re.MULTILINE), lock.name
        assert len(re.findall(r"^\S+==", text, re.MULTILINE)) <= text.count("--hash=sha256:")


def test_the_locked_versions_are_those_of_the_project():
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    pinned = re.findall(
        r'^  "([a-z0-9-]+)(?:\[[a-z,]+\])?==([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )

    assert pinned
    for name, version in pinned:
        assert locked[name].startswith(version), name


def test_the_page_of_licences_names_every_copyleft_package():
    locks = "\n".join(lock.read_text() for lock in ROOT.glob("requirements*.lock"))
    locked = set(re.findall(r"^([a-z0-9-]+)==", locks, re.MULTILINE))
    named = set(re.findall(r"`([\w-]+)`", (ROOT / "docs" / "licences.md").read_text()))
    copyleft = {
        re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
        for package in metadata.distributions()
        if re.search(r"GPL|MPL|EPL|CDDL|SSPL|GNU|Mozilla|Eclipse", _licence(package.metadata))
    }

    vendored = {path.name for path in (ROOT / "services" / "portal" / "static" / "vendor").iterdir() if path.is_dir()}
    text = (ROOT / "docs" / "licences.md").read_text().lower().replace(" ", "")

    assert [name for name in sorted(vendored) if name.partition("-")[0] not in text] == []
    assert "psycopg" in copyleft and (copyleft & locked) - named == set()
    assert (ROOT / "LICENSE").read_text().split()[:4] == ["Apache", "License", "Version", "2.0,"]


def _licence(package):
    """What a package's metadata says, without the text of a licence."""
    stated = [package.get("License-Expression"), *(package.get_all("Classifier") or []), package.get("License")]
    return " ".join(line.splitlines()[0] for line in stated if line and ("License" in line or len(line) < 100))


def test_plain_make_lists_every_target_with_a_line():
    listed = subprocess.check_output(["make", "--no-print-directory"], cwd=ROOT, text=True).splitlines()

    assert {line.split()[1] for line in listed} == TARGETS - {"setup", "setup-dev"}
    assert all(len(line.split()) > 3 for line in listed)
