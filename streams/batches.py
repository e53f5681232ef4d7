"""Kafka's record batches taken whole, and unpacked where there is time for it.

aiokafka unpacks every record on the thread that reads, which then holds the interpreter lock when the other threads need it, and keeps
megabytes of small objects waiting. Here that thread looks at each batch's header only (KIP-98, version 2); the decoder's thread does the rest.
"""

import struct
from collections.abc import Iterator
from typing import Any, Self

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import calc_crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and newest timestamp, producer's id and epoch, sequence, count."""

LENGTH = struct.Struct(">qi")
MAGIC_AT, CHECKED_FROM = 16, 21
LEGACY_BYTES = 26
"""The least that a message of versions 0 and 1 takes."""


class Batch:
    """One record batch as it came.

    To aiokafka it is a batch of one record, itself, at its last offset: the fetcher's own rules for aborted transactions then hold as they are.
    """

    def __init__(self, data: bytes) -> None:
        fields = HEADER.unpack_from(data)
        self.data = data
        self.base_offset, self.crc, attributes, self.count = fields[0], fields[4], fields[5], fields[12]
        self.is_transactional, self.is_control_batch = bool(attributes & 0x10), bool(attributes & 0x20)
        self.next_offset = self.base_offset + fields[6] + 1
        self.offset = self.next_offset - 1
        self.timestamp, self.producer_id = fields[8], fields[9]
        self.wanted_from = self.base_offset

    def validate_crc(self) -> bool:
        """Whether the bytes are those that were sent (CRC-32C)."""
        return bool(self.crc == calc_crc32c(self.data[CHECKED_FROM:]))

    def __iter__(self) -> Iterator[Self]:
        return iter([self] if self.count else [])

    def records(self) -> list[Any]:
        """Its records from ``wanted_from`` on, as aiokafka's decoder makes them: offset, timestamp, key, value."""
        records = list(DefaultRecordBatch(self.data))
        return records if self.wanted_from <= self.base_offset else [r for r in records if r.offset >= self.wanted_from]


class OldRecord:
    """A record of the formats before Kafka 0.11, which old topics of old brokers may still hold."""

    count = 1

    def __init__(self, record: Any) -> None:  # noqa: ANN401  # aiokafka's
        self.record = record
        self.wanted_from = self.offset = record.offset
        self.next_offset = record.offset + 1
        self.timestamp = record.timestamp or 0

    def records(self) -> list[Any]:
        """The one record."""
        return [self.record]


class Batches:
    """What one fetch brought of a partition, batch by batch; in the place of aiokafka's ``MemoryRecords``."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def size_in_bytes(self) -> int:
        """All of it, also what is left of a batch that did not fit."""
        return len(self.data)

    def has_next(self) -> bool:
        """Whether another whole batch is there."""
        return self._end() <= len(self.data)

    def next_batch(self) -> Batch | LegacyRecordBatch:
        """The next one, after ``has_next``.

        Raises:
            CorruptRecordException: it is shorter than any can be.
        """
        data = bytes(self.data[self.at : self._end()])
        self.at += len(data)
        if len(data) < LEGACY_BYTES:
            raise CorruptRecordException(f"A record batch has at least {LEGACY_BYTES} bytes, this one has {len(data)}")
        return Batch(data) if data[MAGIC_AT] >= 2 else LegacyRecordBatch(data, data[MAGIC_AT])

    def _end(self) -> int:
        if self.at + LENGTH.size > len(self.data):
            return len(self.data) + 1
        return self.at + LENGTH.size + int(LENGTH.unpack_from(self.data, self.at)[1])


class WholeBatches(fetcher.PartitionRecords):
    """Hands out batches where aiokafka hands out records."""

    def _consumer_record(self, _tp: Any, record: Any) -> Batch | OldRecord:  # noqa: ANN401  # aiokafka's signature
        if not isinstance(record, Batch):
            return OldRecord(record)
        # A seek may have led into the middle of it.
        record.wanted_from = max(record.base_offset, self.next_fetch_offset)
        return record

    def _contains_abort_marker(self, next_batch: Batch) -> bool:
        return bool(ControlRecord.parse(next_batch.records()[0].key) == ABORT_MARKER)


def take_whole_batches() -> None:
    """Make aiokafka's fetcher use these classes, which it finds by name. Nothing else in a worker's process reads with aiokafka."""
    fetcher.MemoryRecords = Batches
    fetcher.PartitionRecords = WholeBatches
