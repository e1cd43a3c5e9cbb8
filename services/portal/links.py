"""Where a browser finds the user interfaces of the stack."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from stack.core.settings import Settings
from stack.ops.tools import inside


@dataclass(frozen=True)
class Origin:
    """How the browser has reached the portal."""

    host: str
    """The name or number that it uses; the services of the same machine answer there too, on their own ports."""
    gateway: bool = False
    """Whether it came through the gateway, behind which every service has another port."""


def outside(settings: Settings, service: str, origin: Origin) -> str:
    """Return where the browser reaches a service; one that the settings put on another machine keeps its address."""
    if origin.gateway:
        return settings.through_gateway(service, origin.host)
    address = inside(settings, service)
    name = urlsplit(address).hostname or ""
    elsewhere = "." in name and name != urlsplit(settings.address(service)).hostname
    return address if elsewhere else f"http://{origin.host}:{getattr(settings, f'{service}_port')}"
