"""One market: a day against its expected day, its market days, what past incidents cost it, its merchants."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl

from dashboard.figures.asking import ask
from dashboard.figures.expected import day_level, expected_between, known_until, levelled, rest_of_day
from dashboard.figures.incidents import Incident, IncidentFigures
from dashboard.figures.live import every_step, incidents_of_the_day
from dashboard.figures.rates import MIN_ATTEMPTS, Rates, rates_of, with_rates
from dashboard.formatting import SEOUL
from warehouse.analysis import LossEstimate
from warehouse.analysis.times import days_touched
from warehouse.comparing import counted_from
from warehouse.losses import exclusions
from warehouse.reading import Snapshot

Level = Callable[[Snapshot, datetime, datetime], LossEstimate | None]

COARSE = timedelta(minutes=30)
"""A market sells little: five minutes of it say nothing."""

DAYS = 28
MERCHANT_DAYS = 7


@dataclass(frozen=True)
class MarketFigures:
    """One market on one day (aware, Asia/Seoul). Money is KRW.

    ``steps``: at, sales, attempts, failure_rate, decline_rate every half-hour that has closed. ``band``: at, expected, low, high of the whole day.
    ``days``: day, sales, approved, declined, failed, market_day, incident, closed (maintenance or an exclusion covers most of it) for the four weeks up to the day, as far as they are counted.
    ``merchants``: merchant_id, approved, sales, failed, failed_amount over the week up to the day. ``expected`` is that of the closed steps; None without history.
    ``counted_from`` is when counting began, None where nothing was counted yet.
    """

    day_start: datetime
    closed: datetime
    steps: pl.DataFrame
    band: pl.DataFrame
    incidents: pl.DataFrame
    days: pl.DataFrame
    merchants: pl.DataFrame
    expected: float | None
    counted_from: datetime | None

    @property
    def day_end(self) -> datetime:
        """Midnight that ends the day."""
        return self.day_start + timedelta(days=1)

    @property
    def before_counting(self) -> bool:
        """Whether the day was over before anything was counted: that nothing is known of it is no day without sales."""
        return self.counted_from is not None and self.day_end <= self.counted_from

    @property
    def sales(self) -> int:
        """Sales of the closed steps."""
        return int(self.steps["sales"].sum())

    @property
    def against_expected(self) -> float | None:
        """Sales over expected sales, as a share of 1."""
        return self.sales / self.expected if self.expected else None

    @property
    def market_day_sales(self) -> float | None:
        """What the market sold on a market day on average, over the days before the last counted one that sold anything and were not closed."""
        return self._mean(held=True)

    @property
    def ordinary_day_sales(self) -> float | None:
        """The same on any other day."""
        return self._mean(held=False)

    def _mean(self, *, held: bool) -> float | None:
        days = self.days.filter((pl.col("market_day") == held) & ~pl.col("closed") & (pl.col("sales") > 0) & (pl.col("day") < pl.col("day").max()))
        return float(days["sales"].sum()) / len(days) if len(days) else None

    @property
    def rates(self) -> Rates:
        """Attempts of the day and what became of them."""
        return rates_of(self.steps)


def matching(markets: pl.DataFrame, search: str, region: str, district: str) -> pl.DataFrame:
    """The markets of ``market_list`` whose name, id or place holds ``search``; empty texts choose all."""
    chosen = markets
    if region:
        chosen = chosen.filter(pl.col("region") == region)
    if district:
        chosen = chosen.filter(pl.col("district") == district)
    for word in search.split():
        text = pl.concat_str("market", "market_id", "region", "district", separator=" ").str.to_lowercase()
        chosen = chosen.filter(text.str.contains(word.lower(), literal=True))
    return chosen


def digits_of(cycle: str | None) -> tuple[int, ...]:
    """The last digits of a market's days; none where it has no cycle."""
    return tuple(int(digit) for digit in (cycle or "").split(",") if digit.strip().isdigit())


def next_market_day(cycle: str | None, after: date) -> date | None:
    """The first market day on or after a day."""
    digits = digits_of(cycle)
    return next((day for day in (after + timedelta(days=ahead) for ahead in range(32)) if day.day % 10 in digits), None)


def market_figures(snapshot: Snapshot, market: dict[str, Any], day_start: datetime, level: Level = day_level) -> MarketFigures:
    """One market, a row of ``market_list``, on the day that begins at ``day_start``. ``level`` gives what all markets would sell, as ``day_level`` does."""
    end = day_start + timedelta(days=1)
    # In a backlog the watermark may not have reached a day of the past.
    known = min(snapshot.manifest.watermark or day_start, end)
    closed = day_start + max(known - day_start, timedelta(0)) // COARSE * COARSE
    first = counted_from(snapshot)
    name = market["market_id"]
    within = {"scope": "market", "scope_name": name}
    counted = ask(snapshot, "sales_by_step", start=day_start, end=closed, minutes=COARSE // timedelta(minutes=1), **within)
    steps = with_rates(every_step(counted, day_start, closed, COARSE), at_least=MIN_ATTEMPTS)
    incidents = reaching(incidents_of_the_day(snapshot, day_start), market)
    as_of = known_until(incidents, day_start)
    band = expected_between(snapshot, day_start, end, as_of=as_of, step=COARSE, **within)
    estimate = level(snapshot, day_start, as_of)
    if estimate is not None and name in estimate.by_market["market_id"]:
        expected = float(estimate.by_market.row(by_predicate=pl.col("market_id") == name, named=True)["expected"])
        band = levelled(band, expected, rest_of_day(estimate))
    so_far = band.filter(pl.col("at") < closed)
    digits = digits_of(market["cycle"])
    days = ask(snapshot, "days_of_market", market_id=name, start=end - timedelta(days=DAYS), end=end)
    # a day that begins where the watermark stands has nothing that is counted
    last = min(day_start, (known - timedelta(microseconds=1)).astimezone(SEOUL)).date()
    begun = max(end - timedelta(days=DAYS), first or day_start).astimezone(SEOUL).date()
    every = pl.DataFrame({"day": pl.date_range(begun, last, eager=True)})
    days = every.join(days, on="day", how="left", maintain_order="left").with_columns(pl.exclude("day").fill_null(0))
    week = day_start.date() - timedelta(days=MERCHANT_DAYS - 1)
    past = reaching(ask(snapshot, "incidents_newest_first"), market)
    away = exclusions(snapshot, end).filter(pl.col("reason") != "incident", pl.col("market_id").is_null() | (pl.col("market_id") == name))
    return MarketFigures(
        day_start=day_start,
        closed=closed,
        steps=steps,
        band=band,
        incidents=incidents,
        days=days.with_columns(
            market_day=(pl.col("day").dt.day() % 10).is_in(list(digits)),
            incident=pl.col("day").is_in(_hit_days(past, known)),
            closed=pl.col("day").is_in(_closed_days(away, days["day"].to_list())),
        ),
        merchants=ask(snapshot, "merchants_of_market", market_id=name, first=week, last=day_start.date()),
        expected=float(so_far["expected"].sum()) if len(so_far) else None,
        counted_from=first,
    )


def reaching(incidents: pl.DataFrame, market: dict[str, Any]) -> pl.DataFrame:
    """Those of the incidents that the market was within: not another region's, nor another market's."""
    return incidents.filter([within(scope, name, market) for scope, name in incidents.select("scope", "scope_name").iter_rows()])


def within(scope: str, name: str | None, market: dict[str, Any]) -> bool:
    """Whether a market lies within a scope: of places all but its own region and itself do not hold it, all else is everywhere."""
    places = {"region": market["region"], "market": market["market_id"]}
    return scope not in places or name == places[scope]


def _hit_days(incidents: pl.DataFrame, counted: datetime) -> list[date]:
    """The days that incidents touched, as far as is ``counted``."""
    found = set()
    for row in incidents.iter_rows(named=True):
        incident = Incident.of(row)
        found |= set(days_touched(incident.onset_at, incident.ended_at or incident.goes_on_at(counted)))
    return sorted(found)


def _closed_days(spans: pl.DataFrame, days: list[date]) -> list[date]:
    """Those of the days of which the spans, each with ``starts_at`` and ``ends_at`` (aware), cover more than half."""
    found = []
    for day in days:
        reached = midnight = datetime.combine(day, time(), SEOUL)
        covered, end = timedelta(0), midnight + timedelta(days=1)
        for begun, over in spans.sort("starts_at").select("starts_at", "ends_at").iter_rows():
            low, high = max(begun, reached), min(over or end, end)
            if low < high:
                covered, reached = covered + (high - low), high
        if covered > (end - midnight) / 2:
            found.append(day)
    return found


@dataclass(frozen=True)
class PastLoss:
    """What one incident cost one market, in KRW; None where the incident did not reach it or has no estimate.

    ``launch``: the service had just launched, and the figures hold only if demand had gone on as in the hours before.
    """

    incident: Incident
    lost: float | None
    low: float | None
    high: float | None
    expected: float | None
    launch: bool

    @property
    def share(self) -> float | None:
        """Lost over expected, as a share of 1."""
        return self.lost / self.expected if self.lost is not None and self.expected else None


def losses_of(market_id: str, known: Sequence[IncidentFigures]) -> list[PastLoss]:
    """What each incident cost the market."""
    found = []
    for figures in known:
        rows = figures.loss.by_market.filter(pl.col("market_id") == market_id).to_dicts() if figures.loss else []
        row = rows[0] if rows else dict.fromkeys(("lost", "low", "high", "expected"))
        found.append(PastLoss(figures.incident, row["lost"], row["low"], row["high"], row["expected"], figures.launch is not None))
    return found
