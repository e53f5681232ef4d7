"""The topics of the line, made where they are missing."""

from collections.abc import Collection, Mapping

from streams.broker import create_topics
from streams.letters import LARGEST_BYTES
from streams.settings import SettingError, Settings

READ = ("payments", "errors", "service_load", "commands")
"""Topics of which every record counts."""


def partitions_of(settings: Settings) -> dict[str, int]:
    """The line's topics by their names in the contract, each with the partitions that it is created with. Only a replay has a clock."""
    many, one = settings.partitions, 1
    names = {"payments": many, "errors": many, "service_load": one, "commands": one, "incidents": one, "dead-letters": one}
    return names | ({"clock": one} if settings.clock == "replay" else {})


def ensure_topics(settings: Settings) -> None:
    """Create what is missing; existing topics stay as they are. Blocks.

    Raises:
        KafkaError: no broker answered.
    """
    names = {settings.topic(name): count for name, count in partitions_of(settings).items()}
    commands, letters = ({name: names.pop(name)} for name in (settings.topic("commands"), settings.topic("dead-letters")))
    kept = {"retention.ms": "-1"}
    # Replayed records carry old times; a broker's retention would delete them before they are read.
    create_topics(settings.kafka, names, kept if settings.clock == "replay" else {}, settings.access)
    # The audit log begins here.
    create_topics(settings.kafka, commands, kept, settings.access)
    create_topics(settings.kafka, letters, {"max.message.bytes": str(LARGEST_BYTES)}, settings.access)


def refuse_unequal(partitions: Mapping[str, int]) -> None:
    """Refuse topics that cannot be dealt so that a worker has the same numbers of both: what a failure counts depends on payments and errors of its number.

    Raises:
        SettingError: they have different numbers of partitions.
    """
    if len(set(partitions.values())) > 1:
        told = " and ".join(f"{topic} {count}" for topic, count in sorted(partitions.items()))
        raise SettingError(
            f"Partitions: {told}. On a lake both topics need the same number, and one key must give the same partition in both. Add partitions to the smaller one."
        )


def refuse_compacted(topics: Collection[str]) -> None:
    """Refuse topics of which the brokers throw records away that have the key of a later one: what is gone before it is read leaves no trace.

    Raises:
        SettingError: there are some.
    """
    if topics:
        names = sorted(topics)
        raise SettingError(
            f"Compacted: {', '.join(names)}. The brokers throw away what has the key of a later record, and every record counts here. Set cleanup.policy=delete: "
            f"kafka-configs.sh --alter --entity-type topics --entity-name {names[0]} --add-config cleanup.policy=delete"
        )
