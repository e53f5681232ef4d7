"""One day, played: what was wanted, what the buyers tried, and what would have been without an incident."""

from dataclasses import dataclass
from datetime import date, datetime, time

import polars as pl

from streams.simulator.buyers import Tries, tries
from streams.simulator.demand import Wishes, wishes
from streams.simulator.platform import condition
from streams.simulator.scenario import KST, Scenario


@dataclass(frozen=True)
class Day:
    """A day with its midnight in epoch milliseconds. ``undisturbed`` is ``actual`` itself where no incident touches the day."""

    date: date
    midnight: int
    wanted: Wishes
    actual: Tries
    undisturbed: Tries


def play_day(scenario: Scenario, markets: pl.DataFrame, day: date) -> Day:
    """Play one day of the scenario; days do not depend on each other."""
    wanted = wishes(scenario, markets, day)
    actual = tries(scenario, markets, day, wanted, condition(scenario, day))
    touched = any(incident.starts_at < scenario.closes(day) and incident.ends_at > scenario.opens(day) for incident in scenario.incident)
    undisturbed = tries(scenario, markets, day, wanted, condition(scenario, day, incidents=False)) if touched else actual
    return Day(day, int(datetime.combine(day, time(), KST).timestamp() * 1000), wanted, actual, undisturbed)
