"""Days on which a place that was asked about does not trade: nothing is learnt from them, and on some nothing is expected."""

from dataclasses import replace

import numpy as np

from warehouse.analysis.panel import Codes, Mask, Panel, Rows
from warehouse.analysis.profiles import SHUT, noise_of
from warehouse.analysis.times import DAY

Gap = tuple[int, int, int | None]

RARE = 0.05
"""A silence is longer than is usual for a place where days as silent as its others would hold it less often than this."""


def since_opening(panel: Panel, learn: Mask, kinds: Codes) -> Panel:
    """The same with the days before a place's first sale as a gap of its own, where the silence of those in ``learn`` [day, slot] is beyond chance.

    Beyond chance: ten purchases at least were due on them, as many a day as on the days since; and so many silent days in a row are
    not usual there (days of rest, markets every fifth day), by the share of silent days since.
    """
    sold = panel.values.sum(axis=2)
    there: Mask = np.logical_or.accumulate(sold > 0, axis=1)
    known = np.broadcast_to(learn.any(axis=1), sold.shape) if panel.own_gaps is None else learn.any(axis=1) & ~panel.own_gaps.all(axis=2)
    since: Mask = known & there
    days, before = since.sum(axis=1), (known & ~there).sum(axis=1)
    noise = noise_of((sold * since).T, since.T.astype(float), kinds, np.asarray(since.any(axis=0)), len(sold))
    due = before * (sold * since).sum(axis=1) / np.maximum(days, 1)
    chance = (((since & (sold <= 0)).sum(axis=1) + 1) / (days + 1)) ** before
    new = (due > 0) & (due >= SHUT * noise) & (chance < RARE)
    if not new.any():
        return panel
    own = np.broadcast_to((new[:, None] & ~there)[:, :, None], panel.values.shape)
    own = own | panel.own_gaps if panel.own_gaps is not None else own.copy()
    return replace(panel, seen=panel.seen & ~own.all(axis=0), own_gaps=own)


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
