"""Which ports the services want, and which process holds a taken port."""

import socket
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import psutil

from stack.core.errors import StackError
from stack.ops.compose_file import Service


class Conflict(NamedTuple):
    """A port that another process holds."""

    service: str
    port: int
    problem: str
    todo: str


def conflicts(host: str, services: Iterable[Service]) -> Iterator[Conflict]:
    """Yield the ports of services at which a server could not listen."""
    for service in services:
        for port in service.ports:
            if _is_taken(host, port):
                todo = f"stop that process, or set {key(service)} in .env"
                yield Conflict(service.name, port, f"taken by {_holder(port)}", todo)


def require_free(host: str, services: Iterable[Service]) -> None:
    """Refuse to start services whose ports are taken; the error names the port, the service and who holds it."""
    for service, port, problem, todo in conflicts(host, services):
        raise StackError(f"service {service}, port {port}", found=problem, expected="a free port", todo=todo)


def key(service: Service) -> str:
    """Return the setting of a service's port."""
    return f"STACK_{service.name}_PORT".upper().replace("-", "_")


def _is_taken(host: str, port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
        except OSError:
            return True
    return False


def _holder(port: int) -> str:
    """Name the process that listens on a port, as far as this user may see it."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return f"pid {connection.pid}: {' '.join(psutil.Process(connection.pid).cmdline())[:80]}"
    except (psutil.Error, OSError):
        pass
    return "a process of another user"
