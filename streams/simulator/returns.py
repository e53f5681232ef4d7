"""Buyers whom an incident left without anything, and who come back on one of the next days."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta

import numpy as np

from streams.simulator.chance import draws, pick
from streams.simulator.demand import Wishes
from streams.simulator.outcomes import Tries
from streams.simulator.scenario import Scenario

INSTEAD = ("paid_paper", "paid_card", "paid_cash", "lost_for_good")
"""What buyers do who do not get to pay: by paper voucher, by an ordinary card, in cash, not at all."""

_INSTEAD = [0.12, 0.38, 0.15, 0.35]
"""Their shares. Assumed: no source is known."""

_WAITS_ON = 0.5
"""Of those who have not come back on a day, the share that does so on the next."""

_MOST_DAYS = 7
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Returning:
    """Purchases that an earlier day lost, as they are wanted again; where they were lost is told by parallel arrays.

    ``midnight`` (epoch ms) and ``first_at`` (ms since then) say when they were wanted first, ``reached`` whether the buyer got as far as an attempt to pay.
    """

    wishes: Wishes
    midnight: np.ndarray
    first_at: np.ndarray
    reached: np.ndarray

    def __len__(self) -> int:
        """The number of purchases."""
        return len(self.wishes)


def instead(scenario: Scenario, day: date, purchases: int) -> np.ndarray:
    """What each buyer of a day would do who does not get to pay: an index of INSTEAD."""
    return pick(draws(scenario.seed, "instead", day.toordinal()).random(purchases), _INSTEAD)


def coming_back(scenario: Scenario, day: date, midnight: int, wanted: Wishes, actual: Tries, undisturbed: Tries) -> Iterator[tuple[date, Returning]]:
    """Who comes back after this day, by the day on which they do, of the purchases that the incident lost; none of them waits twice.

    About the same time of day, within the scenario's days and hours; who would come when there is no service does not come.
    """
    count = len(wanted)
    rng = draws(scenario.seed, "days later", day.toordinal())
    willing, waits, shift = rng.random(count), rng.geometric(_WAITS_ON, count), rng.normal(0, _HOUR_MS, count)
    lost = (wanted.refused == 0) & (actual.bought(count) == 0) & (undisturbed.bought(count) > 0)
    back = lost & (instead(scenario, day, count) == INSTEAD.index("lost_for_good")) & (willing < scenario.world.days_later)
    reached = np.zeros(count, bool)
    reached[actual.purchase[actual.attempt > 0]] = True
    opens, closes = (hour * _HOUR_MS for hour in scenario.hours)
    again_at = np.clip(wanted.wanted_at + shift.astype(np.int64), opens, closes - 1)
    for later in range(1, _MOST_DAYS + 1):
        then = day + timedelta(days=later)
        rows = np.flatnonzero(back & (waits == later))
        if len(rows) and then in scenario.days:
            wishes = replace(taken(wanted, rows), wanted_at=again_at[rows])
            yield then, Returning(wishes, np.full(len(rows), midnight), wanted.wanted_at[rows], reached[rows])


def together(parts: list[Returning]) -> Returning | None:
    """Those of several days as one; None where there are none."""
    if not parts:
        return None
    wishes = parts[0].wishes
    for part in parts[1:]:
        wishes = joined(wishes, part.wishes)
    return Returning(wishes, *(np.concatenate([getattr(part, name) for part in parts]) for name in ("midnight", "first_at", "reached")))


def taken(wanted: Wishes, rows: np.ndarray) -> Wishes:
    """Some of the wishes."""
    return Wishes(*(getattr(wanted, one.name)[rows] for one in fields(Wishes)))


def joined(wanted: Wishes, more: Wishes) -> Wishes:
    """Wishes after wishes."""
    return Wishes(*(np.concatenate([getattr(wanted, one.name), getattr(more, one.name)]) for one in fields(Wishes)))
