"""The reach into BentoML's package still exists in the installed version."""

from importlib.metadata import version

from services.portal import _compat


def test_swagger_ui_is_installed():
    changed = f"bentoml {version('bentoml')} has changed; see services/portal/_compat.py"
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert (_compat.swagger_ui() / name).is_file(), changed
