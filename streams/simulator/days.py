"""Days, played: what was wanted, what the buyers tried, and what would have been without an incident."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time

import numpy as np
import polars as pl

from streams.simulator.buyers import tries
from streams.simulator.demand import Wishes, wishes
from streams.simulator.outcomes import Tries
from streams.simulator.platform import Condition, condition
from streams.simulator.returns import Returning, coming_back, joined, together
from streams.simulator.scenario import KST, Scenario


@dataclass(frozen=True)
class Day:
    """A day with its midnight in epoch milliseconds.

    ``wanted`` are the day's ``own`` wishes, and after them those of ``returning`` buyers. ``undisturbed`` holds the own ones only, as they would
    have been without an incident: where none touches the day, what they are.
    """

    date: date
    midnight: int
    wanted: Wishes
    own: int
    returning: Returning | None
    platform: Condition
    actual: Tries
    undisturbed: Tries
    disturbed: bool


def played(scenario: Scenario, markets: pl.DataFrame) -> Iterator[Day]:
    """Play the scenario's days in order: who lost a purchase to an incident may come back days later."""
    due: dict[date, list[Returning]] = defaultdict(list)
    for one in scenario.days:
        day = play_day(scenario, markets, one, together(due.pop(one, [])))
        yield day
        for then, back in who_comes_back(scenario, day):
            due[then].append(back)


def play_day(scenario: Scenario, markets: pl.DataFrame, day: date, returning: Returning | None = None) -> Day:
    """Play one day of the scenario; days depend on each other only by who returns from earlier ones."""
    own = wishes(scenario, markets, day)
    wanted = joined(own, returning.wishes) if returning else own
    platform = condition(scenario, day, wanted)
    actual = tries(scenario, markets, day, wanted, platform)
    disturbed = platform.load is not None or any(one.starts_at < scenario.closes(day) and one.ends_at > scenario.opens(day) for one in scenario.incident)
    if disturbed:
        undisturbed = tries(scenario, markets, day, own, condition(scenario, day, own, incidents=False))
    else:
        undisturbed = actual.where(actual.purchase < len(own)) if returning else actual
    midnight = int(datetime.combine(day, time(), KST).timestamp() * 1000)
    return Day(day, midnight, wanted, len(own), returning, platform, actual, undisturbed, disturbed)


def who_comes_back(scenario: Scenario, day: Day) -> Iterator[tuple[date, Returning]]:
    """Who comes back after this day, by the day on which they do."""
    if day.disturbed:
        own = Wishes(*(getattr(day.wanted, name)[: day.own] for name in Wishes.__dataclass_fields__))
        actual = day.actual.where(np.flatnonzero(day.actual.purchase < day.own))
        yield from coming_back(scenario, day.date, day.midnight, own, actual, day.undisturbed)
