"""The gross shortfall of a window: what was expected less what was observed, with an interval.

Expected is what days of the same kind sold, brought to today's level by the hours before, and, where only some markets are
hit, by the others in the same hours. docs/method.md has the formulas, their sources, and where they fail.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

import numpy as np
import polars as pl

from warehouse.analysis.bands import OLD_DAYS, Bands, extra_width
from warehouse.analysis.calendar import types_of
from warehouse.analysis.effects import Promotions, factors, market_day_factor, market_days, promotions_of
from warehouse.analysis.errors import AnalysisError, FrameError, HistoryError, need_columns
from warehouse.analysis.panel import Array, Codes, Mask, Panel, Rows, need_rows, panel_of, regular_cuts, rows_of
from warehouse.analysis.profiles import Learner
from warehouse.analysis.remarks import Remark
from warehouse.analysis.shocks import Shocks
from warehouse.analysis.times import DAY, Minutes, date_of, minute_of, moment_of, spans_of
from warehouse.analysis.windows import JITTER, Situation, ask, past_windows

HISTORY_DAYS = 70


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
    calendar: pl.DataFrame | None = None,
    cycles: pl.DataFrame | None = None,
    promotions: pl.DataFrame | None = None,
    exclusions: pl.DataFrame | None = None,
    level: float = 0.9,
    step: timedelta | None = None,
) -> LossEstimate:
    """Estimate what was not sold from ``start`` to ``end``.

    Times are aware, or naive and local (Asia/Seoul). ``sales`` has ``at`` (start of an interval; any uniform step from a minute
    to a day; ``step``, by default the longest that fits; hours may come summed up where neither the window nor the same window an hour
    earlier or later begins or ends within), ``market_id``, ``sales`` (0 or more), optionally ``region``, ``channel``; absent rows are
    zero from the first row's time to ``as_of``. ``markets`` are the ones hit (None: all). ``calendar``: ``date``, ``day_type``, by default Korean weekdays
    and holidays. ``cycles``: ``market_id``, ``days`` (last digits of market days). ``promotions``: ``start``, ``end``, ``label``,
    optionally ``factor``. ``exclusions``: ``start``, ``end``, optionally ``market_id``: never learnt from, nor is the incident.
    Nothing from ``as_of`` on is used (default: ``end``); a later one learns from the days after.

    Raises:
        FrameError: a frame lacks a column or holds what it may not.
        HistoryError: no ordinary day is left to learn from.
        AnalysisError: the window, the markets, the calendar or the level cannot be used.
    """
    if not 0 < level < 1:
        raise AnalysisError(f"level: expected a share between 0 and 1, got {level}. For 90 % give 0.9.")
    warnings: list[Remark] = []
    optional = tuple(column for column in ("region", "channel") if isinstance(sales, pl.DataFrame) and column in sales.columns)
    need_columns(sales, "sales", ("at", "market_id", "sales"))
    rows = rows_of(sales, "sales", ("market_id", *optional), step)
    known_until = minute_of(end if as_of is None else as_of, "as_of")
    rows = rows.until(known_until)
    need_rows(rows, "sales")
    first, last = _window(rows, minute_of(start, "start"), minute_of(end, "end"), known_until, warnings)
    hit = _hit(rows, markets)
    said = promotions_of(promotions)
    situation = _situation(rows, first, last, known_until, hit, calendar, cycles, said, exclusions, warnings)
    jitter = JITTER if rows.step <= 60 and 60 % rows.step == 0 else (0,)
    found, past = ask(situation, first, last), past_windows(situation, first, last, jitter)
    own = ceil((last - first) / DAY)
    kind = int(situation.learner.kinds[first // DAY - situation.panel.first_day])
    bands = Bands(past, kind, own, level, extra_width(situation, found, past, warnings), warnings)
    if situation.controls:
        apart = float((found.without_controls - found.observed)[hit].sum())
        warnings.append(Remark("controls_used", {"amount": apart}))
    expected, observed = found.expected[hit], found.observed[hit]
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
        by_channel = _by_channel(rows, situation, first, last, jitter, float(expected.sum()), level)
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


def _window(rows: Rows, start: int, end: int, known_until: int, warnings: list[Remark]) -> tuple[int, int]:
    if end <= start:
        raise AnalysisError(f"end: expected a time after the start {moment_of(start)}, got {moment_of(end)}.")
    step = rows.step
    first, last = start // step * step, -(-end // step) * step
    if (first, last) != (start, end):
        warnings.append(Remark("window_widened", {"step": step, "start": moment_of(first), "end": moment_of(last)}))
    if known_until < last:
        last = known_until // step * step
        warnings.append(Remark("window_cut", {"until": moment_of(last)}))
    if last <= first:
        raise AnalysisError(
            f"as_of: expected a time in or after the window from {moment_of(first)}, got {moment_of(known_until)}. Wait for the window, or move as_of."
        )
    newest = int(rows.minute.max()) + step
    if newest < last:
        warnings.append(Remark("no_rows_after", {"after": moment_of(newest)}))
    return first, last


def _hit(rows: Rows, markets: list[str] | None) -> Mask:
    names = rows.names["market_id"]
    if markets is None:
        return np.ones(len(names), dtype=bool)
    wanted = {str(market) for market in markets}
    unknown = wanted - set(names)
    if unknown or not wanted:
        raise AnalysisError(f"markets: expected ids that have sales, got {sorted(unknown)[:5] or 'none'}. Markets known: {len(names)}, e.g. {names[:3]}.")
    return np.isin(np.array(names), list(wanted))


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
    spans = spans_of(exclusions, "exclusions")
    excluded = [(low, high, None if market is None else names.index(market)) for low, high, market in spans if market is None or market in names]
    excluded += [(low, high, None) for low, high in promotions.unknown]
    days = (max(int(rows.minute.min()), first - HISTORY_DAYS * DAY) // DAY, max(last - 1, known_until - 1) // DAY + 1)
    days = (days[0], min(days[1], first // DAY + HISTORY_DAYS))
    if days[0] > first // DAY:
        raise HistoryError("sales: expected sales before the window, got none. Load the days before it.")
    panel = panel_of(rows, _cuts(rows.step, first, last, known_until), rows.places["market_id"], len(names), days, known_until, excluded)
    kinds = _kinds(days, calendar)
    own_days = np.zeros(days[1] - days[0], dtype=bool)
    own_days[first // DAY - days[0] : (last - 1) // DAY - days[0] + 1] = True
    starts = panel.starts.reshape(panel.seen.shape)
    # after the window, buyers who come back make the same day unlike others
    panel.seen[own_days[:, None] & (starts >= first)] = False
    learn = panel.seen & ~own_days[:, None]
    gap = _gap(learn, first // DAY - days[0], days, warnings)
    held = None if cycles is None else market_days(cycles, names, list(range(*days)))
    factor = None if held is None else market_day_factor(panel, kinds, learn, held)
    if held is not None and held.any() and factor is None:
        warnings.append(Remark("market_days_not_used"))
    if any(low < last and high > first for low, high in promotions.unknown):
        warnings.append(Remark("promotion_unknown"))
    factor_of = factors(held, factor, promotions, panel.starts, days[1] - days[0])
    plain = panel if factor_of is None else Panel(panel.values / factor_of, panel.seen, panel.own_gaps, panel.first_day, panel.cuts)
    controls = bool((~hit).any()) and not any(low < last and high > first and market is None for low, high, market in excluded)
    if (~hit).any() and not controls:
        warnings.append(Remark("controls_not_used"))
    region = _regions(rows)
    learner = Learner.of(plain, kinds, learn, region)
    return Situation(panel, learner, learn, factor_of, region, hit, controls, gap, Shocks.of(learner, region, panel.cuts))


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
        raise HistoryError("sales: expected at least one ordinary day outside the window and the exclusions, got none. Load more days, or exclude less.")
    gap = int(np.abs(usable - own_day).min())
    if gap > OLD_DAYS:
        nearest = date_of(days[0] + int(usable[np.abs(usable - own_day).argmin()]))
        warnings.append(Remark("old_history", {"days": gap, "nearest": nearest}))
    return gap


def _regions(rows: Rows) -> Codes:
    market = rows.places["market_id"]
    count = len(rows.names["market_id"])
    if "region" not in rows.places:
        return np.zeros(count, dtype=np.int64)
    region = np.zeros(count, dtype=np.int64)
    region[market] = rows.places["region"]
    if (region[market] != rows.places["region"]).any():
        wrong = rows.names["market_id"][market[np.argmax(region[market] != rows.places["region"])]]
        raise FrameError(f"sales: expected one region a market, got several for market {wrong}. Correct the market list.")
    return region


def _table(column: str, names: list[str], groups: Array | None, expected: Array, observed: Array, bands: Bands, places: Codes) -> pl.DataFrame:
    found = bands.of(groups, places)
    if groups is not None:
        expected, observed = expected @ groups, observed @ groups
    low, high = expected * (1 + found.low) - observed, expected * (1 + found.high) - observed
    return pl.DataFrame({column: names, "expected": expected, "observed": observed, "lost": expected - observed, "low": low, "high": high})


def _by_channel(rows: Rows, situation: Situation, first: int, last: int, jitter: tuple[int, ...], total: float, level: float) -> pl.DataFrame:
    """The same by channel: each channel estimated on its own, then scaled so that they add up."""
    place, names = rows.places["channel"], rows.names["channel"]
    of_hit = situation.hit[rows.places["market_id"]]
    known = Rows(rows.minute[of_hit], rows.sales[of_hit], {}, {}, rows.step)
    panel = situation.panel
    days = (panel.first_day, panel.first_day + panel.values.shape[1])
    by_channel = panel_of(known, panel.cuts, place[of_hit], len(names), days, int(panel.starts[-1]) + DAY, [])
    by_channel = Panel(by_channel.values, panel.seen, None, panel.first_day, panel.cuts)
    every = np.ones(len(names), dtype=bool)
    learner = Learner.of(by_channel, situation.learner.kinds, situation.learn)
    region = np.zeros(len(names), dtype=np.int64)
    shocks = Shocks.of(learner, region, panel.cuts)
    alone = Situation(by_channel, learner, situation.learn, None, region, every, controls=False, gap=situation.gap, shocks=shocks)
    found, past = ask(alone, first, last), past_windows(alone, first, last, jitter)
    bands = Bands(past, int(learner.kinds[first // DAY - panel.first_day]), ceil((last - first) / DAY), level, 0.0, None)
    scale = total / found.expected.sum() if found.expected.sum() > 0 else 1.0
    return _table("channel", names, None, found.expected * scale, found.observed, bands, np.arange(len(names)))
