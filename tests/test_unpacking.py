"""Whatever a producer packs into Kafka's batches, records come out of them within bounded memory, and never an exception."""

import asyncio
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import cramjam
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import unpacking
from streams.decoding import Unreadable
from streams.letters import CUT_BYTES
from streams.records import Records
from streams.settings import Settings
from streams.transport import LONG_ROW, Fetched
from tests.events_data import encoded, ms, payment
from tests.line_process import WorkerProcess, just_now, published_cells, records_of, recount

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
Header = list[tuple[str, bytes | None]]


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    with unpacking.installed():
        yield


def packed(values: Sequence[bytes | None], codec: str = "none", *, offset: int = 0, headers: Header | None = None, timestamp: int = 1_000) -> bytes:
    """A batch as a broker has it."""
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, -1, 2**31 - 1)
    for number, value in enumerate(values):
        builder.append(number, timestamp, b"key", value, headers or [])
    return struct.pack(">q", offset) + bytes(builder.build())[8:]


def spoiled(batch: bytes, old: bytes, new: bytes) -> bytes:
    """The batch with other bytes in it and the sum that belongs to them."""
    body = batch[21:].replace(old, new)
    return batch[:17] + struct.pack(">I", calc_crc32c(body)) + body


def unpack(fetched: bytes, offset: int = 0):
    reader = fetcher.PartitionRecords(TopicPartition("t", 0), fetcher.MemoryRecords(fetched), [], offset, None, None, check_crcs=True, isolation_level=1)
    return [one for batch in reader for one in each(batch)], reader.next_fetch_offset


def each(records: Records):
    return [unpacking.Record(*one[:2], 0, *one[2:]) for one in zip(records.offsets, records.times, records.keys, records.values, strict=True)]


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_unpacked(codec):
    values = [encoded(payment(n)) for n in range(500)]
    records, reached = unpack(packed(values, codec))
    assert [r.value for r in records] == values
    assert reached == 500


def test_a_fetch_that_begins_within_a_batch_brings_what_has_not_been_read():
    records, reached = unpack(packed([b"0", b"1", b"2"]) + packed([b"3"], offset=3), 2)
    assert [(r.offset, r.value) for r in records] == [(2, b"2"), (3, b"3")]
    assert reached == 4


def test_what_stands_before_a_record_that_cannot_be_read_is_read():
    sound = packed([b"zero", b"one", b"two"], offset=7)
    body = sound[21:-4]
    batch = sound[:8] + struct.pack(">i", len(body) + 9) + sound[12:17] + struct.pack(">I", calc_crc32c(body)) + body
    records, reached = unpack(batch + packed([b"after"], offset=10), 7)
    assert [(r.offset, r.value) for r in records] == [(7, b"zero"), (8, b"one"), (9, batch), (10, b"after")]
    assert reached == 11


def test_an_offset_that_does_not_rise_is_passed_over():
    made = Records.of([unpacking.Record(offset, 5, 0, None, b"%d" % number) for number, offset in enumerate([5, 7, 6, 7, 9])])
    assert made.offsets.tolist() == [5, 7, 9]
    assert made.values == [b"0", b"1", b"4"]
    assert (len(made), len(made.keys), made.times.tolist()) == (3, 3, [5, 5, 5])


def test_records_know_which_leaders_took_them():
    first, second = (struct.pack(">qii", n, len(batch) - 12, 3 + n) + batch[16:] for n, batch in enumerate([packed([b"0"]), packed([b"1"], offset=1)]))
    reader = fetcher.PartitionRecords(TopicPartition("t", 0), fetcher.MemoryRecords(first + second), [], 0, None, None, check_crcs=True, isolation_level=1)
    one, other = reader
    assert (one.leaders, other.leaders) == ((3, 3), (4, 4))
    both = Records.together([one, other])
    assert both.leaders == both.since(1).leaders == (3, 4)
    # The formats before have no place for it.
    old = LegacyRecordBatchBuilder(1, 0, 2**20)
    old.append(0, 1_000, None, b"old")
    (batch,) = fetcher.PartitionRecords(
        TopicPartition("t", 0), fetcher.MemoryRecords(bytes(old.build())), [], 0, None, None, check_crcs=True, isolation_level=1
    )
    assert batch.leaders == (-1, -1)


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_a_bomb_becomes_one_record_in_its_place_with_the_batch_as_its_bytes(codec, monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_UNPACKED", 100_000)
    bomb = packed([b"0" * 20_000_000], codec, offset=1)
    records, reached = unpack(packed([b"before"]) + bomb + packed([b"after"], codec, offset=2))
    assert [r.offset for r in records] == [0, 1, 2]
    assert [r.value for r in records] == [b"before", bomb, b"after"]
    assert isinstance(records[1].value, Unreadable)
    assert records[1].value.reason == "too_large"
    assert reached == 3


def test_a_batch_that_is_long_by_itself_is_no_bomb(monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_UNPACKED", 1_000)
    values = [encoded(payment(n)) for n in range(2_000)]
    assert [r.value for r in unpack(packed(values, "zstd"))[0]] == values


def test_a_fetch_that_unpacks_to_much_is_handed_over_in_parts(monkeypatch):
    monkeypatch.setattr(unpacking, "CHUNK_BYTES", 1_000_000)
    batches = [packed([b"0" * 400_000], "zstd", offset=n) for n in range(10)]
    records, reached = unpack(b"".join(batches))
    assert [r.offset for r in records] == [0, 1, 2]
    assert reached == 3
    assert [r.offset for r in unpack(b"".join(batches[3:]), 3)[0]] == [3, 4, 5]


@pytest.mark.parametrize("codec", CODECS)
def test_a_header_that_is_no_utf_8_spoils_no_record(codec):
    values = [b"one", None, b"", "시장".encode()]
    # Beyond ASCII in offsets and times too.
    sound = packed([b"x"] * 300 + values, headers=[("hh", b"1"), ("empty", None)], timestamp=1_740_790_800_000)
    bad = spoiled(sound, b"hh", b"\xff\xfe")
    if codec != "none":
        compress = {"gzip": cramjam.gzip.compress, "snappy": cramjam.snappy.compress_raw, "lz4": cramjam.lz4.compress, "zstd": cramjam.zstd.compress}[codec]
        body = bad[21:22] + bytes([CODECS[codec]]) + bad[23:61] + bytes(compress(bad[61:]))
        bad = bad[:8] + struct.pack(">i", len(body) + 9) + bad[12:17] + struct.pack(">I", calc_crc32c(body)) + body
    records, reached = unpack(bad + packed([b"after"], offset=304))
    assert [(r.offset, r.timestamp, r.key, r.value) for r in records[:304]] == [(r.offset, r.timestamp, r.key, r.value) for r in unpack(sound)[0]]
    assert records[304].value == b"after"
    assert reached == 305


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.binary(max_size=300), min_size=1, max_size=20), st.integers(0, 2**40), st.integers(-1, 2**42))
def test_the_second_reader_says_what_aiokafka_s_says(values, offset, timestamp):
    batch = packed(values, offset=offset, timestamp=timestamp)
    again = [(r.offset, r.key, r.value) for r in unpacking.without_headers(memoryview(batch))]
    assert again == [(r.offset, r.key, r.value) for r in unpack(batch, offset)[0]]


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.sampled_from(sorted(CODECS)))
def test_whatever_stands_in_a_batch_each_offset_is_passed(junk, codec):
    header = packed([b"1", b"2", b"3"], offset=7)[:61]
    body = header[21:22] + bytes([CODECS[codec]]) + header[23:] + junk
    batch = header[:8] + struct.pack(">i", len(body) + 9) + header[12:17] + struct.pack(">I", calc_crc32c(body)) + body
    records, reached = unpack(batch + packed([b"after"], offset=10), 7)
    assert records[-1].value == b"after"
    assert reached == 11


def rebuilt(batch: bytes, attributes: int, records: bytes) -> bytes:
    """The batch with other attributes and packed records, the length and the sum that belong to them."""
    body = batch[21:22] + bytes([attributes]) + batch[23:61] + records
    return batch[:8] + struct.pack(">i", len(body) + 9) + batch[12:17] + struct.pack(">I", calc_crc32c(body)) + body


@pytest.mark.parametrize("extra", [1, 2, 3])
def test_bytes_after_the_last_block_of_framed_snappy_cost_their_batch_and_no_more(extra):
    plain = packed([b"1", b"2", b"3"])
    block = bytes(cramjam.snappy.compress_raw(plain[61:]))
    framed = b"\x82SNAPPY\0" + struct.pack(">iii", 1, 1, len(block)) + block
    assert [r.value for r in unpack(rebuilt(plain, 2, framed))[0]] == [b"1", b"2", b"3"]
    records, reached = unpack(rebuilt(plain, 2, framed + bytes(extra)) + packed([b"after"], offset=3))
    assert [(int(r.offset), getattr(r.value, "reason", r.value)) for r in records] == [(2, "malformed"), (3, b"after")]
    assert reached == 4


def test_a_codec_that_nobody_knows_costs_its_batch_and_no_more():
    plain = packed([b"1", b"2"])
    records, reached = unpack(rebuilt(plain, 6, plain[61:]) + packed([b"after"], offset=2))
    assert [(int(r.offset), getattr(r.value, "reason", r.value)) for r in records] == [(1, "malformed"), (2, b"after")]
    assert reached == 3


@pytest.mark.parametrize("more", [1, 5, 10, 20])
@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_where_a_record_s_length_is_not_its_own_one_stands_for_the_rest_of_the_batch(more, wrong):
    bad = spoiled(packed([b"one", b"two", b"three"], headers=[("hh", b"1")]), b"hh", b"\xff\xfe")
    body, at = bytearray(bad[61:]), 0
    for _ in range(wrong):
        at += 1 + body[at] // 2
    body[at] += 2 * more
    records, reached = unpack(rebuilt(bad, 1, bytes(cramjam.gzip.compress(bytes(body)))) + packed([b"after"], offset=3))
    assert [r.value for r in records[:wrong]] == [b"one", b"two", b"three"][:wrong]
    assert [(int(r.offset), getattr(r.value, "reason", r.value)) for r in records[wrong:]] == [(2, "malformed"), (3, b"after")]
    assert reached == 4


def test_an_offset_that_the_batch_does_not_have_is_not_taken_from_the_second_reader():
    bad = spoiled(packed([b"one", b"two"], headers=[("hh", b"1")]), b"hh", b"\xff\xfe")
    body = bytearray(bad[61:])
    body[1 + body[0] // 2 + 3] = 2 * 40
    records, reached = unpack(rebuilt(bad, 1, bytes(cramjam.gzip.compress(bytes(body)))) + packed([b"after"], offset=2))
    assert [(int(r.offset), getattr(r.value, "reason", r.value)) for r in records] == [(0, b"one"), (1, "malformed"), (2, b"after")]
    assert reached == 3


@pytest.mark.parametrize("name", [b"hh", b"\xff\xfe"])
def test_where_the_broker_says_the_time_it_is_the_broker_s(name):
    plain = packed([b"a", b"b"], headers=[("hh", b"1")])
    appended = plain[:35] + struct.pack(">q", 5_000_000) + plain[43:]
    records, _ = unpack(spoiled(rebuilt(appended, 8, plain[61:]), b"hh", name))
    assert [int(r.timestamp) for r in records] == [5_000_000, 5_000_000]


def test_a_batch_of_more_records_than_memory_is_for_becomes_one(monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_RECORDS", 3)
    records, reached = unpack(packed([b"{}"] * 3) + packed([b"{}"] * 4, "zstd", offset=3) + packed([b"after"], offset=7))
    assert [(int(r.offset), getattr(r.value, "reason", r.value)) for r in records] == [*((n, b"{}") for n in range(3)), (6, "too_large"), (7, b"after")]
    assert "4 records; at most 3" in records[3].value.detail
    assert reached == 8


def test_a_long_key_takes_as_much_of_the_room_for_waiting_records_as_a_long_value():
    records = Records.of([unpacking.Record(0, 1, 0, b"k" * 40 * LONG_ROW, b"{}")])
    assert Fetched.of(TP("t", 0), 1, 1, records).place.weight == 40


@pytest.mark.parametrize(
    ("follows", "damage"), [(b"", b"2x"), (packed([b"4"], offset=4), b"2x"), (packed([b"4"], offset=4), None)], ids=["last", "amid", "length"]
)
def test_a_batch_that_a_disk_has_changed_is_fetched_again_and_then_stands_as_one_record(follows, damage):
    before, whole = packed([b"0", b"1"]), packed([b"22", b"3"], offset=2)
    # Its own count of offsets may be what was changed: the batch after it tells where it ends.
    changed = whole.replace(b"22", damage) if damage else whole[:23] + struct.pack(">i", 70_000) + whole[27:]
    assert changed != whole
    for _ in range(unpacking.READ_AGAIN):
        # From amid the batch before it, and from amid itself.
        assert [(r.offset, reached) for records, reached in [unpack(before + changed + follows, 1)] for r in records] == [(1, 2)]
    # It was the network after all.
    assert unpack(whole + follows, 2)[0][0].value == b"22"
    records, reached = unpack(changed + follows, 3)
    value = records[0].value
    assert (records[0].offset, value, value.reason) == (3, changed, "malformed")
    assert "offsets 2 to 3 cannot be unpacked" in value.detail and "checksum" in value.detail
    assert ([r.value for r in records[1:]], reached) == (([b"4"], 5) if follows else ([], 4))
    # After a seek it counts anew.
    assert unpack(changed + follows, 3) == ([], 3)
    for _ in range(unpacking.READ_AGAIN - 1):
        unpack(changed + follows, 3)
    assert unpack(changed + follows, 3)[1] == reached


def peak_bytes(worker: WorkerProcess) -> int:
    """The most memory that the process ever held."""
    assert worker.process is not None
    status = Path(f"/proc/{worker.process.pid}/status")
    if not status.exists():
        pytest.skip("the peak of a process's memory is told by /proc")
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.slow
def test_bombs_odd_headers_and_missing_times_cost_neither_the_worker_nor_a_neighbour(narrow_line: Settings):
    events = [payment(n, occurred_at=ms(just_now())) for n in range(1, 9)]
    sound = [encoded(event) for event in events]
    bomb = packed([b" " * 100_000_000], "zstd")
    # A gigabyte in all, each batch below the limit, of which a fetch of one megabyte brings all at once.
    large = packed([b" " * 40_000_000], "zstd")
    batches = [
        packed(sound[:2]),
        bomb,
        packed(sound[2:4], "lz4"),
        *[large] * 25,
        spoiled(packed(sound[4:6], headers=[("hh", b"1")]), b"hh", b"\xff\xfe"),
        packed(sound[6:7], timestamp=-1),
        packed(sound[7:]),
    ]

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=narrow_line.kafka)
        await producer.start()
        try:
            for raw in batches:
                batch = producer.create_batch()
                batch.close()
                batch._buffer = bytearray(raw)
                batch._relative_offset = struct.unpack(">i", raw[57:61])[0]
                await (await producer.send_batch(batch, narrow_line.topic("payments"), partition=0))
        finally:
            await producer.stop()

    with WorkerProcess(narrow_line) as worker:
        worker.wait(lambda: worker.manifest().get("lag") == 0)
        before = peak_bytes(worker)
        asyncio.run(send())
        worker.wait_until_read(8, 120)
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount(events, [])
        assert worker.manifest()["refusals"] == {"too_large": 26}
        assert peak_bytes(worker) - before < 600_000_000
    letters = {
        key.decode().rsplit("/", 1)[1]: (value, dict(headers))
        for key, value, headers in records_of(narrow_line.kafka, narrow_line.topic("dead-letters"))
        if key
    }
    value, said = letters["2"]
    # The broker writes the epoch of its partition's leader into a batch.
    assert (value[16:], said["reason"]) == (bomb[16:], b"too_large")
    assert {(len(value), said["cut-from"]) for offset, (value, said) in letters.items() if offset != "2"} == {(CUT_BYTES, b"40000000")}


def test_a_number_that_does_not_end_costs_its_batch_and_no_time():
    bad = spoiled(packed([b"one", b"two"], headers=[("hh", None), ("no", b"1")]), b"hh", b"\xff\xfe")
    body = bad[61:]
    endless = body[: body.index(b"no") - 1] + b"\xff" * 100_000
    records, reached = unpack(rebuilt(bad, 1, bytes(cramjam.gzip.compress(endless))) + packed([b"after"], offset=2))
    assert [(int(r.offset), getattr(r.value, "reason", r.value)) for r in records] == [(1, "malformed"), (2, b"after")]
    assert "does not end within 10 bytes" in records[0].value.detail
    assert reached == 3


@pytest.mark.parametrize(("number", "expected"), [(4, [b"{}", b"{}"]), (6, [b"{}", "malformed"])])
def test_of_a_long_batch_headers_take_no_memory_and_more_than_memory_is_for_cost_it(monkeypatch, number, expected):
    monkeypatch.setattr(unpacking, "LONG_BYTES", 50)
    monkeypatch.setattr(unpacking, "MAX_RECORDS", 9)
    records, reached = unpack(packed([b"{}", b"{}"], "gzip", headers=[("h", b"1")] * number) + packed([b"after"], offset=2))
    assert [getattr(r.value, "reason", r.value) for r in records] == [*expected, b"after"]
    assert reached == 3


def test_a_long_record_beside_a_header_that_is_no_utf_8_is_kept_in_its_beginning_only(monkeypatch):
    monkeypatch.setattr(unpacking, "LARGEST_BYTES", 100)
    bad = spoiled(packed([b"x" * 200, b"short"], headers=[("hh", b"1")]), b"hh", b"\xff\xfe")
    long, short = (record.value for record in unpack(bad)[0])
    assert (long.reason, long.detail[:9], short) == ("too_large", "200 bytes", b"short")
