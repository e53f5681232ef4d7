"""What the worker sends to Kafka: dead letters and incidents. Acknowledged by all replicas before it goes on."""

import hashlib
import hmac
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaProducer
from kafka.errors import MessageSizeTooLargeError

from streams.decoding import Unreadable
from streams.settings import Settings
from warehouse.ingest import Refused

log = logging.getLogger(__name__)

LARGEST_BYTES = 8 * 1024 * 1024
"""The longest letter: a record at Kafka's limit of a megabyte fits with its headers, and what unpacks to some more."""

CUT_BYTES = 65_536
"""What is kept of a refused record that is too large for the topic, and the most that is kept of its key."""


@dataclass(frozen=True)
class Letter:
    """One record to send."""

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]

    def cut(self) -> "Letter":
        """The beginning of its value, with the whole one's length and SHA-256 in headers."""
        whole = self.value or b""
        return replace(self, value=whole[:CUT_BYTES], headers=[*self.headers, *cut_from(len(whole), hashlib.sha256(whole).hexdigest())])


def cut_from(length: int, sha256: str) -> list[tuple[str, bytes]]:
    """Headers that say what a value is the beginning of."""
    return [("cut-from", str(length).encode()), ("sha256", sha256.encode())]


class Letters:
    """A producer that connects when it is first needed. Used on the database thread only."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.producer: KafkaProducer | None = None

    def send_dead(self, refusals: Iterable[tuple[str, int, Refused]]) -> None:
        """Send the bytes of refused records, unchanged; ``topic/partition/offset`` is the key, so a repetition is told as one.

        A record that the topic does not take for its length is sent cut: it must not stop the line.
        """
        letters = []
        for topic, partition, refused in refusals:
            source = f"{self.settings.topic(topic)}/{partition}/{refused.offset}".encode()
            headers = [("reason", refused.reason.encode()), ("detail", refused.detail[:500].encode()), ("source", source)]
            if refused.key is not None:
                headers.append(self._key_header(topic, refused.key))
            value = refused.value
            if isinstance(value, Unreadable) and value.whole is not None:
                headers += cut_from(value.whole, value.sha256)
            letters.append(Letter(source, None if value is None else bytes(value), headers))
        too_large = self._send("dead-letters", letters)
        for letter in too_large:
            log.warning("%s is too large for the dead letters, which keep its first %d bytes", letter.key.decode(), CUT_BYTES)
        if self._send("dead-letters", [letter.cut() for letter in too_large]):
            raise ValueError(f"The topic {self.settings.topic('dead-letters')} takes no records of {CUT_BYTES} bytes: raise its max.message.bytes.")

    def _key_header(self, topic: str, key: bytes) -> tuple[str, bytes]:
        """The record's key; in ``errors`` it may be a user id, so there its HMAC stands for it."""
        if topic == "errors":
            return "key-hmac", hmac.digest(self.settings.hmac_key(), key, "sha256")[:16].hex().encode()
        return "key", key[:CUT_BYTES]

    def send_incidents(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Send what happened to incidents, times naive UTC. May be sent again after a crash: incident_id and version tell."""
        letters = []
        for change in changes:
            body = {name: value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value for name, value in change.items()}
            letters.append(Letter(str(change["incident_id"]).encode(), json.dumps(body, ensure_ascii=False).encode(), []))
        self._send("incidents", letters)

    def close(self) -> None:
        """Let the connection go."""
        if self.producer is not None:
            self.producer.close(timeout=5)

    def _send(self, topic: str, letters: list[Letter]) -> list[Letter]:
        """Send, and wait until the brokers have it. Returns what was too large.

        Raises:
            kafka.errors.KafkaError: the brokers did not take one, for any other reason.
        """
        if not letters:
            return []
        if self.producer is None:
            self.producer = KafkaProducer(
                bootstrap_servers=self.settings.kafka.split(","),
                acks="all",
                linger_ms=5,
                max_block_ms=10_000,
                max_request_size=LARGEST_BYTES,
                # A repetition has the same key. An idempotent producer would be of no use any more after its first error.
                enable_idempotence=False,
                client_id="onnuri-letters",
            )
        too_large, sent = [], []
        for letter in letters:
            try:
                sent.append((letter, self.producer.send(self.settings.topic(topic), key=letter.key, value=letter.value, headers=letter.headers)))
            except MessageSizeTooLargeError:
                too_large.append(letter)
        self.producer.flush(timeout=30)
        for letter, future in sent:
            try:
                future.get(timeout=0)
            except MessageSizeTooLargeError:
                too_large.append(letter)
        return too_large
