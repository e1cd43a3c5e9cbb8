"""What the page on sources shows is understood."""

from tests.stack.sources.conftest import declared, documented


def test_the_sources_of_the_page_are_valid():
    shown = [declared(section).kind for section in documented("sources.md")]
    assert shown == ["http", "folder", "influxdb", "mqtt", "push"]
