"""The gross shortfall of a window: what was expected less what was observed, with an interval.

Expected is what days of the same kind sold, brought to today's level by the hours before, and, where only some markets are
hit, by the others in the same hours. docs/method.md has the formulas, their sources, and where they fail.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, hypot

import numpy as np
import polars as pl

from warehouse.analysis.asked import hit_of, level_of, moments_of, need_rows_once, regions_of, window_of
from warehouse.analysis.bands import OLD_DAYS, Bands, Wider, extra_width
from warehouse.analysis.calendar import types_of
from warehouse.analysis.effects import Promotions, factors, market_day_factor, market_days, promotions_of, without
from warehouse.analysis.errors import HistoryError, LongWindowError, NothingBeforeError, need_columns
from warehouse.analysis.feasts import feast_days, feast_range, touches_feast, with_feasts
from warehouse.analysis.hour_before import other_levels, strayed_before
from warehouse.analysis.panel import Array, Codes, Mask, Panel, Rows, need_rows, panel_of, regular_cuts, rows_of
from warehouse.analysis.profiles import Learner
from warehouse.analysis.recovery import Recovery
from warehouse.analysis.remarks import Remark
from warehouse.analysis.shocks import Shocks
from warehouse.analysis.times import DAY, Minutes, date_of, moment_of, spans_of
from warehouse.analysis.trading_days import gaps_of, idle_days, own_silences, with_closed
from warehouse.analysis.windows import JITTER, Situation, ask, past_windows

MOST_NAMED = 5

HISTORY_DAYS = 70
"""So many days before a window are learnt from, and so many may a window touch."""


@dataclass(frozen=True)
class LossEstimate:
    """The loss of a window, in the unit of the sales; ``lost`` = ``expected`` - ``observed``, in [``low``, ``high``] with probability ``level``.

    ``by_region``, ``by_channel``, ``by_market`` have ``region``, ``channel``, ``market_id`` and the same five columns. Their point
    estimates add up to the total, unclipped (a market may have lost less than nothing); their intervals do not. ``method`` and
    ``warnings`` are English sentences that carry a code and values (``Remark``). ``start`` and ``end`` are the window that was estimated, naive local times.
    """

    expected: float
    observed: float
    lost: float
    low: float
    high: float
    by_region: pl.DataFrame
    by_channel: pl.DataFrame
    by_market: pl.DataFrame
    method: Remark
    warnings: list[Remark]
    start: datetime
    end: datetime
    level: float


def estimate_loss(  # noqa: PLR0913 - everything that may be known about the sales, each by its name
    sales: pl.DataFrame,
    start: datetime,
    end: datetime,
    *,
    markets: list[str] | None = None,
    as_of: datetime | None = None,
    complete_until: datetime | None = None,
    calendar: pl.DataFrame | None = None,
    cycles: pl.DataFrame | None = None,
    promotions: pl.DataFrame | None = None,
    exclusions: pl.DataFrame | None = None,
    level: float = 0.9,
    step: timedelta | None = None,
) -> LossEstimate:
    """Estimate what was not sold from ``start`` to ``end``.

    Times are aware, or naive and local (Asia/Seoul); ``start``, ``end``, ``as_of``, ``complete_until`` alike. ``sales`` has ``at`` (start of an interval; any uniform step from a minute
    to a day, each time, market and channel once; ``step``, by default the longest that fits; hours may come summed up where neither the window nor the same window an hour
    earlier or later begins or ends within), ``market_id``, ``sales`` (0 or more), optionally ``region``, ``channel``; absent rows are
    zero from the first row's time to ``as_of``. ``complete_until``: until when rows are known to be complete, so that silence is no sales (default: the end of the last row, as
    a file may break off). ``markets`` are the ones hit (None: all). ``calendar``: ``date``, ``day_type``, by default Korean weekdays
    and holidays. ``cycles``: ``market_id``, ``days`` (last digits of market days). ``promotions``: ``start``, ``end``, ``label``,
    optionally ``factor``. ``exclusions``: ``start``, ``end``, optionally ``market_id``: never learnt from, nor is the incident.
    Nothing from ``as_of`` on is used (default: ``end``, or the end of the step that holds it); a later one learns from the days after.

    Raises:
        FrameError: a frame lacks a column or holds what it may not.
        HistoryError: no ordinary day is left to learn from, or none with the window's hours.
        LongWindowError: the window touches more days than ``HISTORY_DAYS``.
        AnalysisError: the window, the markets, the calendar or the level cannot be used.
    """
    level = level_of(level)
    warnings: list[Remark] = []
    optional = tuple(column for column in ("region", "channel") if isinstance(sales, pl.DataFrame) and column in sales.columns)
    need_columns(sales, "sales", ("at", "market_id", "sales"))
    rows = rows_of(sales, "sales", ("market_id", *optional), step)
    asked_start, asked_end, known_until, complete = moments_of(start, end, as_of, complete_until, rows.step)
    rows = rows.until(known_until)
    need_rows(rows, "sales")
    need_rows_once(rows)
    first, last = window_of(rows, asked_start, asked_end, known_until, complete, warnings)
    _need_short(first, last)
    hit = hit_of(rows, markets)
    said = promotions_of(promotions)
    situation = _situation(rows, first, last, known_until, hit, calendar, cycles, said, exclusions, warnings)
    jitter = JITTER if rows.step <= 60 and 60 % rows.step == 0 else (0,)
    found, past = ask(situation, first, last), past_windows(situation, first, last, jitter)
    own = ceil((last - first) / DAY)
    kind = int(situation.learner.kinds[first // DAY - situation.panel.first_day])
    extra = extra_width(situation, found, past, level, warnings)
    lead = max(rows.step, 60)
    stray = strayed_before(situation, first, lead)
    if stray is not None:
        warnings.append(Remark("missing_before" if stray < 0 else "more_before", {"start": moment_of(first - lead), "share": abs(stray)}))
    wider = Wider(extra, extra, *other_levels(stray, found.level))
    if touches_feast(first, last, calendar):
        least, most = feast_range(situation, first, last, found, level, said)
        wider = replace(wider, below=hypot(extra, 1 - least), above=hypot(extra, most - 1))
        warnings.append(Remark("near_feast", {"least": least, "most": most}))
    bands = Bands(past, kind, own, level, wider, warnings)
    if situation.controls:
        apart = float((found.without_controls - found.observed)[hit].sum())
        warnings.append(Remark("controls_used", {"amount": apart}))
    expected, observed = found.expected[hit], found.observed[hit]
    if expected.sum() <= 0:
        warnings.append(Remark("nothing_expected"))
    ids = np.flatnonzero(hit)
    total = _table("all", ["all"], np.ones((len(ids), 1)), expected, observed, bands, ids)
    regions = rows.names.get("region", ["unknown"])
    of_region = (situation.region[ids][:, None] == np.arange(len(regions))).astype(float)
    by_region = _table("region", regions, of_region, expected, observed, bands, ids).filter(pl.Series(of_region.any(axis=0)))
    by_market = _table("market_id", [rows.names["market_id"][i] for i in ids], None, expected, observed, bands, ids)
    names = rows.names.get("channel", ["unknown"])
    if len(names) == 1:
        by_channel = total.rename({"all": "channel"}).with_columns(channel=pl.lit(names[0]))
    else:
        by_channel = _by_channel(rows, situation, first, last, jitter, float(expected.sum()), level, wider)
    return LossEstimate(
        **dict(zip(("expected", "observed", "lost", "low", "high"), total.row(0)[1:], strict=True)),
        by_region=by_region,
        by_channel=by_channel,
        by_market=by_market,
        method=Remark("method_with_controls" if situation.controls else "method", {"interval": bands.how}),
        warnings=warnings,
        start=moment_of(first),
        end=moment_of(last),
        level=level,
    )


def _situation(  # noqa: PLR0913, PLR0917 - what estimate_loss was given
    rows: Rows,
    first: int,
    last: int,
    known_until: int,
    hit: Mask,
    calendar: pl.DataFrame | None,
    cycles: pl.DataFrame | None,
    promotions: Promotions,
    exclusions: pl.DataFrame | None,
    warnings: list[Remark],
) -> Situation:
    names = rows.names["market_id"]
    spans = _gaps(spans_of(exclusions, "exclusions"), names)
    excluded = spans + [(low, high, None) for low, high in promotions.unknown]
    days = (max(int(rows.minute.min()), first - HISTORY_DAYS * DAY) // DAY, max(last - 1, known_until - 1) // DAY + 1)
    days = (days[0], min(days[1], first // DAY + HISTORY_DAYS))
    if days[0] > first // DAY:
        raise NothingBeforeError("sales: expected sales before the window, got none. Load the days before it.")
    if touches_feast(first, last, calendar):
        promotions = with_feasts(promotions, days)
    held = None if cycles is None else market_days(cycles, names, list(range(*days)))
    idle = None if held is None or hit.all() else idle_days(rows, hit, held, days[0])
    own = [] if idle is None else gaps_of(idle, days[0])
    panel = panel_of(rows, _cuts(rows.step, first, last, known_until), rows.places["market_id"], len(names), days, known_until, excluded + own)
    weekly = panel.own_gaps is None
    kinds = _kinds(days, calendar)
    own_days = np.zeros(days[1] - days[0], dtype=bool)
    own_days[first // DAY - days[0] : (last - 1) // DAY - days[0] + 1] = True
    starts = panel.starts.reshape(panel.seen.shape)
    # after the window, buyers who come back make the same day unlike others
    panel.seen[own_days[:, None] & (starts >= first)] = False
    panel, closed = own_silences(panel, panel.seen & ~(own_days | feast_days(days, calendar))[:, None], kinds, own_days)
    if (closed & hit).any():
        warnings.append(_closed([names[place] for place in np.flatnonzero(closed & hit)]))
    learn = panel.seen & ~own_days[:, None]
    told = learn & panel.known_of(hit)
    gap = _gap(told, first // DAY - days[0], days, warnings)
    _need_hours(told, starts, first, last, warnings)
    factor = None if held is None else market_day_factor(panel, kinds, learn, held)
    if held is not None and held.any() and factor is None:
        warnings.append(Remark("market_days_not_used"))
    if any(low < last and high > first for low, high in promotions.unknown):
        warnings.append(Remark("promotion_unknown"))
    factor_of = with_closed(factors(held, factor, promotions, panel.starts, days[1] - days[0], idle), closed, own_days, panel.values.shape[2])
    plain = panel if factor_of is None else Panel(without(panel.values, factor_of), panel.seen, panel.own_gaps, panel.first_day, panel.cuts)
    controls = bool((~hit).any()) and not any(low < last and high > first and market is None for low, high, market in excluded)
    if (~hit).any() and not controls:
        warnings.append(Remark("controls_not_used"))
    region = regions_of(rows)
    learner = Learner.of(plain, kinds, learn, region, by_weekday=True)
    shocks, recovery = Shocks.of(learner, region, panel.cuts), Recovery.of(spans)
    return Situation(panel, learner, learn, told, factor_of, region, hit, controls, gap, shocks, weekly, recovery)


def _closed(names: list[str]) -> Remark:
    """That nothing is expected of some places; of many the first are named."""
    return Remark("closed_before", {"count": len(names), "places": ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")})


def _gaps(spans: list[tuple[int, int, str | None]], names: list[str]) -> list[tuple[int, int, int | None]]:
    """Spans of single markets by their places, without those of markets that are not among ``names``."""
    return [(low, high, None if market is None else names.index(market)) for low, high, market in spans if market is None or market in names]


def _cuts(step: int, first: int, last: int, known_until: int) -> Minutes:
    if step > 60 or 60 % step:
        return regular_cuts(step)
    edges = [(moment + shift) % DAY for moment in (first, last, known_until) for shift in JITTER]
    return np.unique(np.concatenate([regular_cuts(60), np.array(edges) // step * step]))


def _kinds(days: tuple[int, int], calendar: pl.DataFrame | None) -> Codes:
    types = types_of([date_of(day) for day in range(*days)], calendar)
    return np.unique(np.array(types), return_inverse=True)[1].astype(np.int64)


def _gap(learn: Mask, own_day: int, days: tuple[int, int], warnings: list[Remark]) -> int:
    usable = np.flatnonzero(learn.any(axis=1))
    if not len(usable):
        raise HistoryError(
            "sales: expected at least one ordinary day with sales outside the window and the exclusions, got none. Load more days, or exclude less."
        )
    gap = int(np.abs(usable - own_day).min())
    if gap > OLD_DAYS:
        nearest = date_of(days[0] + int(usable[np.abs(usable - own_day).argmin()]))
        warnings.append(Remark("old_history", {"days": gap, "nearest": nearest}))
    return gap


def _need_short(first: int, last: int) -> None:
    days = (last - 1) // DAY - first // DAY + 1
    if days > HISTORY_DAYS:
        raise LongWindowError(
            f"window: expected one that touches at most {HISTORY_DAYS} days, got {days}, from {moment_of(first)} to {moment_of(last)}: "
            "the days before it lie too far back to tell what would have been sold. Give a shorter span."
        )


def _need_hours(learn: Mask, starts: Minutes, first: int, last: int, warnings: list[Remark]) -> None:
    unseen = ((starts >= first) & (starts < last)) & ~learn.any(axis=0)
    if unseen.sum() == ((starts >= first) & (starts < last)).sum():
        raise HistoryError("sales: expected an ordinary day that holds the hours of the window, got none. Load more days, or exclude less.")
    if unseen.any():
        warnings.append(Remark("hours_unseen", {"start": moment_of(int(starts[unseen].min()))}))


def _table(column: str, names: list[str], groups: Array | None, expected: Array, observed: Array, bands: Bands, places: Codes) -> pl.DataFrame:
    below, above = bands.of(groups, places)
    if groups is not None:
        expected, observed = expected @ groups, observed @ groups
    low, high = expected * (1 + below) - observed, expected * (1 + above) - observed
    return pl.DataFrame({column: names, "expected": expected, "observed": observed, "lost": expected - observed, "low": low, "high": high})


def _by_channel(rows: Rows, situation: Situation, first: int, last: int, jitter: tuple[int, ...], total: float, level: float, wider: Wider) -> pl.DataFrame:
    """The same by channel: each channel estimated on its own, then scaled so that they add up; what widens the total's interval widens theirs."""
    place, names = rows.places["channel"], rows.names["channel"]
    of_hit = situation.hit[rows.places["market_id"]]
    panel, factor = situation.panel, situation.factor
    if panel.own_gaps is not None:
        of_hit &= ~_in_gaps(rows, panel) | ((rows.minute >= first) & (rows.minute < last))
    known = Rows(rows.minute[of_hit], rows.sales[of_hit], {}, {}, rows.step)
    days = (panel.first_day, panel.first_day + panel.values.shape[1])
    by_channel = panel_of(known, panel.cuts, place[of_hit], len(names), days, int(panel.starts[-1]) + DAY, [])
    by_channel = Panel(by_channel.values, panel.seen & panel.known_of(situation.hit), None, panel.first_day, panel.cuts)
    own_days = np.isin(np.arange(*days), np.arange(first // DAY, (last - 1) // DAY + 1))
    by_channel, closed = own_silences(by_channel, situation.told, situation.learner.kinds, own_days)
    every = np.ones(len(names), dtype=bool)
    if factor is not None:
        size = panel.values[situation.hit].sum(axis=(1, 2)) + 1e-12
        factor = factor if len(factor) == 1 else np.tensordot(size / size.sum(), factor[situation.hit], 1)[None]
    factor = with_closed(factor, closed, own_days, panel.values.shape[2])
    plain = by_channel if factor is None else replace(by_channel, values=without(by_channel.values, factor))
    learner = Learner.of(plain, situation.learner.kinds, situation.told, by_weekday=True)
    region = np.zeros(len(names), dtype=np.int64)
    shocks = Shocks.of(learner, region, panel.cuts)
    alone = Situation(by_channel, learner, situation.told, situation.told, factor, region, every, controls=False, gap=situation.gap, shocks=shocks)
    found, past = ask(alone, first, last), past_windows(alone, first, last, jitter)
    bands = Bands(past, int(learner.kinds[first // DAY - panel.first_day]), ceil((last - first) / DAY), level, wider, None)
    # where no channel has a history of its own, the total is shared out as all was sold
    shares = found.expected if found.expected.sum() > 0 else by_channel.values.sum(axis=(1, 2))
    return _table("channel", names, None, total * shares / max(shares.sum(), 1e-12), found.observed, bands, np.arange(len(names)))


def _in_gaps(rows: Rows, panel: Panel) -> Mask:
    """Which rows lie in an exclusion of their own market."""
    day = rows.minute // DAY - panel.first_day
    inside = (day >= 0) & (day < panel.values.shape[1])
    slot = np.searchsorted(panel.cuts, rows.minute % DAY, side="right") - 1
    found = np.zeros(len(rows.minute), dtype=bool)
    if panel.own_gaps is not None:
        found[inside] = panel.own_gaps[rows.places["market_id"][inside], day[inside], slot[inside]]
    return found
