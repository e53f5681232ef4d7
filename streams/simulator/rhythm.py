"""How demand moves: by minute of the day, weekday, holiday, market day, promotion, and by noise that hours, days, markets and regions share."""

from datetime import date, datetime, time, timedelta

import numpy as np
import polars as pl

from streams.simulator.chance import draws
from streams.simulator.korean_days import day_level, holidays_of, is_market_day
from streams.simulator.noise import autocorrelated, rain, wandering
from streams.simulator.scenario import KST, Scenario

MINUTES = 1440

# Relative demand at each full hour 0-24; on Sundays and holidays it starts later, a market day starts and ends earlier.
_DAILY = np.array([0.10, 0.05, 0.03, 0.02, 0.03, 0.08, 0.30, 0.9, 2.2, 4.4, 6.6, 7.8, 6.9, 6.2, 6.6, 7.4, 8.3, 8.6, 7.4, 5.0, 3.0, 1.7, 0.8, 0.3, 0.10])
_SUNDAY = np.array([0.10, 0.05, 0.03, 0.02, 0.03, 0.06, 0.20, 0.6, 1.6, 3.8, 6.3, 8.2, 8.0, 7.6, 7.9, 8.3, 8.6, 8.0, 6.2, 4.2, 2.6, 1.5, 0.8, 0.3, 0.10])
_MARKET_DAY = np.array([0.05, 0.02, 0.02, 0.02, 0.05, 0.4, 1.8, 4.2, 7.0, 9.3, 10.4, 10.0, 8.4, 7.2, 6.4, 5.6, 4.6, 3.2, 1.8, 0.9, 0.5, 0.3, 0.2, 0.1, 0.05])

_DAY_MEMORY, _DAYS_KEPT = 0.5, 12
_REGIONS = 32
"""Draws a day for regions at the least: so a country with one region more has the same days in all others."""

_DRIFT_MEMORY, _DRIFT_DAYS = 0.98, 120


def pent_up(scenario: Scenario) -> float:
    """The launch day's demand as a multiple of an ordinary day's; 1 without a launch."""
    if scenario.launch is None:
        return 1.0
    low, high = scenario.launch.pent_up
    return float(draws(scenario.seed, "pent-up").uniform(low, high))


def national_level(scenario: Scenario, day: date) -> float:
    """The purchases wanted on a day, in ordinary days, before noise and promotions."""
    growth = (1 + scenario.demand.growth_a_year) ** ((day - scenario.last_ordinary_day).days / 365.25)
    tilt = 1 + scenario.world.weekday_tilt * (0.0 if day.weekday() == 6 else (day.weekday() - 2.5) / 2.5)
    launched = (day - scenario.launch.day).days if scenario.launch else -1
    waited = 1 + (pent_up(scenario) - 1) * scenario.launch.pent_up_kept**launched if scenario.launch and launched >= 0 else 1.0
    return float(day_level(day) * growth * tilt * waited)


def market_levels(scenario: Scenario, markets: pl.DataFrame, day: date) -> tuple[np.ndarray, np.ndarray]:
    """Each market's purchases wanted on a day (a mean, not a draw; before promotions), and whether it is its market day."""
    held = np.array([is_market_day(cycle, day) for cycle in markets["cycle"]])
    factor = scenario.country.market_day_factor
    cyclic = markets["cycle"].is_not_null().to_numpy()
    of_cycle = np.where(cyclic, np.where(held, factor, 1.0) / (0.2 * factor + 0.8), 1.0)
    demand, count = scenario.demand, len(markets)
    national = wandering(scenario, "national", day, 1, _DAY_MEMORY, _DAYS_KEPT) * demand.noise
    regional = (
        wandering(scenario, "regional", day, max(_REGIONS, markets["region"].n_unique()), _DAY_MEMORY, _DAYS_KEPT)[regions_of(markets)] * demand.regional_noise
    )
    own = wandering(scenario, "own", day, count, 0.3, 6)
    if scenario.world.spillover:
        neighbour = markets["neighbour"].to_numpy()
        own = own + scenario.world.spillover * np.where(neighbour >= 0, own[neighbour], 0.0)
    drift = wandering(scenario, "drift", day, count, _DRIFT_MEMORY, _DRIFT_DAYS) * demand.drift
    spread = demand.noise**2 * (1 + 9) + demand.regional_noise**2 + demand.drift**2
    shared = np.exp(national + regional + 3 * demand.noise * own + drift - spread / 2)
    wanted = demand.purchases_a_day * scenario.scale * national_level(scenario, day) * markets["share"].to_numpy() * of_cycle * shared
    return wanted, held


def minute_profiles(scenario: Scenario, day: date, regions: int) -> np.ndarray:
    """Shares of a day's demand by minute, regions x 2 x 1440: an ordinary market's and a market day's.

    Bent by noise that lasts for an hour or so, by rain in a region, and by promotions, which make the sum larger. Outside the scenario's hours
    nobody buys; the shares of the other minutes stay as they are.
    """
    rng = draws(scenario.seed, "minutes", day.toordinal())
    minute = np.arange(MINUTES)
    ordinary = _SUNDAY if day.weekday() == 6 or day in holidays_of(day.year) else _DAILY
    shapes = np.stack([np.interp(minute - scenario.world.warp_minutes, np.arange(25) * 60, shape) for shape in (ordinary, _MARKET_DAY)])
    shapes /= shapes.sum(axis=1, keepdims=True)
    knots = np.arange(0, MINUTES + 30, 30)
    national = np.exp(np.interp(minute, knots, autocorrelated(rng, len(knots), scenario.demand.noise)))
    regional = np.stack([np.exp(np.interp(minute, knots, autocorrelated(rng, len(knots), scenario.demand.regional_noise))) for _ in range(regions)])
    wet = np.stack([rain(rng, minute, scenario.demand.regional_noise > 0) for _ in range(regions)])
    opens, closes = scenario.hours
    opened = (minute >= opens * 60) & (minute < closes * 60)
    factor = np.where(opened, national * promoted(scenario, day) * _drifting(scenario, day), 0.0)
    return np.asarray(shapes[None] * (factor * regional * wet)[:, None])


def promoted(scenario: Scenario, day: date) -> np.ndarray:
    """The factor of the promotions in each minute of a day."""
    factor = np.ones(MINUTES)
    for promotion in scenario.promotion:
        since, left = _minutes_since(promotion.starts_at, day), -_minutes_since(promotion.ends_at, day)
        rush = promotion.rush * 0.5 ** (np.maximum(since, 0) / 60)
        factor = np.where((since >= 0) & (left > 0), factor * promotion.factor + rush, factor)
    return factor


def regions_of(markets: pl.DataFrame) -> np.ndarray:
    """The number of each market's region, in the order of the regions' names."""
    return markets["region"].rank("dense").to_numpy().astype(np.int64) - 1


def _minutes_since(moment: datetime, day: date) -> np.ndarray:
    return np.arange(MINUTES) - (moment - datetime.combine(day, time(), KST)) / timedelta(minutes=1)


def _drifting(scenario: Scenario, day: date) -> np.ndarray:
    """What becomes of demand itself in an incident's hours, with and without the incident: only in a world that says so."""
    factor = np.ones(MINUTES)
    for incident in scenario.incident if scenario.world.drift_an_hour else ():
        since, left = _minutes_since(incident.starts_at, day), -_minutes_since(incident.ends_at, day)
        factor *= np.where((since >= 0) & (left > 0), (1 + scenario.world.drift_an_hour) ** np.clip(since / 60, 0, 8), 1.0)
    return factor
