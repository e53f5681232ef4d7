"""Ports: free ones for what is started on this machine, and whether a broker listens at its own."""

import contextlib
import random
import socket

LISTENING = range(20_000, 32_000)
"""Free ports are taken from here: below those that systems give to outgoing connections, which could take a port between two starts."""

ATTEMPTS = 100

PATIENCE_SECONDS = 5


class BrokerAwayError(Exception):
    """No broker is there; the message says where none was, and what to do."""


def check_answering(bootstrap: str) -> None:
    """Before anything else that needs a broker and that somebody waits for: Kafka's clients alone would try for up to half a minute, and then say only that they could not. Blocks.

    Raises:
        BrokerAwayError: none of the brokers takes a connection.
    """
    reasons = []
    for broker in bootstrap.split(","):
        host, _, port = broker.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE_SECONDS).close()
        except OSError as error:
            reasons.append(f"{broker.strip()}: {error.strerror or error}")
        else:
            return
    raise BrokerAwayError(
        f"No broker answers at {bootstrap} ({'; '.join(reasons)}). Is it running, and does ONNURI_KAFKA name its port? To try out, start one: onnuri broker"
    )


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
