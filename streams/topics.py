"""The topics of the line, made where they are missing."""

from streams.broker import create_topics
from streams.letters import LARGEST_BYTES
from streams.settings import Settings


def ensure_topics(settings: Settings) -> None:
    """Create what is missing; existing topics stay as they are. Blocks.

    Raises:
        KafkaError: no broker answered.
    """
    many, one = settings.partitions, 1
    names = {"payments": many, "errors": many, "service_load": one, "commands": one, "incidents": one}
    if settings.clock == "replay":
        names["clock"] = one
    kept = {"retention.ms": "-1"}
    plain = {settings.topic(name): count for name, count in names.items() if name != "commands"}
    # Replayed records carry old times; a broker's retention would delete them before they are read.
    create_topics(settings.kafka, plain, kept if settings.clock == "replay" else {}, settings.access)
    # The audit log begins here.
    create_topics(settings.kafka, {settings.topic("commands"): one}, kept, settings.access)
    create_topics(settings.kafka, {settings.topic("dead-letters"): one}, {"max.message.bytes": str(LARGEST_BYTES)}, settings.access)
