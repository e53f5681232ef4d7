"""Demand ahead by hour and day, with quantiles: what holidays, market days, promotions and growth make of it. docs/forecast.md has the method."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from warehouse.analysis.demand_model import Filtered, filtered, fitted, rhythms, totals
from warehouse.analysis.errors import AnalysisError, HistoryError
from warehouse.analysis.forecast_errors import FLOOR, HORIZONS, Errors, past_errors
from warehouse.analysis.forecast_markets import MarketDays, market_shares
from warehouse.analysis.panel import Array, Codes, Mask, Panel, Rows, panel_of, regular_cuts, rows_of
from warehouse.analysis.promoted import Promoted, promoted
from warehouse.analysis.remarks import Remark
from warehouse.analysis.special_days import YEAR, SpecialDays, special_days
from warehouse.analysis.times import DAY, date_of, minute_of, moment_of, spans_of

LEVELS = (0.5, 0.8, 0.95, 0.99)
HISTORY_DAYS = 1_200
LEAST_DAYS = 8
MOST_DAYS = 370


@dataclass(frozen=True)
class Forecast:
    """``hours``: the groups, ``at`` (naive, Seoul) and a column a quantile (``q50``, …) in the unit of the history. ``days``: the groups, ``date``, ``name`` of a holiday, the quantiles.

    Quantiles are of one hour and one day each: they do not add up. ``by`` is nation, region or market.
    """

    hours: pl.DataFrame
    days: pl.DataFrame
    by: str
    warnings: list[Remark]


def forecast(
    history: pl.DataFrame,
    *,
    as_of: datetime,
    days: int = 60,
    by: str = "nation",
    calendar: pl.DataFrame | None = None,
    feasts: pl.DataFrame | None = None,
    promotions: pl.DataFrame | None = None,
    exclusions: pl.DataFrame | None = None,
    cycles: pl.DataFrame | None = None,
) -> Forecast:
    """Forecast ``days`` whole days from the one of ``as_of`` on, learnt from the whole days before it.

    ``history``: ``at``, ``sales`` (any count or amount, in steps of an hour or less) and, for ``by``, ``region`` and ``market_id``; absent rows are zero.
    ``exclusions`` (incidents, switch-offs) are repaired: a day's other hours say what they would have held. With ``market_id`` one is of that market alone; with ``region`` beside it
    (a row a market) of the region, and so of the nation too. ``promotions``: ``start``, ``end``, ``factor`` (null: learnt from
    those that went before), optionally ``low`` and ``high`` (90 %). ``cycles``: market days as in ``estimate_loss``. ``calendar`` and ``feasts`` as in ``special_days``.

    Raises:
        FrameError: a column is missing or holds what it may not.
        HistoryError: fewer than eight days are known.
        AnalysisError: the horizon, or ``by`` cannot be used.
    """
    if by not in ("nation", "region", "market"):
        raise AnalysisError(f"by: expected nation, region or market, got {by!r}.")
    if not 1 <= days <= MOST_DAYS:
        raise AnalysisError(f"days: expected 1 to {MOST_DAYS}, got {days}.")
    levels = LEVELS
    groups = {"nation": (), "region": ("region",), "market": ("region", "market_id")}[by]
    today = minute_of(as_of, "as_of") // DAY
    rows = rows_of(history, "history", groups).until(today * DAY)
    if not len(rows.minute):
        raise HistoryError("history: expected sales before the day of as_of, got none. Load history, or move as_of.")
    # a day that begins in the afternoon is none
    first = max((int(rows.minute.min()) + DAY // 2) // DAY, today - HISTORY_DAYS)
    if today - first < LEAST_DAYS:
        raise HistoryError(f"history: expected at least {LEAST_DAYS} days before as_of, got {today - first}. Load more days.")
    special = special_days(first, today + days, calendar, feasts, history=today - first)
    said = promoted(promotions, first, today + days)
    panel = panel_of(rows, regular_cuts(60), *_places(rows), (first, today), today * DAY, _gaps(exclusions, by, rows))
    lifted = MarketDays.of(rows.names["market_id"], panel, cycles, special) if by == "market" else None
    values = lifted.without(panel.values) if lifted else panel.values
    region_of, names = _regions(rows, panel)
    known = np.stack([panel.seen & panel.known_of(region_of == code) for code in range(len(names))])
    everywhere: Mask = np.asarray(known.all(axis=0))
    nation = _Model.of(values.sum(axis=0, keepdims=True), _learnable(everywhere, panel.seen), special, said, levels)
    begun = panel.starts.reshape(panel.seen.shape) >= rows.minute.min()
    warnings = _warnings(special, today - first, days, panel, everywhere, begun, said)
    promotion = said.ahead(nation.fitted, special, nation.values, days)
    if by == "nation":
        hours, of_days = nation.ahead(days, promotion)
        return Forecast(_frame(hours, [()], (), today, levels), _days_frame(of_days, [()], (), today, special, levels), by, warnings)
    sold = np.stack([values[region_of == code].sum(axis=0) for code in range(len(names))])
    hours, of_days = np.empty((len(names), days, 24, len(levels))), np.empty((len(names), days, len(levels)))
    # regions that were out at the same times are learnt together
    masks, alike = np.unique(known, axis=0, return_inverse=True)
    for number, seen in enumerate(masks):
        these = alike.ravel() == number
        model = _Model.of(sold[these], _learnable(seen, panel.seen), special, said, levels, nation)
        hours[these], of_days[these] = model.ahead(days, promotion)
    if lifted is None:
        labels: list[tuple[str, ...]] = [(name,) for name in names]
        return Forecast(_frame(hours, labels, groups, today, levels), _days_frame(of_days, labels, groups, today, special, levels), by, warnings)
    shares = market_shares(rows.names["market_id"], values, panel, region_of, lifted)
    markets = list(zip((names[code] for code in region_of), shares.names, strict=True))
    return Forecast(
        _frame(shares.hours(hours, levels), markets, groups, today, levels),
        _days_frame(shares.days(hours, of_days, levels), markets, groups, today, special, levels),
        by,
        warnings,
    )


@dataclass(frozen=True)
class _Model:
    """The nation's or the regions' days, learnt."""

    fitted: Filtered
    rhythm: Array
    errors: Errors
    special: SpecialDays
    values: Array
    seen: Mask

    @classmethod
    def of(cls, values: Array, seen: Mask, special: SpecialDays, said: Promoted, levels: tuple[float, ...], wider: "_Model | None" = None) -> "_Model":
        known = said.factors[: len(seen)]
        values, seen = values / known, seen & (said.unknown[: len(seen)] == 0)
        if not seen.any():
            raise HistoryError("history: expected days outside exclusions and promotions of unknown factor, got none.")
        logs, share = totals(values, seen, special)
        found = fitted(logs, share, special) if wider is None else filtered(logs, share, special, wider.fitted.noise)
        rhythm = rhythms(values, seen, special)
        return cls(found, rhythm, past_errors(found, rhythm, logs, values, seen, special, levels), special, values, seen)

    def ahead(self, days: int, promotion: tuple[Array, Array]) -> tuple[Array, Array]:
        """Quantiles [place, day, slot, level] of hours and [place, day, level] of days; ``promotion``: factors [day, slot] and how unsure their logarithms are."""
        past = len(self.seen)
        ahead = np.arange(past, past + days)
        mean, spread = self.fitted.ahead(past - 1, self.special.design[ahead])
        factors, unsure = promotion
        spread = np.sqrt(spread**2 + unsure.max(axis=1) ** 2)
        classes = np.minimum(np.searchsorted(HORIZONS, np.arange(1, days + 1)), len(HORIZONS) - 1)
        rhythm = self.rhythm[-1][self.special.weekdays[ahead]].transpose(1, 0, 2)
        per_day = (rhythm * factors).sum(axis=2)
        of_days = np.exp(mean[:, :, None] + self.errors.of_days[classes].transpose(1, 0, 2) * spread[:, :, None]) * per_day[:, :, None]
        floor = FLOOR * self.values.mean(axis=(1, 2))[:, None, None]
        centre = np.log(np.exp(mean)[:, :, None] * rhythm + floor)
        width = np.sqrt(spread[:, :, None] ** 2 + self.errors.chance[:, None, :] ** 2)
        quantiles = np.exp(centre[..., None] + self.errors.of_slots[classes].transpose(1, 0, 2, 3) * width[..., None]) - floor[..., None]
        return np.maximum(quantiles, 0.0) * factors[None, :, :, None], of_days


def _places(rows: Rows) -> tuple[Codes, int]:
    last = "market_id" if "market_id" in rows.places else "region" if "region" in rows.places else None
    return (rows.places[last], len(rows.names[last])) if last else (np.zeros(len(rows.minute), dtype=np.int64), 1)


def _gaps(exclusions: pl.DataFrame | None, by: str, rows: Rows) -> list[tuple[int, int, int | None]]:
    """Exclusions with the place that each is of, None: all. What one market lacks is little of a region; what a region lacks is much of the nation."""
    named = exclusions is not None and "region" in exclusions.columns
    regions = exclusions["region"].to_list() if exclusions is not None and named else [None] * (0 if exclusions is None else len(exclusions))
    codes = {name: code for code, name in enumerate(rows.names.get({"market": "market_id"}.get(by, by), []))}
    found: dict[tuple[int, int, int | None], None] = {}
    for (low, high, market), region in zip(spans_of(exclusions, "exclusions"), regions, strict=True):
        name = market if by == "market" else region
        if market is None or (by == "nation" and region is not None):
            found[low, high, None] = None
        elif name in codes:
            found[low, high, codes[name]] = None
    return list(found)


def _learnable(seen: Mask, otherwise: Mask) -> Mask:
    """What may be learnt from; what was never whole for a day is learnt as it is, for there is nothing else."""
    return seen if seen.all(axis=1).any() else otherwise


def _regions(rows: Rows, panel: Panel) -> tuple[Codes, list[str]]:
    """The region of each place, the newest row's where it changed; the nation is one without a name."""
    if "region" not in rows.places:
        return np.zeros(1, dtype=np.int64), [""]
    names = rows.names["region"]
    if "market_id" not in rows.places:
        return np.arange(len(names)), names
    region = np.zeros(len(panel.values), dtype=np.int64)
    region[rows.places["market_id"]] = rows.places["region"]
    used = np.unique(region)
    return np.searchsorted(used, region), [names[code] for code in used]


def _frame(hours: Array, labels: Sequence[tuple[str, ...]], groups: tuple[str, ...], today: int, levels: tuple[float, ...]) -> pl.DataFrame:
    places, days, slots, _ = hours.shape
    start = moment_of(today * DAY)
    at = pl.datetime_range(start, start + timedelta(hours=days * slots), "1h", closed="left", eager=True)
    return _labelled(hours.reshape(-1, len(levels)), labels, groups, pl.concat([at] * places).alias("at"), days * slots, levels)


def _days_frame(
    of_days: Array, labels: Sequence[tuple[str, ...]], groups: tuple[str, ...], today: int, special: SpecialDays, levels: tuple[float, ...]
) -> pl.DataFrame:
    places, days, _ = of_days.shape
    dates = pl.Series("date", [date_of(today + n) for n in range(days)] * places, dtype=pl.Date)
    found = _labelled(of_days.reshape(-1, len(levels)), labels, groups, dates, days, levels)
    names = pl.Series("name", [special.names[-days:][n] for n in range(days)] * places, dtype=pl.String)
    return found.insert_column(len(groups) + 1, names)


def _labelled(
    figures: Array, labels: Sequence[tuple[str, ...]], groups: tuple[str, ...], times: pl.Series, each: int, levels: tuple[float, ...]
) -> pl.DataFrame:
    columns = [
        pl.Series(group, [label[n] for label in labels], dtype=pl.String).gather(np.repeat(np.arange(len(labels)), each)) for n, group in enumerate(groups)
    ]
    return pl.DataFrame([*columns, times, *(pl.Series(quantile_name(level), figures[:, n]) for n, level in enumerate(levels))])


def quantile_name(level: float) -> str:
    """The column of a quantile: ``q95`` for 0.95."""
    return f"q{level * 100:g}"


def _warnings(special: SpecialDays, history: int, days: int, panel: Panel, seen: Mask, begun: Mask, said: Promoted) -> list[Remark]:
    found = []
    known, ahead = special.feast[:history] & seen.any(axis=1), special.feast[history:]
    if ahead.any() and not known.any():
        found.append(Remark("forecast_no_feast", {"days": history}))
    if history < YEAR:
        found.append(Remark("forecast_within_year", {"days": history}))
    if days > history:
        found.append(Remark("forecast_far", {"days": history, "count": days}))
    lost = int((~seen & begun & (seen.any(axis=1) | (panel.values.sum(axis=(0, 2)) > 0))[:, None]).sum())
    if lost:
        found.append(Remark("forecast_repaired", {"count": lost}))
    if said.unknown[history:].any():
        found.append(Remark("forecast_promotion", {}))
    return found
