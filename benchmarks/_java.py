"""Programs in Java beside ours: run from their source, with jars that jgo brings once; only where a Java that can compile is installed."""

import shutil
from pathlib import Path

from streams.kafka_jars import KAFKA_VERSION, default_cache, kafka_jars


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
    from jgo.config import GlobalSettings  # noqa: PLC0415  # brings an HTTP client, and only this needs it
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    kafka = kafka_jars(default_cache(), print)
    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    context = MavenContext(repo_cache=default_cache() / "maven", remote_repos=repositories)
    direct, transitive = context.resolver.resolve([context.create_dependency(f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}")])
    artifacts = [dependency.artifact for dependency in [*direct, *transitive] if dependency.scope in (None, "compile", "runtime")]
    needed = [str(artifact.resolve()) for artifact in artifacts if not (kafka / Path(artifact.filename).name).exists()]
    return [java, "-cp", ":".join([f"{kafka}/*", *needed]), str(source)]
