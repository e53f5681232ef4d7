"""Programs in Java beside ours: run from their source, with jars that jgo brings once; only where a Java that can compile is installed."""

import shutil
from pathlib import Path

from streams.kafka_jars import KAFKA_VERSION, bring, default_cache, kafka_jars, maven, needed_by


def compiler() -> str | None:
    """A Java with its compiler, or None: the one that onnuri brings runs only what is compiled."""
    java, javac = shutil.which("java"), shutil.which("javac")
    return java if java and javac else None


def kafka_streams(java: str, source: Path) -> list[str]:
    """The beginning of the command that runs ``source`` with Kafka Streams, of the version of the embedded broker.

    Raises:
        JarError: Kafka's jars could not be brought.
        OSError, RuntimeError: nor could those of Kafka Streams.
    """
    kafka = kafka_jars(default_cache(), print)
    artifacts = needed_by(maven(default_cache() / "maven"), f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}")
    jars = [str(bring(artifact)) for artifact in artifacts if not (kafka / Path(artifact.filename).name).exists()]
    return [java, "-cp", ":".join([f"{kafka}/*", *jars]), str(source)]
