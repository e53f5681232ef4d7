"""What the live page shows: the current day in Seoul, by the line's clock and not the reader's."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from dashboard.figures.asking import ask
from dashboard.figures.names import with_places
from dashboard.figures.rates import MIN_ATTEMPTS, PurchaseOutcomes, Rates, rates_of, with_rates
from dashboard.formatting import SEOUL
from warehouse.reading import Manifest, Snapshot

STEP = timedelta(minutes=5)
SPARK_STEP = timedelta(minutes=30)
RECENT = timedelta(minutes=10)
EVERYWHERE = ("nation", "issuer", "service")
"""Scopes of incidents that reach buyers all over the country. One of a region, a market or a channel is no statement about the nation."""

_STEP_MINUTES = STEP // timedelta(minutes=1)
_SPARK_MINUTES = SPARK_STEP // timedelta(minutes=1)


@dataclass(frozen=True)
class Load:
    """The waiting queue: buyers waiting at ``at``, median wait in seconds, and who left it over the last ten minutes and over the day."""

    at: datetime
    queue_length: int
    wait_seconds: float
    abandoned_recently: int
    abandoned_today: int


@dataclass(frozen=True)
class Live:
    """One state of the live page. Money is KRW; times are aware, in Asia/Seoul.

    ``sales`` holds everything published of the day. ``closed_sales`` ends at ``closed_until`` and is what ``expected`` is
    compared with. ``steps``: at, sales, attempts, failure_rate, decline_rate for every closed step of five minutes,
    rates null under 30 attempts.
    ``band``: at, expected, low, high for the whole day. ``queue``: at, queue_length, abandoned.
    ``markets``: market_id, market, region, latitude, longitude, sales, attempts, failure_rate and failure_percent (null under 30 attempts),
    rhythm (sales by half-hour).
    """

    day_start: datetime
    closed_until: datetime
    sales: int
    approved: int
    reversed_amount: int
    selling_markets: int
    closed_sales: int
    expected: float | None
    recent: Rates
    today: Rates
    purchases: PurchaseOutcomes
    load: Load | None
    steps: pl.DataFrame
    band: pl.DataFrame
    incidents: pl.DataFrame
    queue: pl.DataFrame
    markets: pl.DataFrame

    @property
    def day_end(self) -> datetime:
        """Midnight that ends the day."""
        return self.day_start + timedelta(days=1)

    @property
    def against_expected(self) -> float | None:
        """Closed sales over what was expected until then, as a share of 1."""
        return self.closed_sales / self.expected if self.expected else None

    @property
    def worst_market(self) -> tuple[str, float] | None:
        """The market with the highest failure rate among those with enough attempts, and its rate."""
        judged = self.markets.drop_nulls("failure_rate").sort("failure_rate", "sales", descending=True)
        return (judged["market"][0], judged["failure_rate"][0]) if len(judged) else None

    @property
    def nationwide(self) -> pl.DataFrame:
        """The incidents of the day that reach the whole country."""
        return self.incidents.filter(pl.col("scope").is_in(EVERYWHERE))

    @property
    def nationwide_open(self) -> bool:
        """Whether one of them has not ended."""
        return bool(self.nationwide["ended_at"].has_nulls())

    @property
    def open_incidents(self) -> pl.DataFrame:
        """The incidents of the day that have not ended."""
        return self.incidents.filter(pl.col("ended_at").is_null())


def day_start_of(manifest: Manifest) -> datetime:
    """Midnight in Seoul of the day that the line's clock is in; at midnight itself, of the day that has just ended."""
    return (manifest.now.astimezone(SEOUL) - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def closed_until(manifest: Manifest) -> datetime:
    """The end of the last whole step before the watermark, not before the day's start."""
    start = day_start_of(manifest)
    if manifest.watermark is None or manifest.watermark <= start:
        return start
    return start + (manifest.watermark - start) // STEP * STEP


def live_figures(snapshot: Snapshot, band: pl.DataFrame) -> Live:
    """The live page's state from ``snapshot``; ``band`` is the day's expected sales by step (at, expected, low, high), empty if unknown."""
    start, closed = day_start_of(snapshot.manifest), closed_until(snapshot.manifest)
    end = start + timedelta(days=1)
    totals = ask(snapshot, "totals_in_span", start=start, end=end).row(0, named=True)
    counted = ask(snapshot, "sales_by_step", start=start, end=closed, minutes=_STEP_MINUTES, scope="nation", scope_name="")
    minutes = ask(snapshot, "sales_by_step", start=closed - RECENT, end=closed, minutes=1, scope="nation", scope_name="")
    so_far = band.filter(pl.col("at") < closed)
    queue = ask(snapshot, "queue_by_minute", start=start, end=end)
    return Live(
        day_start=start,
        closed_until=closed,
        sales=totals["sales"],
        approved=totals["approved"],
        reversed_amount=totals["reversed_amount"],
        selling_markets=totals["markets"],
        closed_sales=int(counted["sales"].sum()),
        expected=float(so_far["expected"].sum()) if len(so_far) else None,
        recent=rates_of(minutes),
        today=Rates(totals["approved"], totals["declined"], totals["failed"]),
        load=_load(queue),
        steps=with_rates(every_step(counted, start, closed), at_least=MIN_ATTEMPTS),
        band=band,
        incidents=incidents_of_the_day(snapshot, start),
        purchases=_purchases(snapshot, start, end, totals["approved"]),
        queue=queue,
        markets=_markets(snapshot, start, closed),
    )


def every_step(counted: pl.DataFrame, start: datetime, end: datetime, step: timedelta = STEP) -> pl.DataFrame:
    """``counted`` with a row for every step in the span: inside a closed span silence means zero."""
    if end <= start:
        return counted.clear()
    steps = pl.DataFrame({"at": pl.datetime_range(start, end, step, closed="left", time_unit="us", eager=True)})
    return steps.join(counted, on="at", how="left", maintain_order="left").with_columns(pl.exclude("at").fill_null(0))


def incidents_of_the_day(snapshot: Snapshot, start: datetime) -> pl.DataFrame:
    """The incidents that touch the day that begins at ``start``, the newest first, with ``place``; ``until`` is their end, or now while they are open."""
    until = pl.col("ended_at").fill_null(snapshot.manifest.now.astimezone(SEOUL))
    return (
        with_places(snapshot, ask(snapshot, "incidents_newest_first"))
        .with_columns(until=until)
        .filter((pl.col("onset_at") < start + timedelta(days=1)) & (pl.col("until") > start))
    )


def _purchases(snapshot: Snapshot, start: datetime, end: datetime, approved: int) -> PurchaseOutcomes:
    found = ask(snapshot, "failed_purchases_in_span", start=start, end=end, scope="nation", scope_name="").row(0, named=True)
    return PurchaseOutcomes(approved, found["purchases"], found["recovered"])


def _load(queue: pl.DataFrame) -> Load | None:
    if not len(queue):
        return None
    last = queue.row(-1, named=True)
    recently = queue.filter(pl.col("at") > last["at"] - RECENT)["abandoned"].sum()
    return Load(last["at"], int(last["queue_length"]), last["wait_ms_p50"] / 1000, int(recently), int(queue["abandoned"].sum()))


def _markets(snapshot: Snapshot, start: datetime, closed: datetime) -> pl.DataFrame:
    ranked = with_rates(ask(snapshot, "markets_by_sales", start=start, end=start + timedelta(days=1)), at_least=MIN_ATTEMPTS)
    ranked = ranked.with_columns(failure_percent=pl.col("failure_rate") * 100)
    if closed <= start:
        return ranked.with_columns(rhythm=pl.lit([], dtype=pl.List(pl.Int32)))
    steps = pl.DataFrame({"at": pl.datetime_range(start, closed, SPARK_STEP, closed="left", time_unit="us", eager=True)})
    grid = ranked.select("market_id").join(steps, how="cross")
    sold = ask(snapshot, "market_sales_by_step", start=start, end=closed, minutes=_SPARK_MINUTES)
    rhythm = (
        grid.join(sold, on=["market_id", "at"], how="left", maintain_order="left")
        .group_by("market_id", maintain_order=True)
        .agg(rhythm=pl.col("sales").fill_null(0).clip(upper_bound=2**31 - 1).cast(pl.Int32))
    )
    return ranked.join(rhythm, on="market_id", how="left", maintain_order="left")
