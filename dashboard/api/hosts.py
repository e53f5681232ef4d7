"""By which names the API may be asked: a page of somebody else's whose name is made to lead here (DNS rebinding) asks by its own."""

import ipaddress

EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - what is compared, not bound


def known_host(header: str | None, bound: str, names: frozenset[str]) -> bool:
    """Whether the header ``Host`` (name or address, with or without a port) is this machine, the ``bound`` address, or one of ``names``.

    An address is nobody's name: bound to all of the machine's addresses, any is its own.
    """
    host = _without_port(header or "")
    if host in {"localhost", bound.lower(), *names}:
        return bool(host)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or bound in EVERYWHERE


def _without_port(header: str) -> str:
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].split("]")[0]
    return host.split(":")[0].rstrip(".") if host.count(":") <= 1 else host
