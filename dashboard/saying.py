"""What a person says on a page goes into the topic ``commands``, like everything else, and never straight into the warehouse."""

import json
import socket
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaProducer
from kafka.errors import BrokerResponseError, KafkaError
from kafka.producer.future import FutureRecordMetadata

from dashboard.settings import DashboardSettings
from warehouse.access import AccessError
from warehouse.commands import record

PATIENCE = 1.0
"""Seconds that a broker has to answer before a page says that there is none."""


DELIVERY_MS = 15_000
"""Milliseconds for which a command is tried to be handed over. After that a broker may still take it from its line."""


class NotSentError(Exception):
    """No broker took the command; nothing was changed."""


class MaybeSentError(Exception):
    """The command went out and no broker said that it has it, or that it has not."""


def reachable(settings: DashboardSettings) -> bool:
    """Whether one of the brokers listens."""
    return any(_listens(broker) for broker in settings.kafka.split(",") if broker)


def say(settings: DashboardSettings, actor: str, kind: str, payload: dict[str, Any]) -> str:
    """Check one command, send it, and return its id once a broker has it.

    Raises:
        PayloadError: a field is not what the kind needs.
        NotSentError: no broker took it.
        MaybeSentError: a broker may have taken it; said again it would count twice.
    """
    command_id, value = record(kind, payload, actor, datetime.now(UTC))
    try:
        made = KafkaProducer(
            bootstrap_servers=settings.kafka.split(","),
            acks="all",
            client_id="onnuri-dashboard",
            max_block_ms=10_000,
            bootstrap_timeout_ms=5_000,
            request_timeout_ms=DELIVERY_MS * 2 // 3,
            delivery_timeout_ms=DELIVERY_MS,
            **settings.access.arguments(),
        )
        with closing(made) as producer:
            _confirmed(
                producer.send(f"{settings.topic_prefix}commands", key=command_id.encode(), value=json.dumps(value, ensure_ascii=False).encode()), settings
            )
    except (KafkaError, AccessError, OSError) as error:
        raise NotSentError(f"{settings.kafka}: {error} (onnuri doctor says more)") from error
    return command_id


def _confirmed(sent: FutureRecordMetadata, settings: DashboardSettings) -> None:
    try:
        sent.get()  # ends by itself after DELIVERY_MS
    except KafkaError as error:
        # Only an answer that trying again would not change says that the broker does not have it.
        if isinstance(error, BrokerResponseError) and not error.retriable:
            raise
        raise MaybeSentError(f"{settings.kafka}: {error} (onnuri doctor says more)") from error


def _listens(broker: str) -> bool:
    host, _, port = broker.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PATIENCE):
            return True
    except (OSError, ValueError):
        return False
