"""What failed buyers made up after the window, told by buyers where no purchase has an id: their later sales less those of matched buyers who did not fail.

A ratio of means with the linearised variance of a ratio (Cochran 1977, *Sampling Techniques*, chapter 6); the buyers who did not fail
are weighted to the hours in which the others failed (direct standardisation).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist

import numpy as np
import polars as pl

from warehouse.analysis.asked import level_of
from warehouse.analysis.attempts import made_good_before, with_worth
from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.net import Share, net_shortfall, with_unseen
from warehouse.analysis.panel import Array
from warehouse.analysis.remarks import Remark
from warehouse.analysis.times import DAY, minute_of, minutes_of

WITHIN = timedelta(hours=24)
CONTROL_DAYS = 14
FEW_BUYERS = 30
"""With fewer buyers in a group nothing is said."""

MISSED = 0.04
"""By how much the share that numbers of purchases tell misses the true one of a whole gross, as a standard deviation: who bought again under another number, in two parts or elsewhere
is not in it, nor what was approved and taken back, so that the net may exceed the gross. It is the root mean square (0.040) in the 33 of 90 simulated worlds (``benchmarks/net.py``, seeds 201 to 290)
where fewer than 2 % were unseen; where more were, their own range is added."""


@dataclass(frozen=True)
class Returns:
    """The ``share`` of ``failed_amount`` that was made up after the window, from so many buyers who failed and ``others`` who did not; a buyer in two markets counts twice."""

    share: Share
    failed: int
    failed_amount: float
    others: int


@dataclass(frozen=True)
class NetEstimate:
    """The net shortfall ``value`` in [``low``, ``high``]: gross less the share ``made_up`` after the window. ``unseen``: the share of the gross whose buyers made no attempt."""

    value: float
    low: float
    high: float
    made_up: Share
    unseen: float
    remarks: list[Remark]


def net_by_buyers(
    gross: tuple[float, float, float],
    failures: pl.DataFrame,
    approvals: pl.DataFrame,
    start: datetime,
    end: datetime,
    *,
    as_of: datetime | None = None,
    within: timedelta = WITHIN,
    level: float = 0.9,
) -> NetEstimate:
    """Net shortfall of a window from its ``gross`` one (value, low, high) and from what buyers did, as ``made_up_by_buyers``.

    ``failures`` without a ``market_id`` are turns that ended before an attempt (queue, login, registration), as far as they name a buyer: they tell
    whether such buyers came back, anywhere. Where fewer than 30 are known, those are taken to be like the others, from none to twice as many.

    Raises:
        FrameError: a frame lacks a column.
        AnalysisError: fewer than 30 buyers failed, or fewer than 30 others are known.
    """
    attempts, before = failures.filter(pl.col("market_id").is_not_null()), failures.filter(pl.col("market_id").is_null())
    found = made_up_by_buyers(attempts, approvals, start, end, as_of=as_of, within=within, level=level)
    first, last = minute_of(start, "start"), minute_of(end, "end")
    minute = pl.Series(minutes_of(attempts["at"], "failures: at"))
    inside = attempts.filter(minute.is_between(first, last, closed="left"))
    told = max(1 - inside["user_key"].null_count() / max(len(inside), 1), 0.01)
    unseen = min(max(1 - found.failed_amount / told / gross[0], 0.0), 1.0) if gross[0] > 0 else 0.0
    remarks = [Remark("net_of_buyers", {"share": found.share.share, "count": found.failed})]
    kept_out = before.join(inside.select("user_key").unique(), on="user_key", how="anti")
    anywhere = pl.lit("anywhere").alias("market_id")
    try:
        mean = float(approvals["amount"].mean() or 0.0)  # type: ignore[arg-type]
        turned_away = made_up_by_buyers(
            kept_out.with_columns(anywhere, amount=pl.lit(mean)), approvals.with_columns(anywhere), start, end, as_of=as_of, within=within, level=level
        )
    except AnalysisError:
        made_up = with_unseen(found.share, unseen)
        remarks.append(Remark("net_unseen", {"share": unseen}))
    else:
        made_up = _mixed(found.share, turned_away.share, unseen)
        remarks.append(Remark("net_kept_out", {"share": turned_away.share.share, "count": turned_away.failed}))
    return NetEstimate(*net_shortfall(*gross, made_up), made_up, unseen, remarks)


def net_by_purchases(
    gross: tuple[float, float, float], failed_purchases: pl.DataFrame, start: datetime, end: datetime, *, as_of: datetime | None = None, level: float = 0.9
) -> NetEstimate:
    """Net shortfall of a window where a purchase has an id: what was not made good within the window, and succeeded after it, was made up.

    ``failed_purchases`` and times as in ``estimate_attempts``; what has not succeeded by ``as_of`` (default: as far as is known) is not made up yet.
    Of purchases without any amount each counts as the mean of the others. The interval is that of chance, of those unseen, and of what such a share ``MISSED`` in simulated worlds.

    Raises:
        FrameError: a column is missing.
        AnalysisError: fewer than 30 purchases with an id were not made good within the window, or none of them has an amount.
    """
    level = level_of(level)
    need_columns(failed_purchases, "failed_purchases", ("purchase_id", "first_failure_at", "amount", "recovered_at"))
    first, last = minute_of(start, "start"), minute_of(end, "end")
    begun = minutes_of(failed_purchases["first_failure_at"], "failed_purchases: first_failure_at")
    inside = with_worth(failed_purchases).filter(pl.Series((begun >= first) & (begun < last), dtype=pl.Boolean), pl.col("purchase_id").is_not_null())
    owed = inside.filter(~made_good_before(inside["recovered_at"], last))
    if len(owed) < FEW_BUYERS:
        raise AnalysisError(f"failed_purchases: expected at least {FEW_BUYERS} with an id, not made good in the window, got {len(owed)}. Give a range instead.")
    until = 2**40 if as_of is None else minute_of(as_of, "as_of")
    if not owed["amount"].sum():
        raise AnalysisError(f"failed_purchases: expected amounts, got none in {len(owed)} of them. Send amounts with errors, or give a range instead.")
    amount = owed["amount"].fill_null(owed["amount"].mean()).to_numpy()
    back = amount * made_good_before(owed["recovered_at"], until).to_numpy()
    share = float(back.sum() / amount.sum())
    half = NormalDist().inv_cdf((1 + level) / 2) * _mean_variance(back - share * amount) ** 0.5 / float(amount.mean())
    found = Share(share, max(share - half, 0.0), min(share + half, 1.0))
    unseen = min(max(1 - float(amount.sum()) / gross[0], 0.0), 1.0) if gross[0] > 0 else 0.0
    made_up = _missing(with_unseen(found, unseen), level)
    remarks = [Remark("net_of_purchases", {"share": share, "count": len(owed), "missed": MISSED}), Remark("net_unseen", {"share": unseen})]
    return NetEstimate(*net_shortfall(*gross, made_up), made_up, unseen, remarks)


def _missing(share: Share, level: float) -> Share:
    """The share with what it misses beside chance; below 0 where more was taken back of the gross's approvals than was made up."""
    missed = NormalDist().inv_cdf((1 + level) / 2) * MISSED
    down, up = (float(np.hypot(share.share - end, missed)) for end in (share.low, share.high))
    return Share(share.share, share.share - down, min(share.share + up, 1.0))


def _mixed(seen: Share, unseen: Share, part: float) -> Share:
    """Both shares by their parts of the whole; those who are in no data may be like either."""
    value = (1 - part) * seen.share + part * unseen.share
    apart = part * abs(seen.share - unseen.share) / 2
    down, up = (
        float(np.hypot(np.hypot((1 - part) * (seen.share - a), part * (unseen.share - b)), apart))
        for a, b in ((seen.low, unseen.low), (seen.high, unseen.high))
    )
    return Share(value, max(value - down, 0.0), min(value + up, 1.0))


def made_up_by_buyers(
    failures: pl.DataFrame,
    approvals: pl.DataFrame,
    start: datetime,
    end: datetime,
    *,
    as_of: datetime | None = None,
    within: timedelta = WITHIN,
    level: float = 0.9,
) -> Returns:
    """The share of what failed in [start, end) that its buyers bought in the same market from ``end`` to ``within`` later, beyond ordinary visits.

    Both frames: ``at``, ``user_key`` (null: unknown, left out), ``market_id``, ``amount``; ``approvals`` also of the days before the window, whose
    buyers in the same hours are the others. A buyer who was approved after the last failure, but before ``end``, has nothing left to make up.
    Nothing from ``as_of`` on is known, of nobody (default: all of ``within`` has passed). Times as in ``estimate_loss``.

    Raises:
        FrameError: a frame lacks a column.
        AnalysisError: fewer than 30 buyers failed, or fewer than 30 others are known.
    """
    level = level_of(level)
    for frame, what in ((failures, "failures"), (approvals, "approvals")):
        need_columns(frame, what, ("at", "user_key", "market_id", "amount"))
    first, last = minute_of(start, "start"), minute_of(end, "end")
    reach = int(within / timedelta(minutes=1)) if as_of is None else min(int(within / timedelta(minutes=1)), minute_of(as_of, "as_of") - last)
    failed, bought = _events(failures, "failures"), _events(approvals, "approvals")
    # one amount a purchase: the same amount of the same buyer in the same market is the same purchase
    tried = failed.filter(pl.col("minute").is_between(first, last, closed="left"))
    last_failure = tried.group_by(BUYER).agg(pl.col("minute").max().alias("failed_at"))
    served = _inside(bought, first, last).join(last_failure, on=BUYER).filter(pl.col("minute") >= pl.col("failed_at")).select(BUYER).unique()
    owed = tried.join(served, on=BUYER, how="anti").unique([*BUYER, "amount"]).group_by(BUYER).agg(pl.col("minute").min(), pl.col("amount").sum().alias("owed"))
    owed = _with_later(owed, bought, last, reach)
    others = [
        _with_later(_inside(bought, first - back, last - back).group_by(BUYER).agg(pl.col("minute").min()), bought, last - back, reach).with_columns(
            pl.col("minute") + back
        )
        for back in range(DAY, (CONTROL_DAYS + 1) * DAY, DAY)
        if last - back + reach <= first
    ]
    ordinary = pl.concat(others) if others else owed.drop("owed").clear()
    if len(owed) < FEW_BUYERS or len(ordinary) < FEW_BUYERS:
        raise AnalysisError(
            f"failures, approvals: expected at least {FEW_BUYERS} buyers who failed and as many on the days before, got {len(owed)} and {len(ordinary)}. "
            "Give a range of the share instead."
        )
    return Returns(_share(owed, ordinary, first, level), len(owed), float(owed["owed"].sum()), len(ordinary))


BUYER = ["user_key", "market_id"]


def _events(frame: pl.DataFrame, what: str) -> pl.DataFrame:
    known = frame.filter(pl.col("user_key").is_not_null())
    minute = pl.Series("minute", minutes_of(known["at"], f"{what}: at"), dtype=pl.Int64)
    return known.select(*BUYER, pl.col("amount").cast(pl.Float64).fill_null(0.0)).with_columns(minute)


def _inside(events: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    return events.filter(pl.col("minute").is_between(first, last, closed="left"))


def _with_later(buyers: pl.DataFrame, bought: pl.DataFrame, last: int, reach: int) -> pl.DataFrame:
    """The buyers with what each bought in the same market within ``reach`` minutes from ``last`` on."""
    later = _inside(bought, last, last + reach).group_by(BUYER).agg(pl.col("amount").sum().alias("later"))
    return buyers.join(later, on=BUYER, how="left").with_columns(pl.col("later").fill_null(0.0))


def _share(owed: pl.DataFrame, ordinary: pl.DataFrame, first: int, level: float) -> Share:
    hour, hour_of_others = ((frame["minute"].to_numpy() - first) // 60 for frame in (owed, ordinary))
    wanted, came, usual = owed["owed"].to_numpy(), owed["later"].to_numpy(), ordinary["later"].to_numpy()
    weight = np.zeros(len(usual))
    for one in np.unique(hour_of_others):
        weight[hour_of_others == one] = (hour == one).mean() / (hour_of_others == one).sum()
    weight /= weight.sum()
    ordinarily = float(weight @ usual)
    share = (float(came.mean()) - ordinarily) / float(wanted.mean())
    variance = _mean_variance(came - share * wanted) + float(((weight * (usual - ordinarily)) ** 2).sum())
    half = NormalDist().inv_cdf((1 + level) / 2) * variance**0.5 / float(wanted.mean())
    return Share(*(min(max(figure, 0.0), 1.0) for figure in (share, share - half, share + half)))


def _mean_variance(values: Array) -> float:
    return float(values.var(ddof=1)) / len(values)
