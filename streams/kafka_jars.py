"""Apache Kafka's jars: resolved by jgo at a pinned version, once per user, then needing no network."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

KAFKA_VERSION = "4.3.1"
LOG4J_VERSION = "2.25.4"
SECONDS_PER_FILE = 60
ATTEMPTS = 3


class JarError(Exception):
    """Kafka's jars could not be brought; the message says why and what to do."""


def default_cache() -> Path:
    """Where downloads are kept: ``onnuri`` in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onnuri"


def kafka_jars(cache: Path, tell: Callable[[str], None]) -> Path:
    """The folder that holds all of Kafka's jars; ``tell`` is told before a download.

    Jars are downloaded into a folder of their own, which takes its final name when it is whole: an interrupted download or
    two at once never leave a folder that only looks finished.

    Raises:
        JarError: no repository could be reached, or the cache could not be written.
    """
    folder = cache / f"kafka-{KAFKA_VERSION}"
    if folder.is_dir():
        return folder
    tell(f"Downloading Apache Kafka {KAFKA_VERSION} (45 MB, only this once, to {folder}).")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="download-") as workplace:
            _keep_whole(_download(Path(workplace, "maven")), Path(workplace, "jars"), folder)
    except (OSError, RuntimeError) as error:  # errors of requests are OSErrors, jgo's own are RuntimeErrors
        raise JarError(
            f"Apache Kafka {KAFKA_VERSION} could not be downloaded to {folder}: {error}. Check the network and try again; behind a proxy with certificates of its own, "
            "set REQUESTS_CA_BUNDLE to their file; a Maven mirror can be named under [repositories] in ~/.config/jgo.conf. Or set ONNURI_KAFKA to a Kafka that is there already."
        ) from error
    return folder


def _keep_whole(jars: list[Path], gathered: Path, folder: Path) -> None:
    gathered.mkdir()
    for jar in jars:
        shutil.move(jar, gathered / jar.name)
    try:
        gathered.rename(folder)
    except OSError:
        # Another process was faster; its folder is as good.
        if not folder.is_dir():
            raise


def _download(repository: Path) -> list[Path]:
    """Every jar that Kafka needs to run."""
    context = maven(repository)
    # Kafka's POM leaves out the binding of slf4j to log4j, and without one Kafka is silent about its failures. It is asked for
    # by itself: resolved together with Kafka, the versions its own POM manages would replace Kafka's.
    logging = context.project("org.apache.logging.log4j", "log4j-slf4j-impl").at_version(LOG4J_VERSION).artifact()
    return [bring(artifact) for artifact in [*needed_by(context, f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"), logging]]


def maven(repository: Path) -> "MavenContext":
    """What resolves artifacts as Maven would, and keeps them in ``repository``."""
    from jgo.config import GlobalSettings  # noqa: PLC0415  # brings an HTTP client, and only the first start needs it
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    # A mirror in jgo's own configuration is asked first: a machine behind a wall reaches nothing else.
    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    return MavenContext(repo_cache=repository, remote_repos=repositories, timeout=SECONDS_PER_FILE)


def needed_by(context: "MavenContext", coordinate: str) -> "list[Artifact]":
    """The artifact itself and what it needs to run."""
    direct, transitive = context.resolver.resolve([context.create_dependency(coordinate)])
    return [dependency.artifact for dependency in [*direct, *transitive] if dependency.scope in (None, "compile", "runtime")]


def bring(artifact: "Artifact") -> Path:
    """Download one jar; a connection that breaks is tried again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return Path(artifact.resolve())
        except (OSError, RuntimeError):
            # What came so far stands under the final name, and would be taken for the whole file.
            if artifact.cached_path is not None:
                artifact.cached_path.unlink(missing_ok=True)
            if attempt == ATTEMPTS:
                raise
            time.sleep(attempt)
    raise AssertionError("unreachable")
