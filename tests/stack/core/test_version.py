import re

import pytest
import yaml
from click.testing import CliRunner

from stack.cli import main
from stack.core.settings import ROOT
from stack.core.version import version


def test_the_command_shows_the_version():
    assert CliRunner().invoke(main, ["--version"]).output == f"{version()}\n"


def test_images_and_change_log_have_the_version():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    tags = {service["image"].partition(":")[2] for service in services.values() if "homelab" in service["image"]}
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert tags == {version()} == {newest[1]}


@pytest.mark.parametrize("folder", ["stack", "services", "flows", "monitoring", "docker"])
def test_no_other_place_states_it(folder):
    sources = (path for kind in ("py", "sh", "html") for path in (ROOT / folder).rglob(f"*.{kind}"))

    assert [path for path in sources if f"homelab-mlops:{version()}" in path.read_text()] == []
