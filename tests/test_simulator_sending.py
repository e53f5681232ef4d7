"""What a real Kafka holds after sending is what was played, and every tick follows the records it vouches for."""

from collections.abc import Callable, Iterator
from itertools import count

import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition

from streams.broker import EmbeddedBroker, create_topics
from streams.simulator import Slice, load_scenario, play
from streams.simulator.sending import Progress, SendError, send

TOPICS = ("payments", "errors", "service_load", "commands", "clock")
_lines = count()


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker.bootstrap


@pytest.fixture
def named(bootstrap: str) -> Callable[[str], str]:
    """Topics of a line of its own."""
    prefix = f"line{next(_lines)}-"
    sizes = {prefix + topic: 4 if topic in {"payments", "errors"} else 1 for topic in TOPICS}
    create_topics(bootstrap, sizes, {"retention.ms": "-1"})
    return lambda topic: prefix + topic


@pytest.fixture(scope="module")
def slices() -> list[Slice]:
    return list(play(load_scenario("smoke"), dirty=0.02))


def held(bootstrap: str, topic: str) -> list:
    """Every record of a topic, by partition and offset."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    records = []
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        records += [record for batch in consumer.poll(timeout_ms=1000).values() for record in batch]
    consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def played(slices: list[Slice], topic: str) -> list[tuple[bytes, bytes, int]]:
    parts = [one.records[topic] for one in slices if topic in one.records]
    return [row for part in parts for row in zip(part.keys, part.values, part.send_times_ms, strict=True)]


def test_the_topics_hold_what_was_played_with_keys_and_times_of_sending(bootstrap, named, slices):
    seen: list[Progress] = []
    sent = send(slices, bootstrap, named, on_progress=seen.append, total=10_000)
    for topic in ("payments", "errors", "service_load", "commands"):
        records = held(bootstrap, named(topic))
        assert sorted((record.key, record.value, record.timestamp) for record in records) == sorted(played(slices, topic))
        assert sent.records[topic] == len(records)
        assert len({record.key for record in records}) == len({(record.key, record.partition) for record in records})
    assert sent.tally == sum((one.tally for one in slices[1:]), slices[0].tally)
    assert sum(sent.records.values()) == sent.tally.events + sent.tally.duplicates + sent.tally.malformed
    assert seen[-1].sent == sum(sent.records.values())
    assert seen[-1].scenario_time == sent.until == slices[-1].until


def test_each_partition_keeps_the_order_of_sending(bootstrap, named, slices):
    send(slices, bootstrap, named)
    records = held(bootstrap, named("payments"))
    for partition in range(4):
        times = [record.timestamp for record in records if record.partition == partition]
        assert times == sorted(times)


def test_every_slice_has_its_tick(bootstrap, named, slices):
    send(slices, bootstrap, named)
    ticks = held(bootstrap, named("clock"))
    assert [msgspec.json.decode(tick.value) for tick in ticks] == [{"now": int(one.until.timestamp() * 1000)} for one in slices]
    assert {tick.key for tick in ticks} == {b"clock"}


def test_a_stop_leaves_whole_slices_with_their_ticks(bootstrap, named, slices):
    asked = count()
    sent = send(slices, bootstrap, named, stop=lambda: next(asked) >= 12)
    assert sent.until == slices[11].until
    assert len(held(bootstrap, named("payments"))) == len(played(slices[:12], "payments")) == sent.records["payments"]
    assert len(held(bootstrap, named("clock"))) == 12


def test_a_pace_changes_nothing_of_what_is_sent(bootstrap, named, slices):
    first = slices[20].until
    sent = send(slices[:30], bootstrap, named, speed=100_000, pace_from=first)
    assert sent.until == slices[29].until
    assert len(held(bootstrap, named("payments"))) == len(played(slices[:30], "payments"))


def test_no_broker_is_an_error_that_says_where_none_answered(slices):
    with pytest.raises(SendError, match=r"127\.0\.0\.1:1"):
        send(slices, "127.0.0.1:1", str)
