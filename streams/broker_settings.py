"""The files that a Kafka of one node is started with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
"""The only address that an embedded broker listens on: without ``Secured`` it knows no passwords."""


@dataclass(frozen=True)
class Secured:
    """What a broker has beside its PLAINTEXT listener: listeners by name, each with protocol and port; more settings; users with SCRAM passwords."""

    listeners: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    passwords: Mapping[str, str] = field(default_factory=dict)

    @property
    def users(self) -> list[str]:
        """What formats the data folder with these users."""
        made = (f"SCRAM-SHA-512=[name={user},password={password}]" for user, password in self.passwords.items())
        return [argument for one in made for argument in ("--add-scram", one)]


UNSECURED = Secured()


def server_properties(data: Path, port: int, controller_port: int, secured: Secured = UNSECURED) -> str:
    """Kafka's configuration for one node that is broker and controller at once."""
    listeners = {"PLAINTEXT": ("PLAINTEXT", port), **secured.listeners}
    places = [f"{name}://{HOST}:{at}" for name, (_, at) in listeners.items()]
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join([*places, f"CONTROLLER://{HOST}:{controller_port}"]),
        "advertised.listeners": ",".join(places),
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": ",".join([*(f"{name}:{protocol}" for name, (protocol, _) in listeners.items()), "CONTROLLER:PLAINTEXT"]),
        "log.dirs": str(data),
        # One node has no second copy to wait for.
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # Fifty partitions each, as by default, cost a second at the first group.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        # A broker that was killed may register again when its old session is over: 9 s by default, here 3.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # A mistyped topic is an error and not a new topic.
        "auto.create.topics.enable": "false",
        # A replay may carry records of years ago, which a limit in days would delete before they are read.
        "log.retention.ms": "-1",
        # By default 128 MB, a quarter of this heap.
        "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
        **secured.settings,
    }
    return "".join(f"{key}={_escaped(value)}\n" for key, value in settings.items())


LOGGING = """\
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n%throwable
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
"""
"""Log4j's configuration: warnings and errors to the console, which is the broker's log file."""


def java_options(folder: Path) -> list[str]:
    """A small JVM that starts quickly and leaves at once when its memory is used up, instead of limping on."""
    return [
        "-Xms128m",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        # The second compiler takes as much processor time in a broker's first minute as all the rest, and an embedded one seldom lives for many.
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.net.preferIPv4Stack=true",
        f"-Dlog4j2.configurationFile={(folder / 'log4j2.properties').as_uri()}",
    ]


def _escaped(value: str) -> str:
    """A value of a Java properties file, which is ASCII with the escapes that JSON has too."""
    return json.dumps(value)[1:-1]
