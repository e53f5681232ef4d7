"""What records hold, in sums, so that what was sent can be held against what arrived."""

from dataclasses import dataclass

import polars as pl

from streams.simulator.dirt import DUPLICATE, FOREIGN, LATE, MALFORMED, OUT_OF_ORDER


@dataclass(frozen=True)
class Tally:
    """What records hold, from their columns: distinct events, KRW by outcome, and dirt, which counts nowhere else.

    ``malformed`` are all records that cannot be read, ``foreign`` those of them that other systems wrote. ``late`` and ``out_of_order`` events are among
    ``events``: they were sent minutes or seconds after their turn. ``failed`` sums failed attempts to pay. ``approved`` includes ``approved_after_all``: approvals of attempts that had failed by a timeout.
    """

    events: int = 0
    approved: int = 0
    approved_after_all: int = 0
    declined: int = 0
    reversed: int = 0
    failed: int = 0
    duplicates: int = 0
    malformed: int = 0
    foreign: int = 0
    late: int = 0
    out_of_order: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in Tally.__dataclass_fields__})


def tally_of(part: pl.DataFrame) -> Tally:
    """The sums of encoded records, columns as in ``encoding`` with ``dirt``."""
    sums = {outcome: (count, amount) for outcome, count, amount in part.group_by("outcome").agg(pl.len(), pl.col("amount").sum()).iter_rows()}
    none = (0, 0)
    dirt = dict(part["dirt"].drop_nulls().value_counts().iter_rows())
    duplicates, malformed = dirt.get(DUPLICATE, 0), dirt.get(MALFORMED, 0) + dirt.get(FOREIGN, 0)
    after_all = sums.get("approved_after_all", none)[1]
    return Tally(
        events=len(part) - duplicates - malformed,
        approved=sums.get("approved", none)[1] + after_all,
        approved_after_all=after_all,
        declined=sums.get("declined", none)[1],
        reversed=sums.get("reversed", none)[1],
        failed=sums.get("failed", none)[1],
        duplicates=duplicates,
        malformed=malformed,
        foreign=dirt.get(FOREIGN, 0),
        late=dirt.get(LATE, 0),
        out_of_order=dirt.get(OUT_OF_ORDER, 0),
    )
