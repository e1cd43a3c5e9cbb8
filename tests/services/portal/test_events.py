"""Only pages with live parts are followed: nothing else of the portal, and nothing elsewhere."""

import pytest


@pytest.mark.parametrize(
    "page", ["/settings", "/events", "/projects/nothing", "//elsewhere.org/", "/static/portal.js", ""]
)
def test_other_addresses_have_no_events(home, portal, page):
    assert portal(home).get("/events", params={"page": page}).status_code == 404
