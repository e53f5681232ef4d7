"""Days on which a place does not trade: nothing is learnt from them, and on some nothing is expected."""

from dataclasses import replace

import numpy as np

from warehouse.analysis.panel import AWAY_DAYS, Array, Codes, Mask, Panel, Rows
from warehouse.analysis.profiles import SHUT, noise_of
from warehouse.analysis.times import DAY

Gap = tuple[int, int, int | None]

RARE, RARER = 0.05, 0.001
"""A silence is longer than is usual for a place where days as silent as its others would hold it less often than this: before the first sale, and later on.

That a place opened does little harm where it did not, that it is closed takes all its loss away.
"""


def own_silences(panel: Panel, learn: Mask, kinds: Codes, asked: Mask) -> tuple[Panel, Mask]:
    """The same with the days on which a place was not there or closed as gaps of its own; and which places are closed on the days ``asked`` about.

    Not there are the days before its first sale; closed is a silence of three days or more up to a sale, or up to the days asked about where nothing is
    sold on them. Of those in ``learn`` [day, slot] a silence must be beyond chance: ten purchases at least were due in it, twenty where it is one of many that
    may come after the first sale, as many a day as on the other days since that sale; and so many silent days in a row are not usual there (days of rest, markets every fifth day), by the share of silent days among those.
    """
    sold = panel.values.sum(axis=2)
    places, days = sold.shape
    there: Mask = np.logical_or.accumulate(sold > 0, axis=1)
    known = np.broadcast_to(learn.any(axis=1), sold.shape) if panel.own_gaps is None else learn.any(axis=1) & ~panel.own_gaps.all(axis=2)
    since: Mask = known & there
    # the silence before the first sale is number 0, those that a sale or the days asked about begin are the others
    number = np.cumsum((sold > 0) | asked, axis=1) * there
    width = days + 1
    lasted = np.bincount((number + np.arange(places)[:, None] * width)[known & (sold <= 0)], minlength=places * width).reshape(places, width)
    later = np.arange(width) > 0
    others = since.sum(axis=1)[:, None] - lasted * later
    silent = (since & (sold <= 0)).sum(axis=1)[:, None] - lasted * later
    noise = noise_of((sold * since).T, since.T.astype(float), kinds, np.asarray(since.any(axis=0)), places)
    due = lasted * (sold * since).sum(axis=1)[:, None] / np.maximum(others, 1)
    chance = ((silent + 1) / (others + 1)) ** lasted
    beyond = (due > 0) & (due >= np.where(later, 2 * SHUT, SHUT) * noise) & (lasted >= np.where(later, AWAY_DAYS, 1)) & (chance < np.where(later, RARER, RARE))
    away = np.take_along_axis(beyond, number, axis=1) & (sold <= 0) & ~(asked & there)
    first = int(asked.argmax())
    closed: Mask = (away & there)[:, max(first - 1, 0)] & ~(sold[:, asked] > 0).any(axis=1)
    if not away.any():
        return panel, closed
    own = np.broadcast_to(away[:, :, None], panel.values.shape)
    own = own | panel.own_gaps if panel.own_gaps is not None else own.copy()
    return replace(panel, seen=panel.seen & ~own.all(axis=0), own_gaps=own), closed


def with_closed(factor: Array | None, closed: Mask, asked: Mask, slots: int) -> Array | None:
    """Multipliers [place or 1, day, slot] of expected sales that are 0 for places closed on the days ``asked`` about."""
    if not closed.any():
        return factor
    every = np.ones((1, len(asked), slots)) if factor is None else factor
    found: Array = every * ~(closed[:, None] & asked)[:, :, None]
    return found


def idle_days(rows: Rows, hit: Mask, held: Mask, first_day: int) -> Mask:
    """The days [place, day] without a market of places hit that never sold on such a day, but on two market days at least."""
    places, days = held.shape
    day = rows.minute // DAY - first_day
    inside = (day >= 0) & (day < days)
    sold = np.bincount((rows.places["market_id"] * days + day)[inside], rows.sales[inside], places * days).reshape(places, days) > 0
    only: Mask = hit & ((sold & held).sum(axis=1) >= 2) & ~(sold & ~held).any(axis=1)
    idle: Mask = only[:, None] & ~held
    return idle


def gaps_of(days: Mask, first_day: int) -> list[Gap]:
    """Days [place, day] as spans of minutes, and the place."""
    return [((first_day + int(day)) * DAY, (first_day + int(day) + 1) * DAY, int(place)) for place, day in np.argwhere(days)]
