"""Starting a worker: the file first, then the group, so that a second worker waits outside and takes over when the first is gone."""

import gc
import hashlib
import logging
import logging.config
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import duckdb
from kafka.errors import (
    AuthorizationError,
    BrokerNotAvailableError,
    BrokerResponseError,
    InvalidReplicationFactorError,
    KafkaError,
    RebalanceInProgressError,
    UnknownError,
)

from streams.admission import refusal
from streams.backups import Backups
from streams.broker_watch import clients_of, committed_and_starts, compacted, partition_counts
from streams.keying import fingerprint
from streams.logs import json_lines
from streams.ports import check_port
from streams.settings import SettingError, Settings
from streams.topics import READ, ensure_topics, refuse_compacted, refuse_unequal
from streams.worker import create_app, group_of
from warehouse.access import BrokerRefusedError
from warehouse.backup import key_of
from warehouse.connection import WHAT_TO_DO, WarehouseBusyError, WarehouseDamagedError, WarehouseMissingError, WarehouseOutdatedError, damaged, passes
from warehouse.ingest import Source, Writer
from warehouse.lake import PREFIX
from warehouse.lake_errors import conflicts
from warehouse.lake_writer import TOGETHER, LakeWriter
from warehouse.publishing import OWN_FOLDER, published_by
from warehouse.reading import FolderTakenError, Manifest, ManifestError, NothingPublishedError

log = logging.getLogger(__name__)
T = TypeVar("T")

STANDBY_SECONDS = 2.0


def run_worker(settings: Settings) -> int:
    """Run a worker to its end; returns the exit code.

    Raises:
        SettingError: a lake needs more settings, or other topics; a topic is compacted; the port of /health and /metrics cannot be had; buyers were hidden with another key.
        WarehouseDamagedError: the file is missing or damaged.
        WarehouseOutdatedError: what has come since its backup is gone.
        FolderTakenError: another line publishes into the folder.
        BrokerRefusedError: the brokers do not let it in.
    """
    tune_interpreter()
    logging.getLogger("kafka").setLevel(logging.WARNING)
    # At DEBUG it prints what it has fetched, user ids among it.
    logging.getLogger("aiokafka").setLevel(logging.INFO)
    lines = json_lines(settings.log_level) if settings.log_format == "json" else None
    if lines:
        logging.config.dictConfig(lines)
    else:
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    refuse_unshared(settings)
    end_on_sigterm()
    try:
        writer = wait_for_warehouse(settings)
        with beside_waiting(settings, writer) as backups:
            # Before brokers are waited for: nothing but another folder helps.
            published_by(writer.line().warehouse_id, settings.published_folder)
            held_key(settings, writer)
            group = group_of(writer)
            until_answered(settings, lambda: ensure_topics(settings))
            until_answered(settings, lambda: refuse_compacted(compacted(settings.kafka, map(settings.topic, READ), settings.access)))
            if settings.lake:
                until_answered(settings, lambda: refuse_unequal(partition_counts(settings.kafka, map(settings.topic, TOGETHER), settings.access)))
            else:
                wait_for_group(settings, group)
            if not settings.accept_loss:
                refuse_outdated(
                    writer.sources(), until_answered(settings, lambda: committed_and_starts(settings.kafka, group, settings.access)), settings.topic
                )
            refuse_taken(settings)
            # Once more: the file may have gone while brokers were waited for.
            held_key(settings, writer)
            worker = create_app(settings, writer, client_id(settings), backups)
    except duckdb.Error as error:
        if damaged(error):
            raise WarehouseDamagedError(f"{settings.warehouse} is damaged: {error}. {WHAT_TO_DO}") from error
        raise
    return worker.run(settings.log_level, lines)


def end_on_sigterm() -> None:
    """Let SIGTERM end what waits, with exit code 0, until Faust handles it. The first process of a container ignores a signal that it does not handle."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


@contextmanager
def beside_waiting(settings: Settings, writer: Writer) -> Iterator[Backups | None]:
    """Answer requests for backups from now on: nobody else can open the file, however long brokers are waited for. Ends it only where no worker comes of it."""
    backups = None if settings.lake else Backups(settings, writer)
    try:
        yield backups
    except BaseException as error:
        if backups:
            backups.close()
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            # Else its threads go on for as long as they have work.
            writer.close()
        raise


SWITCH_SECONDS = 0.0002
"""How long a thread may keep the interpreter's lock while another waits: a batch is ninety statements, and after each the writing thread asks for it."""


def tune_interpreter() -> None:
    """Let the garbage collector look for cycles rarely, and threads take turns often.

    Hundreds of thousands of records are alive at a time, none of them in a cycle; looking among them took a fifth of the time.
    """
    gc.set_threshold(200_000, 20, 20)
    sys.setswitchinterval(SWITCH_SECONDS)


PASSING = (BrokerNotAvailableError, InvalidReplicationFactorError, RebalanceInProgressError, UnknownError)
"""Answers that the client does not call retriable and that pass all the same: a cluster that is being started has not yet as many brokers as replicas are wanted."""


def until_answered(settings: Settings, work: Callable[[], T], pause: float = STANDBY_SECONDS) -> T:
    """Wait for a broker, however long it takes.

    Raises:
        BrokerRefusedError: one is there and does not let us in, or does not let us do the work, or says that it cannot be done.
        AccessError: a certificate or a key cannot be used.
    """
    while True:
        # Asked first: the clients try for seconds and say only that nobody answers.
        refused = refusal(settings.kafka, settings.access)
        if refused is not None and refused.final:
            raise BrokerRefusedError(refused.reason)
        try:
            if refused is None:
                return work()
            reason = refused.reason
        except AuthorizationError as error:
            raise BrokerRefusedError(f"{settings.kafka} does not allow it: {error}. What a worker needs to be allowed is in docs/security.md.") from error
        except BrokerResponseError as error:
            if not error.retriable and not isinstance(error, PASSING):
                raise BrokerRefusedError(
                    f"{settings.kafka} is there and refuses: {error}. Change what it does not take: ONNURI_TOPIC_PREFIX is {settings.topic_prefix!r}, "
                    f"ONNURI_PARTITIONS is {settings.partitions}; or a setting or policy of the brokers."
                ) from error
            reason = f"one is there and cannot do it: {error}"
        except KafkaError as error:
            reason = str(error)
        log.warning("No broker at %s serves us yet (%s); trying again.", settings.kafka, reason)
        time.sleep(pause)


def wait_for_warehouse(settings: Settings) -> Writer:
    """Open the warehouse, waiting as long as another worker has it.

    Raises:
        WarehouseDamagedError: it cannot be read, or it is missing where one was published from: it must not silently begin anew.
        FolderTakenError: it is missing, and what is published is another line's.
    """
    told = False
    while True:
        try:
            # Asked each time: the worker that is waited for may publish its first state meanwhile.
            now, may_begin = datetime.now(UTC), not _published(settings)
            return LakeWriter(settings.lake, now, may_begin=may_begin) if settings.lake else Writer(settings.warehouse, now, may_begin=may_begin)
        except duckdb.Error as error:
            if not (settings.lake and passes(error)):
                raise
            log.warning("The lake's catalog is away; trying again: %s", str(error).splitlines()[0])
            time.sleep(STANDBY_SECONDS)
        except WarehouseMissingError as error:
            refuse_lively(settings, error)
            raise WarehouseMissingError(f"{error} What was published is in {settings.published_folder}.") from error
        except WarehouseBusyError as error:
            if not told:
                log.warning("Standby: %s", error)
                told = True
            time.sleep(STANDBY_SECONDS)


def _published(settings: Settings) -> bool:
    """Whether anything was published, or the begin of it: a manifest that is cut or gone does not make it nothing."""
    try:
        Manifest.read(settings.published_folder)
    except NothingPublishedError:
        return any(settings.published_folder.glob("*/*.parquet"))
    except ManifestError:
        return True
    return True


LIVELY_SECONDS = 30
"""A state that is older than this was published by nobody who goes on."""


def refuse_lively(settings: Settings, missing: WarehouseMissingError) -> None:
    """Refuse a folder that somebody publishes into just now: the warehouse is missing, so it is another line, whose files must not be moved away.

    Raises:
        FolderTakenError: with the id of the other's warehouse.
    """
    before = Manifest.found(settings.published_folder)
    if before is None or before.age(datetime.now(UTC)).total_seconds() > LIVELY_SECONDS:
        return
    time.sleep(STANDBY_SECONDS + 2 * settings.publish_seconds)
    after = Manifest.found(settings.published_folder)
    if after is not None and after.published_at != before.published_at:
        raise FolderTakenError(
            f"There is no warehouse {settings.warehouse}, and {settings.published_folder} has what another line publishes just now, that of the warehouse "
            f"{after.warehouse_id}. Two lines need a folder each: {OWN_FOLDER}"
        ) from missing


def client_id(settings: Settings) -> str:
    """What tells this worker's file from a copy of it: the machine's name, and a hash of the path. On a lake any number may run on a machine."""
    if settings.lake:
        return f"onnuri-{platform.node()}-{settings.web_port}"
    path = hashlib.sha256(str(settings.warehouse.resolve()).encode()).hexdigest()[:12]
    return f"onnuri-{platform.node()}-{path}"


def wait_for_group(settings: Settings, group: str) -> None:
    """Wait while a worker on a copy of this file, which has the same group, is in it: each would throw the other out.

    One that died on this file has our client id, and is not waited for.
    """
    told = False
    while others := until_answered(settings, lambda: clients_of(settings.kafka, group, settings.access)) - {client_id(settings)}:
        if not told:
            log.warning(
                "Standby: %s is in the group %s, on a copy of this warehouse. Two copies must not run at once; waiting until it is gone.",
                " and ".join(sorted(others)),
                group,
            )
            told = True
        time.sleep(STANDBY_SECONDS)


def refuse_unshared(settings: Settings) -> None:
    """Refuse a lake without what all of its workers have in common.

    Raises:
        SettingError: with the settings that are missing.
    """
    missing = [f"ONNURI_{name.upper()}" for name in ("lake_data", "published", "user_key") if not getattr(settings, name)]
    if str(settings.published or "").startswith(PREFIX):
        raise SettingError("ONNURI_PUBLISHED is a lake, which only readers may name. A worker publishes into a folder; give it one, or leave it out.")
    if settings.lake and missing:
        raise SettingError(f"ONNURI_WAREHOUSE is a lake, which several workers share. Expected {', '.join(missing)} too, the same for all of them.")


def held_key(settings: Settings, writer: Writer) -> None:
    """``refuse_other_key``, tried again where a lake's catalog is away, or others note its first key too. Raises as that."""
    while True:
        try:
            if writer.worn:
                writer.reopen()
            refuse_other_key(settings, writer)
        except duckdb.Error as error:
            if not (settings.lake and (conflicts(error) or passes(error))):
                raise
            writer.failed(error)
            log.warning("The key's fingerprint could not be noted in the lake; trying again: %s", str(error).splitlines()[0])
            time.sleep(STANDBY_SECONDS)
        else:
            return


def refuse_other_key(settings: Settings, writer: Writer) -> None:
    """Refuse to hide buyers with another key than before: nobody could match them with themselves, and what is written so cannot be mended. Notes the first one.

    Raises:
        SettingError: with the fingerprints, and what to do.
    """
    known, file = writer.user_keys(), key_of(settings.warehouse)
    lost = not settings.user_key and not file.exists()
    agreed = not known or settings.user_key_after == known[-1]
    # None is made before that is agreed to: it would be copied beside backups as the warehouse's.
    mine = "" if lost and not agreed else fingerprint(settings.hmac_key())
    if mine in known[-1:]:
        return
    if not agreed:
        came = f"ONNURI_USER_KEY is not set and there is no {file}" if lost else f"the one that came has {mine}"
        raise SettingError(
            f"Buyers of {settings.warehouse} are hidden with a key whose fingerprint is {known[-1]}, and {came}. Set ONNURI_USER_KEY as it was, or put {file} back; "
            f"it was copied beside each backup. If it is lost: ONNURI_USER_KEY_AFTER={known[-1]} goes on with another, and nobody can tell any more who has bought before and after."
        )
    if known:
        log.warning("Buyers are hidden with another key from now on: %s after %s", mine, known[-1])
    writer.use_key(mine, datetime.now(UTC))


def refuse_taken(settings: Settings) -> None:
    """Refuse a port that cannot be listened on: Faust would only find out with everything running.

    Not asked before the warehouse is ours: a standby may have the port of the worker that it waits for.

    Raises:
        SettingError: with what the system says.
    """
    try:
        check_port(settings.web_port, settings.web_host)
    except OSError as error:
        raise SettingError(
            f"ONNURI_WEB_PORT is {settings.web_port}, which cannot be listened on at ONNURI_WEB_HOST, {settings.web_host}: {error.strerror or error}. "
            "Stop what holds it, or set another; each worker on a machine needs its own."
        ) from error


def refuse_outdated(sources: Mapping[tuple[str, int], Source], kafka: Mapping[tuple[str, int], tuple[int, int]], topic_in_kafka: Callable[[str], str]) -> None:
    """Refuse a warehouse that was restored from a backup so old that Kafka no longer holds all that came since.

    What was never read is a loss that nothing can mend, and reading goes on (see ``Line``). This here was read by a newer state of the same
    warehouse, as the offsets show that Kafka has noted for it: perhaps there is a newer backup.

    Raises:
        WarehouseOutdatedError: with the ranges.
    """
    missing = []
    for (topic, partition), source in sorted(sources.items()):
        committed, start = kafka.get((topic_in_kafka(topic), partition), (0, 0))
        until = min(committed, start)
        if until > source.next_offset:
            missing.append(f"{topic}/{partition} offsets {source.next_offset} to {until}")
    if missing:
        raise WarehouseOutdatedError(
            f"A newer state of this warehouse had read, and Kafka no longer holds: {'; '.join(missing)} (ends not included). "
            "Restore a newer backup: onnuri restore FILE. To go on without them, with these ranges kept as lost: ONNURI_ACCEPT_LOSS=true"
        )
