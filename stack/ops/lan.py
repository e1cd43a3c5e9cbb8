"""The profile lan: what other machines call this one, and the login at its gateway."""

import hashlib
import secrets
import socket
import ssl
import string
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from stack.access import passwords
from stack.core.errors import StackError, no_answer
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.ops import credentials

PROFILE = "lan"
USER, TRAINER = "stack", "trainer"
"""User names at the gateway: of people, and of a machine that trains, whose password is its token."""
AUTHORITY = "ca.crt"
"""Where the gateway hands out the certificate of its authority, without a login."""
LETTERS = string.ascii_lowercase.replace("l", "") + "23456789"
ELSEWHERE = ("192.0.2.1", 9)
"""An address of the documentation's network: a UDP socket towards it sends nothing, and knows its own end."""


def wanted(settings: Settings) -> bool:
    """Return whether the gateway is to run."""
    return PROFILE in settings.optional


def address(settings: Settings) -> str:
    """Return this machine's name in the network: the configured one, or its address towards the others."""
    if settings.lan_address:
        return settings.lan_address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
        except OSError:  # no network
            return socket.gethostname().lower()
        return str(probe.getsockname()[0])


def authority(url: str, trusted: str = "") -> str:
    """Return the certificate of a gateway's authority, in PEM; refuse one with another SHA-256 than `trusted`.

    The gateway's own certificate is not checked, as that takes the authority's.
    """
    where = f"{url}/{AUTHORITY}"
    try:
        pem = httpx.get(where, verify=False, trust_env=False, timeout=30).raise_for_status().text  # noqa: S501
    except httpx.HTTPError as error:
        raise no_answer(where, error, "make up PROFILES=lan there") from None
    if trusted and _sha256(pem) != trusted:
        raise StackError(
            where,
            found=f"an authority with SHA-256 {_sha256(pem)}",
            expected=f"{trusted}, as the key says",
            todo="compare with what `make up PROFILES=lan` prints on the other machine, and join again",
        )
    return pem


def fingerprint(settings: Settings) -> str:
    """Return the SHA-256 of this stack's own authority."""
    host = "127.0.0.1" if settings.lan_host in ("0.0.0.0", "") else settings.lan_host  # noqa: S104  # compared with
    return _sha256(authority(settings.through_gateway("portal", host)))


def _sha256(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def variables(settings: Settings) -> dict[str, str]:
    """Return the variables of the gateway: the address of links, all names that it answers to, and Prefect's login."""
    if not wanted(settings):
        return {"STACK_LAN_ADDRESS": ""}
    name, own = address(settings), socket.gethostname().lower()
    names = dict.fromkeys([name, own, f"{own}.local", "localhost", "127.0.0.1"])
    return {
        "STACK_LAN_ADDRESS": name,
        "GATEWAY_NAMES": ", ".join(f"https://{name}:{settings.lan_portal_port}" for name in names),
        "GATEWAY_PREFECT_LOGIN": settings.prefect_headers.get("Authorization", ""),
    }


def process_variables(settings: Settings) -> dict[str, str]:
    """Return the variables of a gateway that is a process: a container has its own folders and addresses."""
    return {
        "GATEWAY_HOME": str(settings.home / "gateway"),
        "GATEWAY_BIND": settings.lan_host,
        "GATEWAY_PREDICTION_HOST": urlsplit(settings.prediction_url).hostname or "",
    }


def with_login(settings: Settings, report: Reporter, file: Path = credentials.FILE) -> Settings:
    """Return settings with a password's hash: where the gateway has none, it is generated, shown once and kept."""
    if not wanted(settings) or settings.lan_password_hash:
        return settings
    password = "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))
    generated = {"lan_password_hash": passwords.hashed(password)}
    credentials.keep(generated, file)
    report(f"the login at the gateway, shown only now and kept as a hash in {file.name}:")
    report(f"  user {USER}, password {password}")
    return settings.model_copy(update=generated)
