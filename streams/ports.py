"""Free ports for what is started on this machine."""

import contextlib
import random
import socket

LISTENING = range(20_000, 32_000)
"""Free ports are taken from here: below those that systems give to outgoing connections, which could take a port between two starts."""

ATTEMPTS = 100


def check_port(port: int, host: str) -> int:
    """``port``, where it can be listened on.

    Raises:
        OSError: it is taken, or this user may not have it, or ``host`` is no address of this machine.
        OverflowError: it is no port's number.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do: connections of a former run that are still closing don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])


def free_port(host: str = "127.0.0.1", wanted: int = 0) -> int:
    """``wanted`` where it is free, else another port that is.

    Raises:
        OSError: ``host`` is no address of this machine.
    """
    for port in [*([wanted] if wanted else []), *random.sample(LISTENING, ATTEMPTS)]:
        with contextlib.suppress(OSError):
            return check_port(port, host)
    return check_port(0, host)
