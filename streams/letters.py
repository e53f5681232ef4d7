"""What the worker sends to Kafka: dead letters and incidents. Acknowledged by all replicas before it goes on."""

import asyncio
import hashlib
import hmac
import json
import logging
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.decoding import Unreadable
from streams.settings import Settings
from warehouse.ingest import Refused

log = logging.getLogger(__name__)

LARGEST_BYTES = 8 * 1024 * 1024
"""The longest letter: a record at Kafka's limit of a megabyte fits with its headers, and what unpacks to some more."""

BATCH_BYTES = 500_000
"""Letters go in batches of so many bytes, which also topics with Kafka's usual limit of a megabyte take."""

CUT_BYTES = 65_536
"""What is kept of a refused record that is too large for the topic, and the most that is kept of its key."""


@dataclass(frozen=True)
class Letter:
    """One record to send."""

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return 100 + len(self.key) + len(self.value or b"") + sum(len(value) for _, value in self.headers)

    def cut(self) -> "Letter":
        """The beginning of its value, with the whole one's length and SHA-256 in headers."""
        whole = self.value or b""
        return replace(self, value=whole[:CUT_BYTES], headers=[*self.headers, *cut_from(len(whole), hashlib.sha256(whole).hexdigest())])


def cut_from(length: int, sha256: str) -> list[tuple[str, bytes]]:
    """Headers that say what a value is the beginning of."""
    return [("cut-from", str(length).encode()), ("sha256", sha256.encode())]


class Letters:
    """A producer that connects when it is first needed. Used on the database thread only, where its event loop runs while it sends.

    aiokafka's: it packs records into batches twenty times as fast as kafka-python, which took as long for a tenth of refusals as all the rest did.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.key = settings.hmac_key()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.producer: AIOKafkaProducer | None = None

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
            return "key-hmac", hmac.digest(self.key, key, "sha256")[:16].hex().encode()
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
        if self.loop is not None:
            if self.producer is not None:
                self.loop.run_until_complete(self.producer.stop())
            self.loop.close()
            self.loop = self.producer = None

    def _send(self, topic: str, letters: list[Letter]) -> list[Letter]:
        """Send, and wait until the brokers have it. Returns what was too large.

        Raises:
            aiokafka.errors.KafkaError: the brokers did not take one, for any other reason.
        """
        if not letters:
            return []
        if self.loop is None:
            self.loop = asyncio.new_event_loop()
        try:
            return self.loop.run_until_complete(self._deliver(self.settings.topic(topic), letters))
        except KafkaError:
            # What has failed is not used again.
            self.close()
            raise

    async def _deliver(self, topic: str, letters: Iterable[Letter], largest: int = BATCH_BYTES) -> list[Letter]:
        producer = await self._connected()
        partitions = len(await producer.partitions_for(topic))
        batches: dict[int, list[Batch]] = {}
        for letter in letters:
            # A repetition goes where the first one is.
            mine = batches.setdefault(zlib.crc32(letter.key) % partitions, [])
            if not mine or mine[-1].size + letter.size > largest:
                mine.append(Batch(producer.create_batch()))
            mine[-1].add(letter)
        sent = [(batch, await producer.send_batch(batch.builder, topic, partition=partition)) for partition, some in batches.items() for batch in some]
        outcomes = await asyncio.gather(*(future for _, future in sent), return_exceptions=True)
        too_large = []
        for (batch, _), outcome in zip(sent, outcomes, strict=True):
            if isinstance(outcome, MessageSizeTooLargeError):
                too_large += batch.letters if len(batch.letters) == 1 else await self._deliver(topic, batch.letters, largest=0)
            elif isinstance(outcome, BaseException):
                raise outcome
        return too_large

    async def _connected(self) -> AIOKafkaProducer:
        if self.producer is None:
            # A repetition has the same key: nothing is gained by a producer that tells its own.
            made = AIOKafkaProducer(
                bootstrap_servers=self.settings.kafka,
                acks="all",
                max_batch_size=LARGEST_BYTES,
                request_timeout_ms=10_000,
                client_id="onnuri-letters",
                **self.settings.access.arguments(),
            )
            try:
                await made.start()
            except KafkaError:
                await made.stop()
                raise
            self.producer = made
        return self.producer


class Batch:
    """Letters that are sent together."""

    def __init__(self, builder: BatchBuilder) -> None:
        self.builder = builder
        self.letters: list[Letter] = []
        self.size = 0

    def add(self, letter: Letter) -> None:
        """Put one in."""
        self.builder.append(timestamp=None, key=letter.key, value=letter.value, headers=letter.headers)
        self.letters.append(letter)
        self.size += letter.size
