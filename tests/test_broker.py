"""The embedded Kafka: real clients, real restarts, real kills."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from streams import broker_folder, kafka_jars
from streams.broker import BrokerError, EmbeddedBroker, create_topics

RECORDS = [b"one", "두 번째".encode(), b"\x00\xff"]


def send(bootstrap: str, topic: str, records: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    for record in records:
        producer.send(topic, record)
    producer.flush()
    producer.close()


def received(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    values = [record.value for record in islice(consumer, count)]
    consumer.close()
    return values


def until(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_kafka_python_reads_what_it_sent(kafka, topics):
    create_topics(kafka.bootstrap, {topics + "t": 1})
    send(kafka.bootstrap, topics + "t", RECORDS)
    assert received(kafka.bootstrap, topics + "t", len(RECORDS)) == RECORDS


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
def test_aiokafka_reads_what_it_sent_in_every_compression(kafka, topics, compression):
    create_topics(kafka.bootstrap, {topics + "t": 1})

    async def there_and_back() -> list[bytes]:
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type=compression) as producer:
            for record in RECORDS:
                await producer.send(topics + "t", record)
        async with AIOKafkaConsumer(topics + "t", bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest") as consumer:
            return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in RECORDS]

    assert asyncio.run(there_and_back()) == RECORDS


def test_only_missing_topics_are_made_and_each_as_asked(kafka, topics):
    many, one = topics + "many", topics + "one"
    assert create_topics(kafka.bootstrap, {many: 3}, {"retention.ms": "12345"}) == [many]
    assert create_topics(kafka.bootstrap, {many: 7, one: 1}) == [one]
    assert create_topics(kafka.bootstrap, {many: 7, one: 1}) == []
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    partitions = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics([many, one])}
    admin.close()
    assert partitions == {many: 3, one: 1}


def test_it_listens_on_this_machine_only(kafka):
    if not isinstance(kafka, EmbeddedBroker):
        pytest.skip("ONNURI_TEST_KAFKA names a Kafka of its own")
    listening = [c.laddr for c in psutil.Process(kafka.pid).net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
    assert kafka.port in {address.port for address in listening}
    assert {address.ip for address in listening} == {"127.0.0.1"}


@pytest.mark.faults
def test_it_keeps_port_and_records_when_it_is_killed_and_started_again(tmp_path):
    folder = tmp_path / "전통 시장"
    broker = EmbeddedBroker(folder)
    with broker:
        port, first = broker.port, broker.pid
        create_topics(broker.bootstrap, {"t": 1})
        send(broker.bootstrap, "t", RECORDS)
        broker.kill()
        assert not alive(first)
        broker.start()
        assert (broker.port, received(broker.bootstrap, "t", len(RECORDS))) == (port, RECORDS)
    with EmbeddedBroker(folder) as another:
        assert received(another.bootstrap, "t", len(RECORDS)) == RECORDS


def test_stopping_leaves_neither_process_nor_temporary_folder():
    with EmbeddedBroker() as broker:
        pid, folder = broker.pid, broker.folder
        assert alive(pid)
        assert folder is not None
        assert folder.is_dir()
    assert not alive(pid)
    assert not folder.exists()
    broker.stop()


@pytest.mark.faults
def test_it_ends_when_its_parent_is_killed(tmp_path):
    program = "import time; from streams.broker import EmbeddedBroker as B; b = B().start(); print(b.pid, b.folder, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}) as parent:
        pid, folder = parent.stdout.readline().split()
        assert alive(int(pid))
        os.kill(parent.pid, signal.SIGKILL)
    assert until(lambda: not alive(int(pid)))
    assert until(lambda: not Path(folder).exists())


def test_a_taken_port_is_named(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"Port {port} on 127\.0\.0\.1 cannot be used.*ONNURI_KAFKA=127\.0\.0\.1:{port}"):
            EmbeddedBroker(tmp_path, port).start()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00garbage", b"version=1\nnode.id=7\ncluster.id=x\n"])
def test_a_damaged_folder_is_named_and_left_as_it_is(tmp_path, content):
    data = tmp_path / "data"
    data.mkdir()
    (data / "meta.properties").write_bytes(content)
    with pytest.raises(BrokerError, match=r"data is no data folder of an embedded Kafka, or is damaged: its meta\.properties"):
        EmbeddedBroker(tmp_path).start()
    assert (data / "meta.properties").read_bytes() == content


def test_a_folder_with_records_but_without_meta_properties_is_not_formatted_over(tmp_path):
    segment = tmp_path / "data" / "payments-0" / "00000000000000000000.log"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"records")
    with pytest.raises(BrokerError, match="damaged"):
        EmbeddedBroker(tmp_path).start()
    assert segment.read_bytes() == b"records"


@pytest.mark.parametrize("under", ["", "kafka"])
def test_a_file_where_the_folder_should_be_is_named(tmp_path, under):
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(BrokerError, match=r"cannot be Kafka's folder.*may write in"):
        EmbeddedBroker(file / under).start()


def test_when_kafka_fails_the_end_of_its_log_is_shown(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "meta.properties").write_text("version=99\nnode.id=1\ncluster.id=onnuri\n")
    broker = EmbeddedBroker(tmp_path)
    with pytest.raises(BrokerError, match=r"(?s)Kafka stopped while it was starting.*broker\.log.*No readable meta\.properties files found"):
        broker.start()
    assert not broker.running


def test_two_brokers_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(broker_folder, "SECONDS_TO_GET_FREE", 0)
    lock = broker_folder.claim(tmp_path)
    with pytest.raises(BrokerError, match="in use by another embedded Kafka"):
        EmbeddedBroker(tmp_path).start()
    os.close(lock)


def test_jars_are_downloaded_once_and_whole(tmp_path, monkeypatch):
    said = []

    def download(repository: Path) -> list[Path]:
        repository.mkdir()
        (repository / "kafka.jar").write_bytes(b"jar")
        return [repository / "kafka.jar"]

    def broken(repository: Path) -> list[Path]:
        download(repository)
        raise ConnectionError("connection reset")

    monkeypatch.setattr(kafka_jars, "_download", broken)
    with pytest.raises(kafka_jars.JarError, match=r"could not be downloaded.*connection reset.*Check the network"):
        kafka_jars.kafka_jars(tmp_path / "cache", said.append)
    assert list((tmp_path / "cache").iterdir()) == []

    monkeypatch.setattr(kafka_jars, "_download", download)
    folder = kafka_jars.kafka_jars(tmp_path / "cache", said.append)
    assert [(jar.name, jar.read_bytes()) for jar in folder.iterdir()] == [("kafka.jar", b"jar")]

    monkeypatch.setattr(kafka_jars, "_download", broken)
    assert kafka_jars.kafka_jars(tmp_path / "cache", said.append) == folder
    assert len(said) == 2
