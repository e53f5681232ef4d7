"""What a person says on a page goes into the topic ``commands``, like everything else, and never straight into the warehouse."""

import json
import socket
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from dashboard.settings import DashboardSettings
from warehouse.access import AccessError
from warehouse.commands import record

PATIENCE = 1.0
"""Seconds that a broker has to answer before a page says that there is none."""


class NotSentError(Exception):
    """No broker took the command; nothing was changed."""


def reachable(settings: DashboardSettings) -> bool:
    """Whether one of the brokers listens."""
    return any(_listens(broker) for broker in settings.kafka.split(",") if broker)


def say(settings: DashboardSettings, actor: str, kind: str, payload: dict[str, Any]) -> str:
    """Check one command, send it, and return its id once a broker has it.

    Raises:
        PayloadError: a field is not what the kind needs.
        NotSentError: no broker took it.
    """
    command_id, value = record(kind, payload, actor, datetime.now(UTC))
    try:
        made = KafkaProducer(
            bootstrap_servers=settings.kafka.split(","),
            acks="all",
            client_id="onnuri-dashboard",
            max_block_ms=10_000,
            bootstrap_timeout_ms=5_000,
            **settings.access.arguments(),
        )
        with closing(made) as producer:
            producer.send(f"{settings.topic_prefix}commands", key=command_id.encode(), value=json.dumps(value, ensure_ascii=False).encode()).get(timeout=15)
    except (KafkaError, AccessError, OSError) as error:
        raise NotSentError(f"{settings.kafka}: {error} (onnuri doctor says more)") from error
    return command_id


def _listens(broker: str) -> bool:
    host, _, port = broker.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PATIENCE):
            return True
    except (OSError, ValueError):
        return False
