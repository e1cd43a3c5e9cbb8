"""Headless Chromium for page checks: what a page asks for, whether it complains, how it looks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    Route,
    expect,
    sync_playwright,
)

from stack.core.settings import Settings
from tests.polling import PATIENCE_SECONDS

EXECUTABLE = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = (1280, 900), (390, 844)
HERE = {"127.0.0.1", "localhost", "::1"}


@dataclass
class Seen:
    """What a browser noticed while it looked at a page."""

    text: str = ""
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    width: int = 0
    """Pixels that the page takes; more than the window has: it is to be scrolled sideways."""


class Hand:
    """Clicks for a person, and counts."""

    clicks = 0

    def click(self, place: Locator) -> None:
        """Click once."""
        self.clicks += 1
        place.click()


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Start Debian's Chromium with a profile of its own, and further flags."""
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(EXECUTABLE), args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


def look(
    browser: Browser,
    url: str,
    *,
    shows: str,
    sign_in: str = "",
    size: tuple[int, int] = DESKTOP,
    dark: bool = False,
    screenshot: Path | None = None,
    settle: float = 1,
) -> Seen:
    """Open a page, wait until it shows a text, and note what it asked for.

    Args:
        browser: from `chromium`.
        url: of the page.
        shows: a text that the finished page makes visible.
        sign_in: a page to open first.
        size: of the window, in pixels.
        dark: whether the user prefers a dark page.
        screenshot: PNG to write, of the whole page.
        settle: seconds to go on watching after it: late requests count too.

    Raises:
        AssertionError: the text does not appear.
    """
    seen = Seen()
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
    )
    try:
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        context.route("**/*", lambda route: _keep_inside(route, seen))
        page = context.new_page()
        _listen(page, seen)
        if sign_in:
            page.goto(sign_in, wait_until="networkidle")
        page.goto(url, wait_until="domcontentloaded")
        expect(page.get_by_text(shows).first).to_be_visible(timeout=PATIENCE_SECONDS * 1000)
        page.wait_for_load_state("load")
        page.wait_for_timeout(settle * 1000)
        seen.text = page.inner_text("body")
        seen.width = page.evaluate("document.documentElement.scrollWidth")
        if screenshot:
            screenshot.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=screenshot, full_page=True)
    finally:
        context.close()
    return seen


def assert_sound(seen: Seen) -> None:
    """Assert that the page asked this machine alone, and that neither console nor scripts complained."""
    assert seen.outside == []
    assert seen.errors == []


def _keep_inside(route: Route, seen: Seen) -> None:
    """Note a request that would leave the machine, and stop it, so that no test depends on a network."""
    address = urlsplit(route.request.url)
    if address.scheme in ("http", "https") and address.hostname not in HERE:
        seen.outside.append(route.request.url)
        route.abort()
    else:
        route.continue_()


def _listen(page: Page, seen: Seen) -> None:
    def log_error(message: ConsoleMessage) -> None:
        if message.type == "error":
            seen.errors.append(f"console: {message.text} ({message.location.get('url', '')})")

    def log_status(response: Response) -> None:
        if response.status >= 400:
            seen.errors.append(f"HTTP {response.status}: {response.url}")

    def log_failure(request: Request) -> None:
        if urlsplit(request.url).hostname in HERE and "ERR_ABORTED" not in (request.failure or ""):
            seen.errors.append(f"{request.failure}: {request.url}")

    page.on("console", log_error)
    page.on("pageerror", lambda error: seen.errors.append(f"script: {error}"))
    page.on("response", log_status)
    page.on("requestfailed", log_failure)
    page.on("websocket", lambda socket: _socket(socket.url, seen))


def _socket(url: str, seen: Seen) -> None:
    if urlsplit(url).hostname not in HERE:
        seen.outside.append(url)


@contextmanager
def signed_in(browser: Browser, settings: Settings) -> Iterator[Page]:
    """A page that has followed the link of `make up`."""
    page = browser.new_page()
    try:
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.goto(f"{settings.portal_url}/#key={settings.prefect_key}")
        yield page
    finally:
        page.close()
