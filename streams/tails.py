"""What stands in the logs just before where they are read on: records that were counted, unless a broker has lost the end of a log and others took their offsets.

Read by a consumer of its own, which belongs to no group: that of the worker may not be moved. It unpacks as that one does, so no batch takes more memory.
"""

import logging
import time
from collections.abc import Mapping

import aiokafka
from faust.types import TP

from streams.records import Records
from warehouse.access import Access

log = logging.getLogger(__name__)

LOOK_BACK = 100
"""So many offsets before the next one are looked at: a single record may be a duplicate, or refused, or sent again by its producer after the loss."""

PATIENCE_SECONDS = 10.0
"""As a rule a tenth of it is not needed. Where an open transaction stands before the offset, nothing more would come: what has come by then is looked at."""

FETCH_BYTES = 65_536
"""Of a partition at a time: what comes after the offset is read later anyway. One batch comes whole."""

Spans = Mapping[TP, tuple[int, int]]
"""By partition, offsets from, to, half open."""


async def tails(bootstrap: str, access: Access, spans: Spans) -> dict[TP, Records]:
    """The committed records of these spans, where there are any.

    Raises:
        aiokafka.errors.KafkaError: no broker answered, or it refused.
    """
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap.split(","),
        client_id="onnuri-tails",
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=FETCH_BYTES,
        request_timeout_ms=int(PATIENCE_SECONDS * 1000),
        **access.arguments(),
    )
    try:
        await consumer.start()
        return await _read(consumer, spans)
    finally:
        await consumer.stop()


async def _read(consumer: aiokafka.AIOKafkaConsumer, spans: Spans) -> dict[TP, Records]:
    ours = {aiokafka.TopicPartition(tp.topic, tp.partition): tp for tp in spans}
    consumer.assign(list(ours))
    for theirs, tp in ours.items():
        consumer.seek(theirs, spans[tp][0])
    found: dict[TP, list[Records]] = {tp: [] for tp in spans}
    left, until = dict(ours), time.monotonic() + PATIENCE_SECONDS
    while left and time.monotonic() < until:
        for theirs, batches in (await consumer.getmany(*left, timeout_ms=100)).items():
            # Each is a batch's records together: see streams.unpacking.
            found[ours[theirs]] += batches
        for theirs, tp in list(left.items()):
            # The position passes markers and what was taken back too.
            if await consumer.position(theirs) >= spans[tp][1]:
                consumer.pause(theirs)
                del left[theirs]
    if left:
        log.warning("Only a part of what stands before their offsets could be looked at within %g s: %s", PATIENCE_SECONDS, sorted(left.values()))
    read = {tp: Records.together(batches) for tp, batches in found.items() if batches}
    inside = {tp: records.at((records.offsets < spans[tp][1]).nonzero()[0]) for tp, records in read.items()}
    return {tp: records for tp, records in inside.items() if len(records)}
