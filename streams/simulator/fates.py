"""What became of each purchase of a day, and the day's cells of the truth."""

import numpy as np
import polars as pl

from streams.simulator.days import Day
from streams.simulator.outcomes import Tries
from streams.simulator.parts import CHANNELS
from streams.simulator.records import named
from streams.simulator.returns import INSTEAD, instead
from streams.simulator.scenario import Scenario
from streams.simulator.truth_columns import MEASURES

_KEY = ["minute_at", "market", "channel"]


def cells_of_day(scenario: Scenario, day: Day, markets: pl.DataFrame) -> pl.DataFrame:
    """The day's cells, columns as in COLUMNS, in the order of minute, market, channel; cells of earlier days, with what returning buyers change, come first."""
    parts = [
        _fates(scenario, day),
        _approvals(day, day.actual, "approved"),
        _approvals(day, day.undisturbed, "ordinary"),
        *([_made_up_days_later(day)] if day.returning else []),
    ]
    cells = pl.concat(parts, how="diagonal").group_by(_KEY).sum().sort(_KEY)
    return cells.select(
        markets["market_id"].gather(cells["market"]),
        named(CHANNELS, cells["channel"].to_numpy()).alias("channel"),
        pl.col("minute_at").cast(pl.Datetime("ms")).cast(pl.Datetime("us")),
        *(pl.col(name) if name in cells.columns else pl.lit(0, pl.Int64).alias(name) for name in MEASURES),
    )


def _fates(scenario: Scenario, day: Day) -> pl.DataFrame:
    """What became of each of the day's own purchases, in the minute in which it was wanted; one row for each that was not refused."""
    own, wanted = day.own, day.wanted
    actual = day.actual
    stands = actual.stands
    amount = wanted.amount[:own]
    bought = actual.bought(len(wanted))[:own]
    at_once = stands & (actual.number == 0)
    sold = np.bincount(actual.purchase[at_once], actual.amount[at_once], len(wanted)).astype(np.int64)[:own]
    later, lost = bought - sold, amount - bought
    reached = np.zeros(len(wanted), bool)
    reached[actual.purchase[actual.attempt > 0]] = True
    made_up, failed = (bought > 0) & (sold == 0), bought == 0
    by = _how_made_up(day)[:own]
    without = instead(scenario, day.date, len(wanted))[:own]
    ordinarily = day.undisturbed.bought(own)
    # Of a purchase that was split and paid in part, the rest is KRW lost, but no purchase.
    sums = {
        "wanted": (np.ones(own, bool), amount),
        "sold": (sold > 0, sold),
        "made_up_later": (made_up, later),
        **{name: (made_up & (by == number), later * (by == number)) for number, name in enumerate(("tried_again", "switched_channel", "switched_market"))},
        "paid_in_parts": (made_up & _in_parts(day)[:own], later * _in_parts(day)[:own]),
        "failed": (failed & reached[:own], lost * reached[:own]),
        "unseen": (failed & ~reached[:own], lost * ~reached[:own]),
        "lost": (failed, lost),
        **{name: (failed & (without == number), lost * (without == number)) for number, name in enumerate(INSTEAD)},
        "ordinary_lost": (ordinarily == 0, amount - ordinarily),
    }
    columns = {name: count.astype(np.int64) for name, (count, _) in sums.items()} | {f"{name}_amount": krw for name, (_, krw) in sums.items()}
    frame = pl.DataFrame(
        {"minute_at": _minute(day.midnight + wanted.wanted_at[:own]), "market": wanted.market[:own], "channel": wanted.channel[:own], **columns}
    )
    return frame.filter(pl.Series(wanted.refused[:own] == 0)).drop("ordinary_lost")


def _how_made_up(day: Day) -> np.ndarray:
    """Of each purchase, how its first standing approval came: 0 as it was wanted, 1 in the other channel, 2 in another market."""
    actual, how = day.actual, np.zeros(len(day.wanted), np.int64)
    first = np.flatnonzero(actual.stands)[::-1]  # the rounds are in order: the first one is written last
    purchase = actual.purchase[first]
    moved, switched = actual.market[first] != day.wanted.market[purchase], actual.channel[first] != day.wanted.channel[purchase]
    how[purchase] = np.select([moved, switched], [2, 1], 0)
    return how


def _in_parts(day: Day) -> np.ndarray:
    """Which purchases were paid, or half paid, in two payments."""
    part = day.actual.amount < day.wanted.amount[day.actual.purchase]
    return np.bincount(day.actual.purchase[part & day.actual.stands], minlength=len(day.wanted)) > 0


def _made_up_days_later(day: Day) -> pl.DataFrame:
    """What returning buyers got to pay today, put right where it had been lost."""
    assert day.returning is not None
    back = day.returning
    bought = day.actual.bought(len(day.wanted))[day.own :]
    paid, reached = (bought > 0).astype(np.int64), back.reached.astype(np.int64)
    changes = {
        "made_up_later": paid,
        "came_back_days_later": paid,
        "failed": -paid * reached,
        "unseen": -paid * (1 - reached),
        "lost": -paid,
        "lost_for_good": -paid,
    }
    krw = {f"{name}_amount": sign * bought for name, sign in changes.items()}
    frame = pl.DataFrame({"minute_at": _minute(back.midnight + back.first_at), "market": back.wishes.market, "channel": back.wishes.channel, **changes, **krw})
    return frame.filter(pl.Series(bought > 0))


def _approvals(day: Day, tried: Tries, name: str) -> pl.DataFrame:
    """Approvals in the minute in which they came, and those of them that were taken back automatically."""
    one = tried.where(np.flatnonzero(tried.approved_at >= 0))
    taken_back = (one.cancelled_at >= 0).astype(np.int64)
    names = ("approved", "cancelled") if name == "approved" else ("", "ordinary_cancelled")
    columns = {names[0]: np.ones(len(taken_back), np.int64), names[1]: taken_back} if names[0] else {}
    amounts = {f"{name}_amount": one.amount, f"{names[1]}_amount": one.amount * taken_back}
    return pl.DataFrame({"minute_at": _minute(day.midnight + one.approved_at), "market": one.market, "channel": one.channel, **columns, **amounts})


def _minute(milliseconds: np.ndarray) -> np.ndarray:
    return np.asarray(milliseconds // 60_000 * 60_000)
