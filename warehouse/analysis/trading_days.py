"""Days on which a place that was asked about does not trade: nothing is learnt from them, and on some nothing is expected."""

import numpy as np

from warehouse.analysis.panel import Mask, Rows
from warehouse.analysis.times import DAY

Gap = tuple[int, int, int | None]

NEW_DAYS = 14
"""A place whose first sale comes so many days after the history begins was not there before."""


def unopened(rows: Rows, hit: Mask, first_day: int) -> list[Gap]:
    """The days before the first sale of places hit that opened within the history, which begins on ``first_day``: spans of minutes, and the place."""
    opened = np.full(len(hit), rows.minute.max())
    np.minimum.at(opened, rows.places["market_id"], rows.minute)
    return [(first_day * DAY, int(opened[place]) // DAY * DAY, int(place)) for place in np.flatnonzero(hit & (opened // DAY - first_day >= NEW_DAYS))]


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
