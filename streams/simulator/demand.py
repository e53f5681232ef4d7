"""What buyers want on a day, before any platform answers."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from streams.simulator.chance import draws, pick
from streams.simulator.rhythm import MINUTES, market_levels, minute_profiles
from streams.simulator.scenario import Scenario

CHANNELS = ("card", "mobile")

ISSUERS = ("한빛카드", "새길카드", "온마루카드", "다솜카드", "푸른은행", "가온은행", "미르은행", "누리상호금융")
"""Invented; weights below."""

_ISSUER_WEIGHTS = [0.22, 0.18, 0.15, 0.11, 0.12, 0.09, 0.07, 0.06]
_AMOUNT_SPREAD = 0.85


@dataclass(frozen=True)
class Wishes:
    """A day's purchases as parallel arrays, in the order of time.

    ``market`` is a row of the country, ``channel`` and ``issuer`` are indexes, ``wanted_at`` milliseconds since midnight in Asia/Seoul,
    ``amount`` KRW. ``refused`` marks a purchase that its issuer would decline whatever the platform does: nobody loses a sale by its failure.
    """

    market: np.ndarray
    channel: np.ndarray
    issuer: np.ndarray
    merchant: np.ndarray
    user: np.ndarray
    wanted_at: np.ndarray
    amount: np.ndarray
    refused: np.ndarray

    def __len__(self) -> int:
        """The number of purchases."""
        return len(self.market)


def pent_up(scenario: Scenario) -> float:
    """The launch day's demand as a multiple of an ordinary day's; 1 without a launch."""
    if scenario.launch is None:
        return 1.0
    low, high = scenario.launch.pent_up
    return float(draws(scenario.seed, "pent-up").uniform(low, high))


def wishes(scenario: Scenario, markets: pl.DataFrame, day: date) -> Wishes:
    """Draw the purchases that are wanted on one day."""
    rng = draws(scenario.seed, "wishes", day.toordinal())
    level, held = market_levels(scenario, markets, day)
    if scenario.launch is not None and day == scenario.launch.day:
        level = level * pent_up(scenario)
    level = level / (1 - scenario.platform.decline_rate)
    market, minute = _places_and_minutes(level, held, minute_profiles(scenario, day), rng)
    count = len(market)
    wanted_at = minute * 60_000 + rng.integers(0, 60_000, count)
    order = np.argsort(wanted_at, kind="stable")
    market, wanted_at = market[order], wanted_at[order]
    merchants = markets["merchants"].to_numpy()[market]
    regulars = np.maximum(60, markets["share"].to_numpy() * 500_000)[market]
    mean = np.log(scenario.demand.mean_amount) - _AMOUNT_SPREAD**2 / 2
    return Wishes(
        market=market,
        channel=(rng.random(count) >= markets["card_share"].to_numpy()[market]).astype(np.int8),
        issuer=pick(rng.random(count), _ISSUER_WEIGHTS).astype(np.int8),
        merchant=(merchants * rng.random(count) ** 1.6).astype(np.int64) + 1,
        user=(market * 7919 + (regulars * rng.random(count) ** 1.5).astype(np.int64)) % 3_000_000,
        wanted_at=wanted_at,
        amount=np.clip(np.round(rng.lognormal(mean, _AMOUNT_SPREAD, count), -2), 500, 2_000_000).astype(np.int64),
        refused=rng.random(count) < scenario.platform.decline_rate,
    )


def _places_and_minutes(level: np.ndarray, held: np.ndarray, profiles: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Poisson purchases a market, each with its minute; markets on their market day follow the second profile."""
    places, minutes = [], []
    for profile, of_profile in zip(profiles, (~held, held), strict=True):
        total = profile.sum()
        market = np.repeat(np.arange(len(level)), rng.poisson(np.where(of_profile, level, 0.0) * total))
        places.append(market)
        minutes.append(np.minimum(np.searchsorted(np.cumsum(profile) / total, rng.random(len(market)), side="right"), MINUTES - 1))
    return np.concatenate(places), np.concatenate(minutes)
