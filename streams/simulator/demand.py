"""What buyers want on a day, before any platform answers."""

from dataclasses import dataclass
from datetime import date
from statistics import NormalDist

import numpy as np
import polars as pl

from streams.simulator.chance import draws, luck, pick
from streams.simulator.parts import CHANNELS
from streams.simulator.rhythm import MINUTES, market_levels, minute_profiles, regions_of
from streams.simulator.scenario import Scenario

# Of the invented issuers, in their order.
_ISSUER_WEIGHTS = [0.22, 0.18, 0.15, 0.11, 0.12, 0.09, 0.07, 0.06]
_AMOUNT_SPREAD = 0.85
_WALLET_SPREAD = 1.0
_BALANCE_SHARE = 0.5
"""Of the KRW that is declined, what the buyer's balance does not cover."""

BALANCE, OTHER = 1, 2
"""Why an issuer declines."""

CARD = CHANNELS.index("card")


@dataclass(frozen=True)
class Wishes:
    """A day's purchases as parallel arrays, in the order of time.

    ``market`` is a row of the country, ``channel`` and ``issuer`` are indexes, ``wanted_at`` milliseconds since midnight in Asia/Seoul,
    ``amount`` KRW. ``anonymous`` is a card without an account. ``refused`` is BALANCE or OTHER for a purchase that its issuer would decline
    whatever the platform does, else 0: nobody loses a sale by its failure.
    """

    market: np.ndarray
    channel: np.ndarray
    issuer: np.ndarray
    merchant: np.ndarray
    user: np.ndarray
    anonymous: np.ndarray
    wanted_at: np.ndarray
    amount: np.ndarray
    refused: np.ndarray

    def __len__(self) -> int:
        """The number of purchases."""
        return len(self.market)


def wishes(scenario: Scenario, markets: pl.DataFrame, day: date) -> Wishes:
    """Draw the purchases that are wanted on one day, in the order of time."""
    rng = draws(scenario.seed, "wishes", day.toordinal())
    level, held = market_levels(scenario, markets, day)
    level = level / (1 - scenario.platform.decline_rate) / (1 + scenario.demand.repeats)
    market, minute = _places_and_minutes(level, held, regions_of(markets), minute_profiles(scenario, day, markets["region"].n_unique()), rng)
    wanted_at = minute * 60_000 + rng.integers(0, 60_000, len(market))
    regulars = np.maximum(60, markets["share"].to_numpy() * 500_000)[market]
    user = (market * 7919 + (regulars * rng.random(len(market)) ** 1.5).astype(np.int64)) % 3_000_000
    channel = (rng.random(len(market)) >= markets["card_share"].to_numpy()[market]).astype(np.int8)
    market, user, channel, wanted_at = _with_repeats(scenario, rng, market, user, channel, wanted_at)
    order = np.argsort(wanted_at, kind="stable")
    market, user, channel, wanted_at = market[order], user[order], channel[order], wanted_at[order]
    count = len(market)
    users = user.astype(np.uint64)
    mean = np.log(scenario.demand.mean_amount) - _AMOUNT_SPREAD**2 / 2
    amount = np.clip(np.round(rng.lognormal(mean, _AMOUNT_SPREAD, count), -2), 500, 2_000_000).astype(np.int64)
    anonymous = (channel == CARD) & (luck(users, scenario.seed, "anonymous") < scenario.demand.anonymous_cards)
    return Wishes(
        market=market,
        channel=channel,
        issuer=pick(luck(users, scenario.seed, "issuer"), _ISSUER_WEIGHTS).astype(np.int8),
        merchant=(markets["merchants"].to_numpy()[market] * rng.random(count) ** 1.6).astype(np.int64) + 1,
        user=user,
        anonymous=anonymous,
        wanted_at=wanted_at,
        amount=amount,
        refused=_refused(scenario, rng, amount, mean),
    )


def _places_and_minutes(
    level: np.ndarray, held: np.ndarray, region: np.ndarray, profiles: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Poisson purchases a market, each with its minute, by the profile of its region and of whether it is its market day."""
    places, minutes = [], []
    for number in range(len(profiles)):
        for profile, of_profile in zip(profiles[number], (~held, held), strict=True):
            total = profile.sum()
            market = np.repeat(np.arange(len(level)), rng.poisson(np.where(of_profile & (region == number), level, 0.0) * total))
            places.append(market)
            minutes.append(np.minimum(np.searchsorted(np.cumsum(profile) / total, rng.random(len(market)), side="right"), MINUTES - 1))
    return np.concatenate(places), np.concatenate(minutes)


def _with_repeats(
    scenario: Scenario, rng: np.random.Generator, market: np.ndarray, user: np.ndarray, channel: np.ndarray, wanted_at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Add the ordinary second purchases of the same buyers in the same market, minutes to hours later."""
    again = np.flatnonzero(rng.random(len(market)) < scenario.demand.repeats)
    later = wanted_at[again] + 120_000 + rng.lognormal(np.log(1_500_000), 0.9, len(again)).astype(np.int64)
    stays = later < scenario.hours[1] * 3_600_000
    again, later = again[stays], later[stays]
    return (
        np.concatenate([market, market[again]]),
        np.concatenate([user, user[again]]),
        np.concatenate([channel, channel[again]]),
        np.concatenate([wanted_at, later]),
    )


def _refused(scenario: Scenario, rng: np.random.Generator, amount: np.ndarray, mean: float) -> np.ndarray:
    """What will be declined: amounts above the buyer's balance, and others for other reasons.

    Balances are lognormal, with the median at which the wanted share of KRW is above them (the KRW-weighted logarithm of an amount has the mean
    ``mean`` + its variance).
    """
    share = scenario.platform.decline_rate * _BALANCE_SHARE
    if not share:
        return np.zeros(len(amount), np.int8)
    spread = float(np.hypot(_AMOUNT_SPREAD, _WALLET_SPREAD))
    median = mean + _AMOUNT_SPREAD**2 - NormalDist().inv_cdf(share) * spread
    short = np.log(amount) > rng.normal(median, _WALLET_SPREAD, len(amount))
    other = rng.random(len(amount)) < scenario.platform.decline_rate * (1 - _BALANCE_SHARE)
    return np.select([short, other], [BALANCE, OTHER], 0).astype(np.int8)
