"""How demand moves: by minute of the day, weekday, holiday, market day, promotion, and by noise that hours, days, markets and regions share."""

from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache

import holidays
import numpy as np
import polars as pl

from streams.simulator.chance import draws
from streams.simulator.scenario import KST, Scenario

MINUTES = 1440

_WEEKDAYS = np.array([0.97, 0.99, 1.00, 1.01, 1.09, 1.18, 0.76])
_HOLIDAY = 0.85

# Relative demand at each full hour 0-24; on Sundays and holidays it starts later, a market day starts and ends earlier.
_DAILY = np.array([0.10, 0.05, 0.03, 0.02, 0.03, 0.08, 0.30, 0.9, 2.2, 4.4, 6.6, 7.8, 6.9, 6.2, 6.6, 7.4, 8.3, 8.6, 7.4, 5.0, 3.0, 1.7, 0.8, 0.3, 0.10])
_SUNDAY = np.array([0.10, 0.05, 0.03, 0.02, 0.03, 0.06, 0.20, 0.6, 1.6, 3.8, 6.3, 8.2, 8.0, 7.6, 7.9, 8.3, 8.6, 8.0, 6.2, 4.2, 2.6, 1.5, 0.8, 0.3, 0.10])
_MARKET_DAY = np.array([0.05, 0.02, 0.02, 0.02, 0.05, 0.4, 1.8, 4.2, 7.0, 9.3, 10.4, 10.0, 8.4, 7.2, 6.4, 5.6, 4.6, 3.2, 1.8, 0.9, 0.5, 0.3, 0.2, 0.1, 0.05])

# Before Seollal and Chuseok people buy for the table of the feast; on the day itself most shops are shut. Days after the feast: factor.
_FEAST = {-10: 1.05, -9: 1.10, -8: 1.15, -7: 1.22, -6: 1.30, -5: 1.40, -4: 1.55, -3: 1.75, -2: 1.95, -1: 1.60, 0: 0.30, 1: 0.45, 2: 0.75, 3: 0.90}
_FEASTS = ("설날", "추석")

_DAY_MEMORY, _DAYS_KEPT = 0.5, 12
_DRIFT_MEMORY, _DRIFT_DAYS = 0.98, 120
_RAIN, _RAIN_FACTOR = 0.12, 0.8


def day_level(day: date) -> float:
    """A day's national demand as a multiple of an average day's: weekday, Sunday-like on a Korean public holiday, and the lunar feasts."""
    weekday = float(_WEEKDAYS[day.weekday()] / _WEEKDAYS.mean())
    ordinary = min(weekday, _HOLIDAY) if day in _holidays(day.year) else weekday
    after = _days_after_feast(day)
    if after is None:
        return ordinary
    return _FEAST[after] * (1.0 if after in {-1, 0, 1} else max(ordinary, 0.9) if after < 0 else ordinary)


def is_market_day(cycle: str | None, day: date) -> bool:
    """Whether a market of this cycle (last digits of the day of the month) has its market day."""
    return cycle is not None and str(day.day % 10) in cycle.split(",")


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
    national = _wandering(scenario, "national", day, 1, _DAY_MEMORY, _DAYS_KEPT) * demand.noise
    regional = _wandering(scenario, "regional", day, 32, _DAY_MEMORY, _DAYS_KEPT)[regions_of(markets)] * demand.regional_noise
    own = _wandering(scenario, "own", day, count, 0.3, 6)
    if scenario.world.spillover:
        own = own + scenario.world.spillover * (np.roll(own, 1) + np.roll(own, -1))
    drift = _wandering(scenario, "drift", day, count, _DRIFT_MEMORY, _DRIFT_DAYS) * demand.drift
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
    ordinary = _SUNDAY if day.weekday() == 6 or day in _holidays(day.year) else _DAILY
    shapes = np.stack([np.interp(minute - scenario.world.warp_minutes, np.arange(25) * 60, shape) for shape in (ordinary, _MARKET_DAY)])
    shapes /= shapes.sum(axis=1, keepdims=True)
    knots = np.arange(0, MINUTES + 30, 30)
    national = np.exp(np.interp(minute, knots, _autocorrelated(rng, len(knots), scenario.demand.noise)))
    regional = np.stack([np.exp(np.interp(minute, knots, _autocorrelated(rng, len(knots), scenario.demand.regional_noise))) for _ in range(regions)])
    rain = np.stack([_rain(rng, minute, scenario.demand.regional_noise > 0) for _ in range(regions)])
    opens, closes = scenario.hours
    opened = (minute >= opens * 60) & (minute < closes * 60)
    factor = np.where(opened, national * promoted(scenario, day) * _drifting(scenario, day), 0.0)
    return np.asarray(shapes[None] * (factor * regional * rain)[:, None])


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


def _days_after_feast(day: date) -> int | None:
    near = [(day - feast).days for year in (day.year, day.year + 1) for feast in _feast_days(year)]
    return next((after for after in near if after in _FEAST), None)


@cache
def _feast_days(year: int) -> list[date]:
    return [day for day, name in _holidays(year).items() if any(part in _FEASTS for part in name.split("; "))]


@cache
def _holidays(year: int) -> holidays.HolidayBase:
    return holidays.country_holidays("KR", years=year, language="ko")


def _wandering(scenario: Scenario, use: str, day: date, size: int, memory: float, days: int) -> np.ndarray:
    """A first-order autoregression of unit variance from day to day, made from the innovations of the last ``days``: any day can be asked for alone."""
    weights = memory ** np.arange(days)
    weights /= np.sqrt((weights**2).sum())
    past = [_innovation(scenario.seed, use, day.toordinal() - back, size, scenario.world.tails) for back in range(days)]
    return np.asarray(weights @ np.stack(past))


@lru_cache(maxsize=512)
def _innovation(seed: int, use: str, ordinal: int, size: int, tails: float) -> np.ndarray:
    rng = draws(seed, use, ordinal)
    if not tails:
        return rng.normal(0, 1, size)
    # Cut, so that no day is a hundred times another; of unit variance where that exists.
    return np.asarray(np.clip(rng.standard_t(tails, size) * np.sqrt(max(tails - 2, 0.5) / tails), -5, 5))


def _rain(rng: np.random.Generator, minute: np.ndarray, wanted: bool) -> np.ndarray:  # noqa: FBT001  # no noise, no weather
    """A few hours in which a region's people stay at home, on some days."""
    comes, starts, lasts = rng.random(), rng.uniform(7, 19) * 60, rng.uniform(1, 5) * 60
    wet = wanted & (comes < _RAIN) & (minute >= starts) & (minute < starts + lasts)
    return np.where(wet, _RAIN_FACTOR, 1.0)


def _autocorrelated(rng: np.random.Generator, size: int, spread: float) -> np.ndarray:
    steps = rng.normal(0, spread, size)
    for index in range(1, size):
        steps[index] = 0.7 * steps[index - 1] + 0.71 * steps[index]
    return steps
