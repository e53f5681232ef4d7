"""What the worker sends to Kafka: dead letters and incidents. Acknowledged by all replicas before it goes on."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kafka import KafkaProducer

from streams.settings import Settings
from warehouse.ingest import Refused


class Letters:
    """A producer that connects when it is first needed. Used on the database thread only."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.producer: KafkaProducer | None = None
        self.pending: list[Any] = []

    def send_dead(self, refusals: Iterable[tuple[str, int, Refused]]) -> None:
        """Send the bytes of refused records, unchanged; ``topic/partition/offset`` is the key, so a repetition is told as one."""
        for topic, partition, refused in refusals:
            source = f"{self.settings.topic(topic)}/{partition}/{refused.offset}"
            headers = [("reason", refused.reason.encode()), ("detail", refused.detail[:500].encode()), ("source", source.encode())]
            if refused.key is not None:
                headers.append(("key", refused.key))
            self._send("dead-letters", source.encode(), refused.value, headers)
        self.flush()

    def send_incidents(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Send what opened, changed or closed. May be sent again after a crash: incident_id and version tell."""
        for change in changes:
            self._send("incidents", str(change["incident_id"]).encode(), json.dumps(change, ensure_ascii=False, default=str).encode(), [])
        self.flush()

    def flush(self) -> None:
        """Wait until the brokers have what was sent; raises Kafka's error where they have not."""
        pending, self.pending = self.pending, []
        if self.producer is not None and pending:
            self.producer.flush(timeout=30)
            for sent in pending:
                sent.get(timeout=0)

    def close(self) -> None:
        """Let the connection go."""
        if self.producer is not None:
            self.producer.close(timeout=5)

    def _send(self, topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        if self.producer is None:
            self.producer = KafkaProducer(
                bootstrap_servers=self.settings.kafka.split(","), acks="all", linger_ms=5, client_id="onnuri-letters", max_request_size=8_388_608
            )
        self.pending.append(self.producer.send(self.settings.topic(topic), key=key, value=value, headers=headers))
