"""Dead letters, on a real Kafka: every one arrives once, whatever the topic takes, and after the broker was away."""

from pathlib import Path

import pytest
from aiokafka.errors import KafkaError

from streams.broker import EmbeddedBroker, create_topics
from streams.letters import BATCH_BYTES, CUT_BYTES, Letters
from streams.settings import Settings
from tests.line_process import records_of
from warehouse.ingest import Refused


def refusals(count: int, size: int = 100) -> list[tuple[str, int, Refused]]:
    return [("payments", 0, Refused(n, "malformed", "odd 시장", b"m0001", b"%d" % n + b"x" * size)) for n in range(count)]


def test_many_letters_go_in_batches_and_each_arrives_once_in_every_partition(kafka: EmbeddedBroker, topics: str):
    settings = Settings(kafka=kafka.bootstrap, topic_prefix=topics)
    create_topics(settings.kafka, {settings.topic("dead-letters"): 3}, {})
    letters, sent = Letters(settings), refusals(5_000, 500)
    assert 3 * BATCH_BYTES < 5_000 * 500
    letters.send_dead(sent)
    letters.close()
    found = {key: (value, dict(headers)["reason"]) for key, value, headers in records_of(settings.kafka, settings.topic("dead-letters"))}
    assert found == {f"{settings.topic('payments')}/0/{r.offset}".encode(): (r.value, b"malformed") for _, _, r in sent}
    assert len(records_of(settings.kafka, settings.topic("dead-letters"))) == 5_000


def test_where_a_batch_is_too_large_for_the_topic_its_letters_go_one_by_one(kafka: EmbeddedBroker, topics: str):
    settings = Settings(kafka=kafka.bootstrap, topic_prefix=topics)
    create_topics(settings.kafka, {settings.topic("dead-letters"): 1}, {"max.message.bytes": "100000"})
    letters = Letters(settings)
    letters.send_dead([*refusals(50, 20_000), ("payments", 1, Refused(7, "too_large", "", None, b"y" * 200_000))])
    letters.close()
    found = {key.decode().removeprefix(topics): len(value) for key, value, _ in records_of(settings.kafka, settings.topic("dead-letters"))}
    assert found.pop("payments/1/7") == CUT_BYTES
    assert len(found) == 50
    assert set(found.values()) <= {20_001, 20_002}


@pytest.mark.faults
def test_after_the_broker_was_away_letters_are_sent_again(tmp_path: Path):
    with EmbeddedBroker(tmp_path / "kafka") as broker:
        settings = Settings(kafka=broker.bootstrap)
        create_topics(settings.kafka, {"dead-letters": 1}, {})
        letters = Letters(settings)
        letters.send_dead(refusals(1))
        broker.kill()
        with pytest.raises(KafkaError):
            letters.send_dead(refusals(10))
        broker.start()
        letters.send_dead(refusals(10))
        letters.close()
        assert len({key for key, _, _ in records_of(settings.kafka, "dead-letters")}) == 10
