"""Send alarms to the webhooks of ``STACK_ALERT_URLS`` (ntfy, Slack, mail: whatever Apprise knows)."""

import logging

from stack.core.settings import Settings

logger = logging.getLogger(__name__)


def notify(settings: Settings, title: str, body: str) -> bool:
    """Log the alarm and send it to every URL of `alert_urls`, also one saved just now; a failure is never raised.

    Return whether every URL took it; False where there is none. The body is Markdown.
    """
    logger.warning("%s: %s", title, body)
    try:
        settings = settings.renewed()
        if not (urls := addresses(settings.alert_urls)):
            return False
        return _send(urls, f"{settings.title}: {title}", body)
    except Exception:
        logger.exception("alarm not delivered: %s", title)
        return False


def addresses(urls: str) -> list[str]:
    """Return the addresses that the setting `alert_urls` names."""
    return [url.strip() for url in urls.split(",") if url.strip()]


def _send(urls: list[str], title: str, body: str) -> bool:
    import apprise

    channel = apprise.Apprise()
    for url in urls:
        if not channel.add(url):
            # The URL holds a secret: name its scheme only.
            logger.error("STACK_ALERT_URLS: no Apprise URL, scheme %r", url.partition(":")[0])
    sent = channel.notify(title=title, body=body, body_format=apprise.NotifyFormat.MARKDOWN)
    if not sent:
        logger.error("alarm not delivered to every URL: %s", title)
    return bool(sent) and len(channel) == len(urls)
