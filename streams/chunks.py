"""Fetched chunks of a topic become decoded ones, all at once: what a call of Polars costs, it costs however few the records are. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import accumulate, pairwise

import numpy as np
import polars as pl

from streams.decoding import Layout, Span, decode
from streams.keying import Hide, keyed
from streams.records import Records
from streams.transport import Fetched
from warehouse.ingest import Chunk, Refused

Plausible = Callable[[Records], Span]
"""From records to the event times that they may have."""


def decoded(some: Sequence[Fetched], topic: str, layout: Layout, hide: Hide, plausible: Plausible, earliest: datetime | None) -> list[Chunk]:
    """A chunk for each fetched one, of the ``topic`` in the contract's words; ``earliest`` is noted in each."""
    records = Records.together(one.records for one in some)
    keys, values, offsets = records.keys, records.values, records.offsets
    found = decode(values, layout, plausible(records))
    rows = found.frame["row"].to_numpy()
    frame = keyed(found.frame.hstack([pl.Series("offset_at", offsets[rows])]), hide)
    ends = [0, *accumulate(len(one.records) for one in some)]
    chunks = []
    for one, (first, last), (low, high) in zip(some, pairwise(ends), pairwise(np.searchsorted(rows, ends).tolist()), strict=True):
        bad = [r for r in found.refusals if first <= r.row < last]
        refused = [Refused(int(offsets[r.row]), r.reason, r.detail, keys[r.row], values[r.row]) for r in bad]
        place = one.place
        chunks.append(Chunk(topic, place.tp.partition, place.first_offset, place.next_offset, frame.slice(low, high - low), refused, earliest=earliest))
    return chunks
