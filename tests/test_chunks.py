"""Chunks that are decoded together are what each would be by itself."""

import random
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from faust.types import TP
from polars.testing import assert_frame_equal

from streams.chunks import decoded
from streams.decoding import EARLIEST_MS, Layout, Span
from streams.events import Payment
from streams.keying import hider
from streams.records import Records
from streams.transport import Fetched
from tests.events_data import NOON, encoded, ms, payment
from warehouse.ingest import Chunk

HIDE = hider(b"not secret")


def plausible(records: Records) -> Span:
    """Each record by the time it was sent at, as in a replay."""
    return Span(np.maximum(EARLIEST_MS, records.times - 86_400_000), records.times)


def made(some: Sequence[Fetched], scanned_from: int) -> list[Chunk]:
    return decoded(some, "payments", Layout(Payment, scanned_from), HIDE, plausible, NOON.replace(tzinfo=None))


def chunk(chance: random.Random, number: int) -> Fetched:
    """Some payments with holes between their offsets, some of them unreadable, too old, without a value or sent without a time."""
    offset, records = chance.randrange(1_000), []
    for n in range(chance.randrange(1, 9)):
        value: bytes | None = encoded(payment(number * 10 + n, issuer=chance.choice(["새길카드", "\u1109\u1162", None])))
        value = chance.choice([value] * 6 + [b"no JSON", None, encoded(payment(number * 10 + n, occurred_at=ms(NOON) - 86_400_001))])
        records.append(SimpleNamespace(offset=offset, key=b"%d" % n, value=value, timestamp=chance.choice([ms(NOON)] * 9 + [None])))
        offset += chance.choice([1, 1, 1, 4])
    return Fetched.of(TP("payments", number % 3), 1, number + 1, Records.of(records))


@pytest.mark.parametrize("scanned_from", [1, 1_000])
@pytest.mark.parametrize("seed", range(20))
def test_chunks_are_decoded_together_as_each_is_alone(seed: int, scanned_from: int) -> None:
    chance = random.Random(seed)
    some = [chunk(chance, number) for number in range(chance.randrange(1, 7))]
    together = made(some, scanned_from)
    assert len(together) == len(some)
    refused = 0
    for found, one in zip(together, some, strict=True):
        (alone,) = made([one], 1_000)
        assert_frame_equal(found.frame.drop("row"), alone.frame.drop("row"))
        assert (found.topic, found.partition, found.first_offset, found.next_offset, found.refused, found.earliest, found.lost) == (
            (alone.topic, alone.partition, alone.first_offset, alone.next_offset, alone.refused, alone.earliest, alone.lost)
        )
        assert len(found.frame) + len(found.refused) == len(one.records)
        refused += len(found.refused)
    assert refused or seed % 2
