"""What the brokers say of topics and groups, asked through kafka-python: aiokafka knows neither topic ids nor members."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec

from warehouse.access import PLAIN, Access


def topic_ids(bootstrap: str, topics: Iterable[str], access: Access = PLAIN) -> dict[str, str]:
    """The id of each topic that exists; a topic made anew under the same name has another one. Blocks.

    Raises:
        kafka.errors.KafkaError: no broker answered.
    """
    with _admin(bootstrap, access) as admin:
        described = admin.describe_topics(sorted(topics))
    return {topic["name"]: str(topic["topic_id"]) for topic in described if not topic["error_code"] and topic.get("topic_id")}


def partition_counts(bootstrap: str, topics: Iterable[str], access: Access = PLAIN) -> dict[str, int]:
    """How many partitions each topic that exists has. Blocks.

    Raises:
        kafka.errors.KafkaError: no broker answered.
    """
    with _admin(bootstrap, access) as admin:
        described = admin.describe_topics(sorted(topics))
    return {topic["name"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}


def compacted(bootstrap: str, topics: Iterable[str], access: Access = PLAIN) -> set[str]:
    """Those of the topics of which the brokers keep the newest record of each key alone. One whose settings we may not see is none of them. Blocks.

    Raises:
        kafka.errors.KafkaError: no broker answered.
    """
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic, configs={"cleanup.policy": None}) for topic in sorted(topics)]
    with _admin(bootstrap, access) as admin:
        found = admin.describe_configs(asked, config_filter="all").get("topic", {})
    return {topic for topic, said in found.items() if "compact" in str(said.get("cleanup.policy", {}).get("value"))}


def clients_of(bootstrap: str, group: str, access: Access = PLAIN) -> set[str]:
    """The client ids of the group's members; a dead one stays until its session is over. Blocks.

    Raises:
        kafka.errors.KafkaError: no broker answered.
    """
    with _admin(bootstrap, access) as admin:
        return {member["client_id"] for member in admin.describe_groups([group])[group]["members"]}


def committed_and_starts(bootstrap: str, group: str, access: Access = PLAIN) -> Mapping[tuple[str, int], tuple[int, int]]:
    """By topic and partition, the offset that Kafka has noted for the group, and the start of the log. Blocks.

    Raises:
        kafka.errors.KafkaError: no broker answered.
    """
    with _admin(bootstrap, access) as admin:
        committed = {tp: found.offset for tp, found in admin.list_group_offsets(group)[group].items() if found.offset >= 0}
        known = {topic["name"] for topic in admin.describe_topics(sorted({tp.topic for tp in committed})) if not topic["error_code"]} if committed else set()
        asked = {TopicPartition(*tp[:2]): OffsetSpec.EARLIEST for tp in committed if tp.topic in known}
        starts = admin.list_partition_offsets(asked) if asked else {}
    return {(tp.topic, tp.partition): (committed[tp], found.offset) for tp, found in starts.items()}


def newest_times(bootstrap: str, topics: Iterable[str], access: Access = PLAIN) -> dict[str, datetime]:
    """The latest time that a record of each topic carries, aware; topics that are missing or empty are left out. Blocks.

    Raises:
        kafka.errors.KafkaError: no broker answered.
    """
    with _admin(bootstrap, access) as admin:
        described = [topic for topic in admin.describe_topics(sorted(topics)) if not topic["error_code"]]
        asked = {TopicPartition(topic["name"], part["partition_index"]): OffsetSpec.MAX_TIMESTAMP for topic in described for part in topic["partitions"]}
        found = admin.list_partition_offsets(asked) if asked else {}
    newest: dict[str, datetime] = {}
    for tp, one in found.items():
        if one.timestamp is not None and one.timestamp >= 0:
            at = datetime.fromtimestamp(one.timestamp / 1000, UTC)
            newest[tp.topic] = max(at, newest.get(tp.topic, at))
    return newest


@contextmanager
def _admin(bootstrap: str, access: Access) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(
        bootstrap_servers=bootstrap.split(","), client_id="onnuri-watch", request_timeout_ms=5000, bootstrap_timeout_ms=5000, **access.arguments()
    )
    try:
        yield admin
    finally:
        admin.close()
