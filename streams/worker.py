"""The Faust app: agents that read, hand over and acknowledge nothing, and the timers around them."""

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import faust
from aiohttp import web
from faust.types import TP
from kafka.errors import KafkaError
from mode.supervisors import CrashingSupervisor

from streams import health
from streams.broker_watch import topic_ids
from streams.letters import Letters
from streams.line import Line
from streams.settings import Settings
from streams.transport import ChunkConsumer, ChunkTransport, Reach
from streams.watermark import watermark
from warehouse.closing import Closing
from warehouse.ingest import Writer
from warehouse.publishing import Publisher

log = logging.getLogger(__name__)

WATCH_SECONDS = 10
TEND_SECONDS = 0.25


def create_app(settings: Settings, writer: Writer) -> faust.App:
    """A worker on ``writer``'s warehouse. The group's id is the warehouse's: two files never share one."""
    app = faust.App(
        f"onnuri-{writer.line().warehouse_id}",
        broker=[f"aiokafka://{broker}" for broker in settings.kafka.split(",")],
        datadir=str(settings.warehouse.parent / ".faust"),
        web_bind=settings.web_host,
        web_port=settings.web_port,
        web_in_thread=True,
        web_cors_options=None,
        stream_buffer_maxsize=8,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        agent_supervisor=CrashingSupervisor,
        # Only one process can hold the file, so the group has one static member: a restart takes its place at once, where a
        # new member would wait until the dead one's session is over.
        consumer_group_instance_id="owner",
        # Without standby replicas Faust leaves the assignment to aiokafka; its own compares web addresses, and a static member's
        # assignment may have been made for the process before it.
        table_standby_replicas=0,
        broker_session_timeout=20,
        broker_heartbeat_interval=3,
        broker_request_timeout=40,
        broker_max_poll_interval=600,
        consumer_metadata_max_age_ms=10_000,
    )
    letters = Letters(settings)
    line = Line(settings, writer, letters)
    closing = Closing(writer, timedelta(seconds=settings.lateness_seconds), settings.raw_days)
    publisher = Publisher(writer.connection, settings.published_folder)
    publishing = ThreadPoolExecutor(1, "publisher")
    reach: dict[TP, Reach] = {}
    known_ids: dict[str, str] = {}
    published: dict[str, Any] = {}

    async def start_offsets(assignment: set[TP], epoch: int) -> Mapping[TP, int]:
        known_ids.update(await asyncio.to_thread(topic_ids, settings.kafka, {tp.topic for tp in assignment}))
        return await line.start_offsets(assignment, epoch, consumer(), known_ids)

    app.transport = ChunkTransport(app.conf.broker_consumer, app, start_offsets=start_offsets)

    def consumer() -> ChunkConsumer:
        return cast(ChunkConsumer, app.consumer)

    names = ["payments", "errors", "service_load", "commands"] + (["clock"] if settings.clock == "replay" else [])
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
    async def tend() -> None:
        """Close minutes as the watermark moves, and publish."""
        published_at, took = 0.0, 0.0
        await until_assigned()
        line.state = "running"
        while not app.should_stop:
            now = line.now()
            reach.clear()
            reach.update(await consumer().reaches())
            read_through = {
                (line.contract_name(tp.topic), tp.partition) for tp, r in reach.items() if r.position >= r.end and r.handed_out == line.applied.get(tp)
            }
            partitions = [(line.contract_name(tp.topic), tp.partition) for tp in consumer().assignment()]
            # One visit to the database thread: while a backlog is read, each waits for a batch.
            changes = await line.on_database(advance, partitions, read_through, now)
            if changes:
                await line.on_database(letters.send_incidents, changes)
            # While a backlog is read, publishing takes at most a tenth of the time.
            pause = settings.publish_seconds if len(read_through) == len(reach) else max(settings.publish_seconds, 10 * took)
            began = time.monotonic()
            if began >= published_at + pause:
                await publish(now, read_through)
                published_at, took = began, time.monotonic() - began
            await asyncio.sleep(TEND_SECONDS)

    def advance(partitions: list[tuple[str, int]], read_through: set[tuple[str, int]], now: datetime | None) -> list[Mapping[str, Any]]:
        newest = {key: source.event_time_max for key, source in writer.sources().items()}
        mark = watermark(partitions, newest, read_through, _naive(now), timedelta(seconds=settings.lateness_seconds))
        if mark is None:
            return []
        changes = closing.close(mark)
        line.retained_from = closing.retire(mark, now or datetime.now(UTC))
        return changes

    async def publish(now: datetime | None, read_through: set[tuple[str, int]]) -> None:
        ends = {(line.contract_name(tp.topic), tp.partition): r.end for tp, r in reach.items()}
        wall = datetime.now(UTC)
        loop = asyncio.get_running_loop()
        published.update(await loop.run_in_executor(publishing, publisher.publish, now or wall, wall, ends, {k: ends[k] for k in read_through if k in ends}))

    @app.task
    async def watch() -> None:
        """Notice a topic that was made anew under its old name."""
        await until_assigned()
        while not app.should_stop:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                ids = await asyncio.to_thread(topic_ids, settings.kafka, {tp.topic for tp in consumer().assignment()})
            except KafkaError as error:
                log.warning("No broker tells the topics' ids: %r", error)
                continue
            if any(known_ids.get(topic) not in (None, found) for topic, found in ids.items()):
                await consumer().perform_seek()

    async def until_assigned() -> None:
        while not app.should_stop and (not consumer().assignment() or not line.epoch):
            await asyncio.sleep(0.1)

    @app.page("/health")
    async def show_health(_view: Any, _request: Any) -> web.Response:  # noqa: ANN401
        body = health.health(line.state, published or None, line.committed_at, datetime.now(UTC))
        return web.json_response(body, status=200 if body["status"] == "ok" else 503)

    @app.page("/metrics")
    async def show_metrics(_view: Any, _request: Any) -> web.Response:  # noqa: ANN401
        return web.Response(body=health.metrics(line.state, published or None, line.rows_waiting, datetime.now(UTC)), content_type="text/plain")

    app.line = line
    app.publisher_pool = publishing
    return app


def run(app: faust.App, log_level: str) -> int:
    """Run until a signal or a bug. Returns the process's exit code: 0 after a signal, else 1."""
    worker = faust.Worker(app, loglevel=log_level, quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit as error:
        return int(error.code or 0)
    finally:
        app.publisher_pool.shutdown(wait=True)
        app.line.close()
    return 0


def _naive(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment else None


if __name__ == "__main__":
    sys.exit("Start the worker with: onnuri worker")
