"""Why a broker that is there does not let us in. The clients say only that no broker answers, and go on trying."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import errors
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from warehouse.access import Access, BrokerRefusedError

log = logging.getLogger(__name__)

PATIENCE_MS = 5_000

WRONG_PASSWORD = (errors.SaslAuthenticationFailed, errors.AuthenticationFailedError)
WRONG_MECHANISM = (errors.UnsupportedSaslMechanismError, errors.IllegalSaslStateError)


@dataclass(frozen=True)
class Refusal:
    """What a broker answered. ``final``: nothing but a change of settings or rights helps."""

    reason: str
    final: bool


def refusal(bootstrap: str, access: Access) -> Refusal | None:
    """Connect to each broker once and say why none lets us in; None where one does, or where none is there. Blocks, a few seconds at the most.

    Raises:
        AccessError: a certificate or a key cannot be used.
    """
    return asyncio.run(_first(bootstrap, access))


def check_admitted(bootstrap: str, access: Access) -> None:
    """For a command that somebody waits for: say at once what the clients would keep to themselves for half a minute. Blocks.

    Raises:
        BrokerRefusedError: a broker is there and lets nobody in.
        AccessError: a certificate or a key cannot be used.
    """
    if (found := refusal(bootstrap, access)) is not None:
        raise BrokerRefusedError(found.reason)


async def _first(bootstrap: str, access: Access) -> Refusal | None:
    found = None
    given = access.arguments()
    for broker in filter(None, map(str.strip, bootstrap.split(","))):
        try:
            await _enter(broker, given)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told or left to the clients
            log.debug("%s: %r", broker, error)
            found = found or _told(broker, access, error)
        else:
            return None
    return found


async def _enter(broker: str, given: Mapping[str, Any]) -> None:
    host, _, port = broker.rpartition(":")
    connection = AIOKafkaConnection(host.strip("[]"), int(port), client_id="onnuri-admission", request_timeout_ms=PATIENCE_MS, **given)
    try:
        await connection.connect()
        # A broker that wants a password answers the first question without one, and closes the connection at the second.
        await connection.send(MetadataRequest([]))
    except OSError:
        raise  # there was no connection that could be closed
    except Exception:
        await _closed(connection)
        raise
    await _closed(connection)


async def _closed(connection: AIOKafkaConnection) -> None:
    """Let go of it; TLS says good-bye to the other side, which may be slow to answer."""
    await asyncio.wait([connection.close()], timeout=1)


def _told(broker: str, access: Access, error: Exception) -> Refusal | None:
    alert = error if isinstance(error, ssl.SSLError) else error.__cause__
    if isinstance(alert, ssl.SSLError):
        return _told_by_tls(broker, access, alert)
    if isinstance(error, WRONG_PASSWORD):
        return Refusal(f"{broker} refuses the user {access.user!r}: user or password is wrong, or its password is not for {access.mechanism}.", final=True)
    if isinstance(error, WRONG_MECHANISM):
        return Refusal(f"{broker} does not take ONNURI_KAFKA_MECHANISM={access.mechanism}: {error}", final=True)
    if isinstance(error, errors.KafkaConnectionError | ConnectionResetError | BrokenPipeError):
        return Refusal(
            f"{broker} is there and hangs up: does it ask for something else than ONNURI_KAFKA_SECURITY={access.security} (PLAINTEXT, SSL, SASL_SSL)?",
            final=False,
        )
    return None


def _told_by_tls(broker: str, access: Access, error: ssl.SSLError) -> Refusal:
    if isinstance(error, ssl.SSLCertVerificationError):
        vouching = access.ca or "the system's list of authorities"
        return Refusal(
            f"{broker} shows a certificate that {vouching} does not vouch for: {error.verify_message}. ONNURI_KAFKA_CA names the file of the authority that signed it; "
            "the name or address in ONNURI_KAFKA must stand in the certificate.",
            final=True,
        )
    if "ALERT" in (error.reason or ""):
        ours = f"refuses the certificate {access.certificate}" if access.certificate else "asks for a client certificate"
        return Refusal(f"{broker} {ours} ({error.reason}). Set ONNURI_KAFKA_CERTIFICATE and ONNURI_KAFKA_KEY to what its authority has signed.", final=True)
    return Refusal(f"{broker} does not speak TLS ({error.reason}), but ONNURI_KAFKA_SECURITY is {access.security}. Is the port right?", final=False)
