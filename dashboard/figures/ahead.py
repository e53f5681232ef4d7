"""Figures of what is ahead and of spans compared, from a snapshot: the same for pages and report."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple

import polars as pl

from dashboard.formatting import SEOUL
from warehouse.ahead import Ahead, as_of, headroom_ahead, requests_an_attempt
from warehouse.analysis.capacity import Capacity
from warehouse.analysis.comparison import Comparison
from warehouse.analysis.headroom import Headroom
from warehouse.analysis.remarks import Remark
from warehouse.comparing import compared, counted_from, counted_within, operator_spans
from warehouse.reading import Snapshot

RECENT = timedelta(days=14)
BEFORE = timedelta(days=28)
"""Before an incident so much is looked at: each weekday four times, and what went before two weeks without service."""

DAYS = 60
"""Days ahead, unless a reader asks for others."""


@dataclass(frozen=True)
class AheadFigures:
    """``days``: a row a day with ``at`` (aware midnight in Seoul), ``name`` of a holiday, and the quantiles of sales and, with the prefix ``peak_``, of requests in the busiest minute of the service.

    Those are null where the service reported none.
    """

    made_at: datetime
    days: pl.DataFrame
    room: Headroom
    warnings: list[Remark]

    @property
    def capacity(self) -> Capacity:
        """What it is held against."""
        return self.room.capacity

    @property
    def holidays(self) -> list[dict[str, Any]]:
        """The rows of each holiday, and that of all days."""
        return list(self.room.table.iter_rows(named=True))

    @property
    def tightest(self) -> dict[str, Any]:
        """The row that needs most."""
        return self.room.tightest


@dataclass(frozen=True)
class Options:
    """Spans that can be compared, by name: operators, and the last two weeks against the two before."""

    spans: dict[str, tuple[datetime, datetime]]
    operators: list[str]


class Named(NamedTuple):
    """A span with its name, times aware."""

    name: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class SideBySide:
    """Two spans and how they compare. With ``operators`` their names are those of who ran the platform; else ``before`` and ``during``."""

    first: Named
    second: Named
    operators: bool
    comparison: Comparison

    @property
    def spans(self) -> tuple[Named, Named]:
        """Both in order."""
        return self.first, self.second


def ahead_figures(snapshot: Snapshot, service: str, days: int, tested: float, known: Ahead | None = None) -> AheadFigures:
    """Everything of the page, from demand that is ``known`` or made here. Raises as ``warehouse.ahead.ahead``."""
    by_test = Capacity(service, None, None, None, tested, "load_test", 1) if tested else None
    room, known = headroom_ahead(snapshot, service, by_test, days=days, known=known)
    share = requests_an_attempt(snapshot, service)
    sales = known.sales.days.with_columns(at=pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("Asia/Seoul"))
    peaks = known.peaks.select("date", (pl.col("^q.*$") * pl.lit(share, pl.Float64)).name.prefix("peak_"))
    return AheadFigures(as_of(snapshot), sales.join(peaks, on="date", maintain_order="left"), room, known.warnings)


def options_of(snapshot: Snapshot) -> Options:
    """What there is to compare. Raises as ``as_of``."""
    now = as_of(snapshot)
    operators = {name: (start, end) for name, start, end in operator_spans(snapshot)}
    weeks = {"recent": (now - RECENT, now), "before": (now - 2 * RECENT, now - RECENT)}
    counted = {name: counted_within(snapshot, *span) for name, span in weeks.items()}
    # what was not counted at all keeps its dates: they say of when nothing is known
    return Options({**operators, **{name: span if span[0] < span[1] else weeks[name] for name, span in counted.items()}}, list(operators))


def around(snapshot: Snapshot, onset: datetime, ended: datetime | None) -> SideBySide | None:
    """The time of an incident beside the one before it; losses are not estimated. None where nothing was counted before.

    It is the operator under whom the incident began and the one before; where nobody said who they were, two weeks from the incident's
    first day on and the four weeks before. Raises as ``compare``.
    """
    now = as_of(snapshot)
    operators = [Named(*span) for span in operator_spans(snapshot)]
    under = next((place for place, span in enumerate(operators) if span.start <= onset < span.end), 0)
    if under:
        first, second = operators[under - 1], operators[under]
    else:
        midnight = datetime.combine(onset.astimezone(SEOUL).date(), time.min, SEOUL).astimezone(UTC)
        first = Named("before", max(midnight - BEFORE, counted_from(snapshot) or midnight), midnight)
        second = Named("during", midnight, min(max(midnight + RECENT, ended or now), now))
    if first.start >= first.end or second.start >= second.end:
        return None
    return SideBySide(first, second, bool(under), compared(snapshot, first, second, losses=False))
