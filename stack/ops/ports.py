"""Which ports the services want, and who holds one that is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import psutil

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops.compose_file import Service


def taken(host: str, port: int) -> bool:
    """Return whether a server could not listen there."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
        except OSError:
            return True
    return False


def holder(port: int) -> str:
    """Name the process that listens on a port, as far as this user may see it."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                process = psutil.Process(connection.pid)
                return f"pid {connection.pid}: {' '.join(process.cmdline())[:80]}"
    except (psutil.Error, OSError):
        pass
    return "a process of another user"


def require_free(settings: Settings, services: Iterable[Service]) -> None:
    """Check that services which are about to start can have their ports.

    Raises:
        StackError: names the port, the service and who holds it.
    """
    for service in services:
        for port in service.ports:
            if taken(settings.bind, port):
                raise StackError(
                    f"service {service.name}, port {port}",
                    found=f"taken by {holder(port)}",
                    expected="a free port",
                    todo=f"stop that process, or set {key(service)} in .env",
                )


def key(service: Service) -> str:
    """Return the setting of a service's port."""
    return f"STACK_{service.name}_PORT".upper().replace("-", "_")
