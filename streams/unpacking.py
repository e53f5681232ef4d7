"""Records out of Kafka's batches, whatever a producer put into them: with bounded memory, and never an exception that ends the reading.

aiokafka unpacks a whole batch at once, however much comes out of it, copies each record into a ConsumerRecord of eleven fields (half of its time,
most of its memory), hands them out one by one, and ends at a header whose name is no UTF-8. Brokers check none of that.
"""

import hashlib
import logging
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import aiokafka
import cramjam
import numpy as np
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record._crecords import default_records, legacy_records
from aiokafka.record.memory_records import MemoryRecords

from streams.decoding import Unreadable
from streams.events import MAX_RECORD_BYTES
from streams.letters import CUT_BYTES, LARGEST_BYTES
from streams.records import Records

log = logging.getLogger(__name__)

MAX_UNPACKED = 64 * 1024 * 1024
MAX_RATIO = 64
"""A batch may unpack to ``MAX_UNPACKED`` bytes, or to ``MAX_RATIO`` times its size where that is more. JSON of payments shrinks to a fifth at best."""

CHUNK_BYTES = 16 * 1024 * 1024
"""A fetch is handed over when so much of it has been unpacked; the rest is fetched again."""

MAX_RECORDS = 200_000
"""Records in a batch: a megabyte of packed bytes can hold a million that say nothing, and each takes half a kilobyte until it is refused."""

LONG_BYTES = 2 * 1024 * 1024
"""From so many unpacked bytes on a batch's headers are skipped and not kept, as aiokafka does in 67 bytes where Kafka has two. Producers' batches are smaller."""

LONGEST_VARINT = 10
"""Bytes of a number of 64 bits, seven of them in each."""

READ_AGAIN = 3
"""So often a batch whose checksum does not fit is fetched again: the network may have changed it. Then the broker's disk has."""

_RECORDS_AT, _COUNT_AT, _MAGIC_AT = 61, 57, 16


class TooMuchError(Exception):
    """A batch would take more memory than it may."""


UNREADABLE = (TooMuchError, UnsupportedCodecError, UnicodeDecodeError, CorruptRecordException, cramjam.DecompressionError, struct.error, IndexError)
"""What the decoders raise. A broker looks at none of the bytes behind them: ``struct.error`` comes of a cut end of Snappy's frames, for one."""


class WholeBatches(fetcher.PartitionRecords):
    """A batch's records together, where aiokafka hands out one after the other: what it does for each of them would take longer than to decode them."""

    def __init__(self, tp: object, records: "Batches", aborted: object, fetch_offset: int, *more: object, **named: object) -> None:
        super().__init__(tp, records, aborted, fetch_offset, *more, **named)
        records.asked_from = fetch_offset

    def _consumer_record(self, _tp: object, batch: Records) -> Records:
        # A fetch begins at the batch that holds the offset, which need not be its first.
        return batch.since(self.next_fetch_offset)


class Record(NamedTuple):
    """A record that aiokafka's decoder could not make."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None


class Batches:
    """The batches that one fetch brought for a partition; what is not handed out is fetched again.

    There are no more once ``CHUNK_BYTES`` have been unpacked, or one had a checksum that does not fit: aiokafka would raise there, and forget what it had taken
    from other partitions.
    """

    def __init__(self, fetched: bytes) -> None:
        self.fetched = fetched
        self.inner = MemoryRecords(fetched)
        self.at = 0
        self.unpacked = 0
        self.asked_from = 0
        """The offset that was to be fetched from."""

    def size_in_bytes(self) -> int:
        """The length of what was fetched."""
        return int(self.inner.size_in_bytes())

    def has_next(self) -> bool:
        """Whether there is another batch to hand out."""
        return self.unpacked < CHUNK_BYTES and bool(self.inner.has_next())

    def next_batch(self) -> Any:  # noqa: ANN401  # what aiokafka iterates over
        """The next batch."""
        batch = self.inner.next_batch()
        end = self.at + 12 + int.from_bytes(self.fetched[self.at + 8 : self.at + 12])
        raw, self.at = memoryview(self.fetched)[self.at : end], end
        if not batch.validate_crc():
            if DAMAGED.again(raw):
                self.unpacked = CHUNK_BYTES
                return Damaged(batch, raw, self, max(batch.base_offset, self.asked_from), ())
            following = self.fetched[end : end + 8]
            said = CorruptRecordException("its checksum does not fit its bytes, however often they were fetched")
            return Damaged(batch, raw, self, int.from_bytes(following) if len(following) == 8 else batch.next_offset, (said,))
        return batch if batch.is_control_batch else Batch(batch, raw, self)


class Batch:
    """One batch of aiokafka's, out of which all records come together, or one that stands for those that cannot."""

    def __init__(self, inner: Any, raw: memoryview, batches: Batches) -> None:  # noqa: ANN401
        self.inner = inner
        self.raw = raw
        self.batches = batches

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.inner, name)

    @property
    def leader(self) -> int:
        """The epoch of the leader that took it, -1 in the formats before 2."""
        return int.from_bytes(self.raw[12:_MAGIC_AT], signed=True) if self.raw[_MAGIC_AT] >= 2 else -1

    def validate_crc(self) -> bool:
        """It was looked at before it was handed out."""
        return True

    def __iter__(self) -> Iterator[Records]:
        before = UNPACKED.bytes
        found: list[Any] = []
        try:
            if self.raw[_MAGIC_AT] >= 2 and (count := int.from_bytes(self.raw[_COUNT_AT:_RECORDS_AT])) > MAX_RECORDS:
                raise TooMuchError(f"it has {count} records; at most {MAX_RECORDS}")
            records = iter(self.inner)  # unpacks
            self.batches.unpacked += max(UNPACKED.bytes - before, len(self.raw))
            # Only a batch that is long enough can hold a record that is too long to be kept, or more headers than there is room for.
            if max(UNPACKED.bytes - before, len(self.raw)) >= LONG_BYTES:
                records = map(cut, without_headers(self.raw) if self.raw[_MAGIC_AT] >= 2 else records)
            # What comes before a record that cannot be read stays.
            found.extend(records)
        except UNREADABLE as error:
            self.batches.unpacked += len(self.raw)
            try:
                found.extend(self._instead(error))
            except UNREADABLE as worse:
                # What the second reader has read before that stays.
                found.append(self._whole(worse))
        if found:
            yield Records.of(found, self.leader)

    def _instead(self, error: Exception) -> Iterator[Record]:
        """All records once more, of which those that are there already do not count; or one for all."""
        if isinstance(error, UnicodeDecodeError) and self.raw[_MAGIC_AT] >= 2:
            yield from map(cut, without_headers(self.raw))
            return
        yield self._whole(error)

    def _whole(self, error: Exception) -> Record:
        """One record in the place of the batch's last."""
        first, last = self.inner.base_offset, self.next_offset - 1
        reason = "too_large" if isinstance(error, TooMuchError) else "malformed"
        detail = (
            f"Kafka's batch of the offsets {first} to {last} cannot be unpacked: {error or type(error).__name__}. These are its bytes as the broker has them"
        )
        return Record(last, int.from_bytes(self.raw[35:43], signed=True), 0, None, Unreadable(self.raw, reason, detail))


class Damaged(Batch):
    """A batch whose checksum does not fit, of which nothing is believed: reading goes on from ``next_offset``, and a record stands for it where it is given up, for its ``errors``."""

    is_control_batch = is_transactional = False
    producer_id = None

    def __init__(self, inner: Any, raw: memoryview, batches: Batches, next_offset: int, errors: Sequence[Exception]) -> None:  # noqa: ANN401
        super().__init__(inner, raw, batches)
        self.next_offset, self.errors = next_offset, errors

    def __iter__(self) -> Iterator[Records]:
        self.batches.unpacked += len(self.raw)
        yield from (Records.of([self._whole(error)], self.leader) for error in self.errors)


class Suspects:
    """Batches whose checksum did not fit, by their bytes, and how often they came."""

    def __init__(self) -> None:
        self.seen: Counter[bytes] = Counter()

    def again(self, raw: memoryview) -> bool:
        """Whether it is to be fetched once more."""
        key = hashlib.sha256(raw).digest()
        self.seen[key] += 1
        if self.seen[key] <= READ_AGAIN:
            log.warning("A batch came with a checksum that does not fit; it is fetched again, %s of %s times", self.seen[key], READ_AGAIN)
            return True
        # It may be read again after a seek: then it counts anew.
        del self.seen[key]
        return False


DAMAGED = Suspects()


def cut(record: Any) -> Any:  # noqa: ANN401  # a record of aiokafka's
    """The record, or the beginning of one that is too long for the dead letters: so it does not wait in memory for being refused."""
    value = record.value
    if value is None or len(value) < LARGEST_BYTES:
        return record
    detail = f"{len(value)} bytes; at most {MAX_RECORD_BYTES}"
    return Record(record.offset, record.timestamp or 0, record.timestamp_type or 0, record.key, Unreadable(value, "too_large", detail, keep=CUT_BYTES))


def install() -> None:
    """Let aiokafka unpack by what stands here; it finds its parts by these names. Nothing else in a worker's process reads with aiokafka."""
    for module, name, ours in _replaced():
        setattr(module, name, ours)


@contextmanager
def installed() -> Iterator[None]:
    """The same for a while, in a process where others read with aiokafka too."""
    before = [(module, name, getattr(module, name)) for module, name, _ in _replaced()]
    install()
    try:
        yield
    finally:
        for module, name, theirs in before:
            setattr(module, name, theirs)


def _replaced() -> list[tuple[Any, str, Any]]:
    decoders = [(module, name, ours) for module in (default_records, legacy_records) for name, ours in DECOMPRESS.items() if hasattr(module, name)]
    return [(fetcher, "PartitionRecords", WholeBatches), (fetcher, "MemoryRecords", Batches), *decoders]


def without_headers(raw: memoryview) -> Iterator[Record]:
    """Every record of a batch of Kafka's format 2, without its headers.

    Raises:
        CorruptRecordException: a record is not as long as it says, has an offset that the batch does not have, or more headers than a batch may have records.
        IndexError: the batch ends within a record.
    """
    codec = raw[22] & 7
    names = {1: "gzip_decode", 2: "snappy_decode", 3: "lz4_decode", 4: "zstd_decode"}
    data = memoryview(DECOMPRESS[names[codec]](raw[_RECORDS_AT:])) if codec else raw[_RECORDS_AT:]
    base, first, newest = (int.from_bytes(raw[low : low + 8], signed=True) for low in (0, 27, 35))
    appended, last = (raw[22] >> 3) & 1, int.from_bytes(raw[23:27], signed=True)
    at, room = 0, MAX_RECORDS
    for _ in range(int.from_bytes(raw[_COUNT_AT:_RECORDS_AT])):
        length, start = _varint(data, at)
        since, at = _varint(data, start + 1)
        delta, at = _varint(data, at)
        key, at = _sized(data, at)
        value, at = _sized(data, at)
        headers, at = _varint(data, at)
        room -= headers
        if room < 0:
            raise CorruptRecordException(f"offset {base + delta}: more than {MAX_RECORDS} headers")
        for _ in range(2 * headers):
            size, at = _varint(data, at)
            at += max(size, 0)
        if at != start + length or at > len(data) or not 0 <= delta <= last:
            raise CorruptRecordException(f"a record of {at - start} bytes and offset {base + delta} says that it has {length}")
        yield Record(base + delta, newest if appended else first + since, appended, key, value)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number as Kafka and Protocol Buffers write it, in zigzag, and where it ends."""
    number = 0
    for place, byte in enumerate(data[at : at + LONGEST_VARINT]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at + place + 1
    raise CorruptRecordException(f"a number that does not end within {LONGEST_VARINT} bytes")


def _sized(data: memoryview, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(data, at)
    return (None, at) if length < 0 else (bytes(data[at : at + length]), at + length)


class Unpacked:
    """How many bytes have been unpacked so far. One thread reads in a worker's process."""

    bytes = 0


UNPACKED = Unpacked()


def _into(codec: Any) -> Callable[[Any], memoryview]:  # noqa: ANN401  # a module of cramjam
    def decompress(packed: Any) -> memoryview:  # noqa: ANN401  # bytes or a view of them
        room = max(MAX_UNPACKED, MAX_RATIO * len(packed))
        # Pages that nothing is written to cost nothing, and what is written need not be copied.
        target = np.empty(room, np.uint8)
        try:
            length = codec.decompress_into(packed, target)
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise
            raise TooMuchError(f"{len(packed)} bytes become more than {room}") from None
        UNPACKED.bytes += length
        return target.data[:length]

    return decompress


DECOMPRESS: dict[str, Callable[[Any], Any]] = {
    "gzip_decode": _into(cramjam.gzip),
    "lz4_decode": _into(cramjam.lz4),
    "zstd_decode": _into(cramjam.zstd),
    # Snappy makes at most 22 bytes of one: it needs no limit of its own.
    "snappy_decode": aiokafka.codec.snappy_decode,
}
