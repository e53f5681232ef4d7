"""What a buyer does whose try came to nothing: wait, change the channel, split the amount, walk to the next market, or give up."""

from dataclasses import dataclass

import numpy as np

from streams.simulator.chance import luck
from streams.simulator.demand import Wishes
from streams.simulator.outcomes import DECLINED, FAILED, HELD, Tries
from streams.simulator.parts import World
from streams.simulator.retries import hours_later, minutes_later, patience, soon

NEVER = np.iinfo(np.int64).max

_SPLITS_FROM_KRW = 10_000
_WALK_MS = (180_000, 720_000)
_NEXT_PART_MS = (20_000, 90_000)


@dataclass
class Buyers:
    """Where each purchase of a day stands before its next try, as parallel arrays: a row is a row of the wishes.

    A checkout is what the platform knows as a purchase: ``leg`` counts a buyer's checkouts from 0, ``attempts`` the attempts to pay in this one; ``amount`` is
    what it is for, ``rest`` what the buyer means to pay in another one afterwards. ``market`` is a row of the country.
    """

    channel: np.ndarray
    market: np.ndarray
    amount: np.ndarray
    rest: np.ndarray
    leg: np.ndarray
    attempts: np.ndarray

    @classmethod
    def of(cls, wanted: Wishes) -> "Buyers":
        """Everybody before the first try."""
        nothing = np.zeros(len(wanted), np.int64)
        return cls(wanted.channel.copy(), wanted.market.copy(), wanted.amount.copy(), nothing, nothing.copy(), nothing.copy())

    def begin_checkout(self, purchase: np.ndarray) -> None:
        """Let buyers begin anew with what they have changed."""
        self.leg[purchase] += 1
        self.attempts[purchase] = 0


def next_times(world: World, one: Tries, number: int, drawn: np.ndarray) -> np.ndarray:
    """When each buyer tries again, ms since midnight; NEVER if not."""
    patient = patience(world.patience)[number]
    wait = np.select(
        [drawn[:, 4] < patient, drawn[:, 4] < patient + world.comes_back],
        [np.where(one.outcome == HELD, minutes_later(drawn[:, 5]), soon(drawn[:, 5])), hours_later(drawn[:, 5])],
        -1.0,
    ).astype(np.int64)
    return np.where((one.approved_at < 0) | (one.cancelled_at >= 0), np.where((one.outcome != DECLINED) & (wait > 0), one.at + wait, NEVER), NEVER)


def choose(
    world: World, buyers: Buyers, one: Tries, again_at: np.ndarray, wanted: Wishes, neighbour: np.ndarray, keys: tuple[np.ndarray, int, np.ndarray]
) -> np.ndarray:
    """Let buyers choose how they try again, changing ``buyers``; returns when, which a walk or a second part makes later than ``again_at``.

    ``neighbour`` is the nearest other market of each (-1: none), ``keys`` what the draws hang on: a number for each try, the seed, and the uniform
    number by which the channel is changed.
    """
    key, seed, switching = keys
    failed = (one.outcome == FAILED) & (again_at < NEVER)
    switches = (one.outcome == FAILED) & ~wanted.anonymous[one.purchase] & (switching < world.switches_channel)
    buyers.channel[one.purchase] = np.where(switches, 1 - one.channel, one.channel)

    rows = np.flatnonzero(failed & ~switches)
    purchase, drawn = one.purchase[rows], luck(key[rows], seed, "other ways")
    splits = (drawn < world.splits) & (buyers.leg[purchase] == 0) & (buyers.amount[purchase] >= _SPLITS_FROM_KRW)
    walks = (drawn >= world.splits) & (drawn < world.splits + world.switches_market) & (neighbour[buyers.market[purchase]] >= 0)

    parted, whole = purchase[splits], buyers.amount[purchase[splits]]
    first = np.floor(whole * (0.3 + 0.4 * luck(key[rows[splits]], seed, "part")) / 100).astype(np.int64) * 100
    buyers.amount[parted], buyers.rest[parted] = first, whole - first
    buyers.begin_checkout(parted)

    walking = purchase[walks]
    buyers.market[walking] = neighbour[buyers.market[walking]]
    buyers.begin_checkout(walking)
    again_at = again_at.copy()
    again_at[rows[walks]] += _between(_WALK_MS, luck(key[rows[walks]], seed, "walk"))

    more = np.flatnonzero((one.approved_at >= 0) & (one.cancelled_at < 0) & (buyers.rest[one.purchase] > 0))
    purchase = one.purchase[more]
    buyers.amount[purchase], buyers.rest[purchase] = buyers.rest[purchase], 0
    buyers.begin_checkout(purchase)
    again_at[more] = one.approved_at[more] + _between(_NEXT_PART_MS, luck(key[more], seed, "next part"))
    return again_at


def _between(limits: tuple[int, int], uniform: np.ndarray) -> np.ndarray:
    return (limits[0] + uniform * (limits[1] - limits[0])).astype(np.int64)
