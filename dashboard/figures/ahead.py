"""Figures of what is ahead, from a snapshot: frames for charts and tables, and the sentence that matters."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from warehouse.ahead import Ahead, ahead, as_of, capacity, requests_an_attempt
from warehouse.analysis.capacity import Capacity
from warehouse.analysis.comparison import Comparison
from warehouse.analysis.headroom import Headroom, headroom
from warehouse.analysis.remarks import Remark
from warehouse.comparing import compared, operator_spans
from warehouse.reading import Snapshot

RECENT = timedelta(days=14)


@dataclass(frozen=True)
class AheadFigures:
    """``days``: a row a day with ``at`` (aware midnight in Seoul), ``name`` of a holiday, and the quantiles of sales and, with the prefix ``peak_``, of requests in the busiest minute of the service."""

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
        """The holiday that needs most, or all days where there is none."""
        rows = self.holidays
        return max(rows[:-1] or rows, key=lambda row: row["needed"])


@dataclass(frozen=True)
class Options:
    """Spans that can be compared, by name: operators, and the last two weeks against the two before."""

    spans: dict[str, tuple[datetime, datetime]]
    operators: list[str]


def ahead_figures(snapshot: Snapshot, service: str, days: int, tested: float) -> AheadFigures:
    """Everything of the page. Raises as ``warehouse.ahead.ahead``."""
    known: Ahead = ahead(snapshot, days=days)
    share = requests_an_attempt(snapshot, service)
    proven = Capacity(service, None, None, None, tested, "load_test", 1) if tested else capacity(snapshot, service)
    room = headroom(known.peaks, known.attempts, proven, amount=known.amount, share=share)
    sales = known.sales.days.with_columns(at=pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("Asia/Seoul"))
    peaks = known.peaks.select("date", (pl.col("^q.*$") * share).name.prefix("peak_"))
    return AheadFigures(as_of(snapshot), sales.join(peaks, on="date", maintain_order="left"), room, known.warnings)


def options_of(snapshot: Snapshot) -> Options:
    """What there is to compare. Raises as ``as_of``."""
    now = as_of(snapshot)
    operators = {name: (start, end) for name, start, end in operator_spans(snapshot)}
    return Options({**operators, "recent": (now - RECENT, now), "before": (now - 2 * RECENT, now - RECENT)}, list(operators))


def compared_figures(snapshot: Snapshot, first: tuple[str, datetime, datetime], second: tuple[str, datetime, datetime], *, losses: bool) -> Comparison:
    """Two spans. Raises as ``compare``."""
    return compared(snapshot, first, second, losses=losses)
