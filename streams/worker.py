"""The Faust app: agents that read and hand over, and the tasks around them."""

import asyncio
import logging
import sys
import time
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.types import TP
from faust.types.auth import CredentialsT
from faust.web import Request, Response, View
from mode.supervisors import CrashingSupervisor

from streams import health
from streams.backups import Backups
from streams.broker_watch import topic_ids
from streams.idle import PATIENCE_SECONDS, Idle
from streams.letters import Letters
from streams.line import BROKER_ERRORS, Line
from streams.settings import Settings, unknown_names
from streams.telling import TOPIC, Telling
from streams.tending import Tending
from streams.topics import READ, partitions_of
from streams.transport import ChunkConsumer, ChunkTransport, PatientTables, Start
from streams.webhook import Webhook
from warehouse.access import Access, AccessError
from warehouse.ingest import ARRIVING, Writer

log = logging.getLogger(__name__)

WATCH_SECONDS = 10
TEND_SECONDS = 0.25
LAKE_TEND_SECONDS = 1.0
ALERT_SECONDS = 1.0


@dataclass(frozen=True)
class Worker:
    """A Faust app and what has to be closed after it."""

    app: faust.App
    line: Line
    tending: Tending
    telling: Telling
    backups: Backups | None

    def run(self, log_level: str, logging_config: dict[str, Any] | None = None) -> int:
        """Run until a signal or a bug. Returns the process's exit code: 0 after a signal, else 1."""
        worker = faust.Worker(self.app, loglevel=log_level, logging_config=logging_config, quiet=True)
        try:
            worker.execute_from_commandline()
        except SystemExit as error:
            return int(error.code or 0)
        finally:
            if self.backups:
                self.backups.close()
            self.tending.close()
            self.telling.close()
            self.line.close()
        return 0


def group_of(writer: Writer) -> str:
    """The id of the consumer group: the warehouse's, so that two warehouses never share one."""
    return f"onnuri-{writer.line().warehouse_id}"


def create_app(  # noqa: C901  # what is counted are the agents and tasks nested in it
    settings: Settings, writer: Writer, client_id: str, backups: Backups | None
) -> Worker:
    """A worker on ``writer``'s warehouse, known to the brokers as ``client_id``."""
    for name, meant in unknown_names().items():
        log.warning("%s is no setting, nothing reads it%s", name, f": did you mean {meant}?" if meant else "")
    app = _configured(settings, group_of(writer), client_id)
    line = Line(settings, writer, Letters(settings))
    tending, telling = Tending(settings, writer, line), Telling(settings, writer, line)
    known_ids: dict[str, str] = {}

    async def start_offsets(assignment: set[TP]) -> Start:
        return await line.retried(lambda: line.start_offsets(assignment, consumer(), lambda: ids_of(assignment)))

    async def ids_of(assignment: set[TP]) -> dict[str, str]:
        known_ids.update(await asyncio.to_thread(topic_ids, settings.kafka, {tp.topic for tp in assignment}, settings.access))
        return dict(known_ids)

    aligned = {settings.topic(name) for name in ARRIVING}
    app.transport = ChunkTransport(app.conf.broker_consumer, app, start_offsets=start_offsets, aligned=aligned, together=settings.lake is not None)

    def consumer() -> ChunkConsumer:
        return cast("ChunkConsumer", app.consumer)

    async def until_assigned() -> None:
        while not app.should_stop and (not consumer().assignment() or not line.epoch):
            await app.sleep(0.1)

    names = [*READ, *(["clock"] if settings.clock == "replay" else [])]
    for name in names:

        @app.agent(app.topic(settings.topic(name), value_serializer="raw", key_serializer="raw", acks=False), name=f"onnuri.{name}")
        async def take(stream: faust.StreamT) -> None:
            async for fetched in stream:
                await line.put(fetched)

    @app.task
    async def commit_batches() -> None:
        while not app.should_stop:
            await line.write(await line.next_batch(), consumer())

    @app.task
    async def tell_kafka() -> None:
        while not app.should_stop:
            await line.tell_kafka(consumer())

    @app.task
    async def tend() -> None:
        await until_assigned()
        line.started = True
        while not app.should_stop:
            await tending.once(consumer())
            if backups:
                backups.once()
            await asyncio.sleep(TEND_SECONDS if settings.lake is None else LAKE_TEND_SECONDS)

    @app.task
    async def watch() -> None:
        """Notice what the broker no longer has: records gone before they were read, a topic made anew under its old name."""
        await until_assigned()
        while not app.should_stop:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                ids = await asyncio.to_thread(topic_ids, settings.kafka, {tp.topic for tp in consumer().assignment()}, settings.access)
                broken = await line.broken(consumer())
            except (*BROKER_ERRORS, AccessError) as error:
                # A certificate's file may be away while it is changed for another.
                log.warning("No broker tells the topics' ids and ends: %r", error)
                continue
            if broken or any(known_ids.get(topic) not in (None, found) for topic, found in ids.items()):
                await consumer().perform_seek()

    _see_that_it_reads(app, line)
    _add_telling(app, telling, tending)
    if settings.alert_url is not None:
        _add_alerts(app, Webhook(settings, writer, line), tending)
    _add_pages(app, line, tending)
    return Worker(app, line, tending, telling, backups)


def _see_that_it_reads(app: faust.App, line: Line) -> None:
    @app.task
    async def see_that_it_reads() -> None:
        # By itself, whatever else hangs.
        idle = Idle(PATIENCE_SECONDS)
        while not app.should_stop:
            await asyncio.sleep(WATCH_SECONDS)
            consumer = cast("ChunkConsumer", app.consumer)
            line.waiting.pop("reading", None)
            # On a lake there may be more workers than partitions; who is alone has some, but where aiokafka's coordinator has ended.
            dealt = bool(consumer.assignment()) or line.settings.lake is None
            begun = not dealt or bool(line.waiting.keys() - {TOPIC}) or consumer.sought == app.consumer_generation_id
            if idle.look(time.monotonic(), begun=begun):
                line.waiting["reading"] = "waiting: partitions were dealt and are not read"


def _add_telling(app: faust.App, telling: Telling, tending: Tending) -> None:
    @app.task
    async def tell_incidents() -> None:
        while not app.should_stop:
            pause = await telling.once() if tending.leads else telling.stand_by()
            await asyncio.sleep(pause)


def _add_alerts(app: faust.App, webhook: Webhook, tending: Tending) -> None:
    @app.task
    async def alert() -> None:
        while not app.should_stop:
            if not tending.leads or not await webhook.once():
                await asyncio.sleep(ALERT_SECONDS)


def _add_pages(app: faust.App, line: Line, tending: Tending) -> None:
    @app.page("/health")
    async def show_health(view: View, _request: Request) -> Response:
        body = health.health(line.state, tending.manifest, line.committed_at, datetime.now(UTC))
        return view.json(body, status=200 if body["status"] == "ok" else 503)

    @app.page("/metrics")
    async def show_metrics(view: View, _request: Request) -> Response:
        return view.bytes(health.metrics(line.state, tending.manifest, line.rows_waiting, datetime.now(UTC)), content_type="text/plain")


def _credentials(access: Access) -> CredentialsT | None:
    if access.security == "SASL_SSL":
        return SASLCredentials(username=access.user, password=access.password, mechanism=access.mechanism, ssl_context=access.context())
    return SSLCredentials(access.context()) if access.security == "SSL" else None


def _configured(settings: Settings, group: str, client_id: str) -> faust.App:
    """An app without agents yet, a member of ``group``."""
    return faust.App(
        group,
        broker=[f"aiokafka://{broker}" for broker in settings.kafka.split(",")],
        broker_credentials=_credentials(settings.access),
        broker_client_id=client_id,
        datadir=str((settings.published_folder.parent / f".faust-{settings.web_port}") if settings.lake else settings.warehouse.parent / ".faust"),
        web_bind=settings.web_host,
        web_port=settings.web_port,
        web_in_thread=True,
        web_cors_options=None,
        stream_buffer_maxsize=1,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        TableManager=PatientTables,
        agent_supervisor=CrashingSupervisor,
        # Only one process can hold the file, so the group has one static member: a restart takes its place at once, where a
        # new member would wait until the dead one's session is over. It is given back the partitions that it had, so the name tells the topics:
        # aiokafka ends without a word where one of them is no longer asked for, as a scenario's clock.
        consumer_group_instance_id=None
        if settings.lake
        else f"owner-{zlib.crc32(' '.join(sorted(map(settings.topic, partitions_of(settings)))).encode()):08x}",
        # Without standby replicas Faust leaves the assignment to aiokafka; its own compares web addresses, and a static member's
        # assignment may have been made for the process before it.
        table_standby_replicas=0,
        broker_session_timeout=20,
        broker_heartbeat_interval=3,
        broker_request_timeout=40,
        broker_max_poll_interval=600,
        consumer_metadata_max_age_ms=10_000,
    )


if __name__ == "__main__":
    sys.exit("Start the worker with: onnuri worker")
