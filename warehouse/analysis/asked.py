"""What ``estimate_loss`` was asked, checked at the door: the window, the places that were hit, their regions, each row once."""

from collections.abc import Iterable
from datetime import datetime

import numpy as np

from warehouse.analysis.errors import AnalysisError, FrameError
from warehouse.analysis.panel import Codes, Mask, Rows
from warehouse.analysis.remarks import Remark
from warehouse.analysis.times import DAY, minute_of, moment_of

DENSE = 4
"""Rows are counted in a table if it has at most so many cells a row, else they are sorted."""


HIGHEST_LEVEL = 0.999
"""The highest probability that an interval is given for: further out it would be the tail of a formula, of which some weeks of history know nothing."""


def level_of(level: float) -> float:
    """The probability that an interval shall have.

    Raises:
        AnalysisError: it is no share between 0 and 1, or higher than any history can tell.
    """
    if not isinstance(level, int | float) or not 0 < level < 1:
        raise AnalysisError(f"level: expected a share between 0 and 1, got {level!r}. For 90 % give 0.9.")
    if level > HIGHEST_LEVEL:
        raise AnalysisError(f"level: expected at most {HIGHEST_LEVEL}, got {level!r}: history knows nothing of what comes once in a thousand times.")
    return level


def moments_of(start: datetime, end: datetime, as_of: datetime | None, complete_until: datetime | None, step: int) -> tuple[int, int, int, int | None]:
    """The four as local minutes; ``as_of`` is the end of the step that holds ``end`` if not given.

    Raises:
        AnalysisError: one is no datetime, or some are aware and others naive.
    """
    given = {"start": start, "end": end} | {name: at for name, at in (("as_of", as_of), ("complete_until", complete_until)) if at is not None}
    minutes = {name: minute_of(moment, name) for name, moment in given.items()}
    zones = {name: "aware" if moment.tzinfo else "naive" for name, moment in given.items()}
    if len(set(zones.values())) > 1:
        said = ", ".join(f"{name} {zone}" for name, zone in zones.items())
        raise AnalysisError(f"{', '.join(given)}: expected all aware or all naive, got {said}. Naive ones are local; give each a time zone, or none.")
    return minutes["start"], minutes["end"], minutes.get("as_of", -(-minutes["end"] // step) * step), minutes.get("complete_until")


def window_of(rows: Rows, start: int, end: int, known_until: int, complete_until: int | None, warnings: list[Remark]) -> tuple[int, int]:
    """The window in whole steps, cut at what is known. Where nobody says until when rows are complete, they are until the last one.

    Raises:
        AnalysisError: nothing is left of it.
        FrameError: the sales end a day or more before it.
    """
    if end <= start:
        raise AnalysisError(f"end: expected a time after the start {moment_of(start)}, got {moment_of(end)}.")
    step = rows.step
    first, last = start // step * step, -(-end // step) * step
    cut = known_until < last
    last = known_until // step * step if cut else last
    if last <= first:
        raise AnalysisError(
            f"as_of: expected a time in or after the window from {moment_of(first)}, got {moment_of(known_until)}. Wait for the window, or move as_of."
        )
    if first < start or last > end:
        warnings.append(Remark("window_widened", {"step": step, "start": moment_of(first), "end": moment_of(last)}))
    if cut:
        warnings.append(Remark("window_cut", {"until": moment_of(last)}))
    newest = int(rows.minute.max()) + step if complete_until is None else complete_until
    if first - newest >= DAY:
        # silence is a loss, but a file that ends days before the window is not silence
        raise FrameError(
            f"sales: expected rows up to the window from {moment_of(first)}, they end at {moment_of(newest)}. "
            "Load the days between; if nothing was sold in them, say so with one row of 0 or with complete_until (--complete-until)."
        )
    if newest < last:
        warnings.append(Remark("no_rows_after", {"after": moment_of(newest)}))
    return first, last


def hit_of(rows: Rows, markets: Iterable[object] | None) -> Mask:
    """Which places were hit.

    Raises:
        AnalysisError: the ids are none, no list, or unknown.
    """
    names = rows.names["market_id"]
    if markets is None:
        return np.ones(len(names), dtype=bool)
    if isinstance(markets, str):
        raise AnalysisError(f"markets: expected a list of ids, got the text {markets!r}. For one market give [{markets!r}].")
    wanted = {str(market) for market in markets}
    unknown = wanted - set(names)
    if unknown or not wanted:
        raise AnalysisError(f"markets: expected ids that have sales, got {sorted(unknown)[:5] or 'none'}. Markets known: {len(names)}, e.g. {names[:3]}.")
    return np.isin(np.array(names), list(wanted))


def regions_of(rows: Rows) -> Codes:
    """The region of each market; rows without one go with their market's others.

    Raises:
        FrameError: a market has two regions.
    """
    market, count = rows.places["market_id"], len(rows.names["market_id"])
    region = np.zeros(count, dtype=np.int64)
    if "region" not in rows.places:
        return region
    of_row, names = rows.places["region"], rows.names["region"]
    told = of_row != (names.index("unknown") if "unknown" in names else -1)
    region[market] = of_row
    region[market[told]] = of_row[told]
    wrong = told & (region[market] != of_row)
    if wrong.any():
        name = rows.names["market_id"][market[np.argmax(wrong)]]
        raise FrameError(f"sales: expected one region a market, got several for market {name}. Correct the market list.")
    return region


def need_rows_once(rows: Rows) -> None:
    """Check that no time, market and channel comes twice: a file read twice would double every figure.

    Raises:
        FrameError: one does.
    """
    key = (rows.minute - rows.minute.min()) // rows.step
    for name in ("market_id", "channel"):
        if name in rows.places:
            key = key * len(rows.names[name]) + rows.places[name]
    if int(key.max()) < DENSE * len(key):
        counts = np.bincount(key)
        row = int(np.argmax(counts[key] > 1)) if counts.max() > 1 else None
    else:
        order = np.argsort(key, kind="stable")
        again = np.flatnonzero(key[order[1:]] == key[order[:-1]])
        row = int(order[again[0]]) if len(again) else None
    if row is not None:
        said = ", ".join(
            [f"{moment_of(int(rows.minute[row]))}", *(rows.names[n][int(rows.places[n][row])] for n in ("market_id", "channel") if n in rows.places)]
        )
        raise FrameError(
            f"sales: expected each time and market (and channel) once, got {said} more than once. "
            "If they are parts, sum them up with group_by(...).agg(pl.col('sales').sum()); if a file was read twice, drop one."
        )
