"""What the brokers say of topics, asked through kafka-python: aiokafka does not know topic ids."""

from collections.abc import Iterable

from kafka import KafkaAdminClient


def topic_ids(bootstrap: str, topics: Iterable[str]) -> dict[str, str]:
    """The id of each topic that exists; a topic made anew under the same name has another one. Blocks.

    Raises:
        kafka.errors.KafkaError: no broker answered.
    """
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","), client_id="onnuri-watch", request_timeout_ms=5000, bootstrap_timeout_ms=5000)
    try:
        described = admin.describe_topics(sorted(topics))
    finally:
        admin.close()
    return {topic["name"]: str(topic["topic_id"]) for topic in described if not topic["error_code"] and topic.get("topic_id")}
