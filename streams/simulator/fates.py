"""What became of each purchase of a day, and the day's cells of the truth."""

import numpy as np
import polars as pl

from streams.simulator.buyers import Tries
from streams.simulator.chance import draws, pick
from streams.simulator.days import Day
from streams.simulator.demand import Wishes
from streams.simulator.parts import CHANNELS
from streams.simulator.records import named
from streams.simulator.truth_columns import COLUMNS

_INSTEAD = [0.12, 0.38, 0.15, 0.35]
"""Shares of the buyers who do not get to pay: by paper voucher, by an ordinary card, in cash, not at all. Assumed: no source is known."""


def cells_of_day(seed: int, day: Day, markets: pl.DataFrame) -> pl.DataFrame:
    """The day's cells, columns as in COLUMNS, in the order of minute, market, channel."""
    instead = pick(draws(seed, "instead", day.date.toordinal()).random(len(day.wanted)), _INSTEAD)
    when_wanted = _fates(day.wanted, day.actual, day.undisturbed, instead)
    parts = [when_wanted, _approvals(day.wanted, day.actual, "approved"), _approvals(day.wanted, day.undisturbed, "ordinary").drop("ordinary")]
    key = ["minute", "market", "channel"]
    cells = pl.concat(parts, how="diagonal").group_by(key).sum().sort(key)
    sums = [pl.col(name).cast(pl.Int64) for name in list(COLUMNS)[3:]]
    at = (pl.lit(day.midnight) + pl.col("minute").cast(pl.Int64) * 60_000).cast(pl.Datetime("ms")).cast(pl.Datetime("us"))
    return cells.select(
        markets["market_id"].gather(cells["market"]),
        named(CHANNELS, cells["channel"].to_numpy()).alias("channel"),
        at.alias("minute_at"),
        *sums,
    )


def _fates(wanted: Wishes, actual: Tries, undisturbed: Tries, instead: np.ndarray) -> pl.DataFrame:
    """What became of each purchase, in the minute in which it was wanted; one row for each purchase that was not refused.

    ``instead`` is what each buyer does who does not get to pay: paper, card, cash, nothing.
    """
    by_purchase = (
        _frame(actual)
        .group_by("purchase")
        .agg(
            sold=(pl.col("approved_at") >= 0).filter(pl.col("number") == 0).any(),
            bought=(pl.col("approved_at") >= 0).any(),
            reached=(pl.col("attempt") > 0).any(),
            bought_by=pl.col("channel").filter(pl.col("approved_at") >= 0).first(),
        )
    )
    otherwise = _frame(undisturbed).group_by("purchase").agg(ordinarily=(pl.col("approved_at") >= 0).any())
    fates = {
        "wanted": pl.lit(value=True),
        "sold": pl.col("sold"),
        "made_up_later": pl.col("bought") & ~pl.col("sold"),
        "tried_again": pl.col("bought") & ~pl.col("sold") & (pl.col("bought_by") == pl.col("channel")),
        "switched_channel": pl.col("bought") & ~pl.col("sold") & (pl.col("bought_by") != pl.col("channel")),
        "failed": ~pl.col("bought") & pl.col("reached"),
        "unseen": ~pl.col("bought") & ~pl.col("reached"),
        "lost": ~pl.col("bought"),
        **{name: ~pl.col("bought") & (pl.col("instead") == number) for number, name in enumerate(("paid_paper", "paid_card", "paid_cash", "lost_for_good"))},
        "ordinary_lost": ~pl.col("ordinarily"),
    }
    return (
        _wishes(wanted)
        .with_columns(instead=pl.Series(instead))
        .filter(pl.col("refused") == 0)
        .join(by_purchase, on="purchase", how="left")
        .join(otherwise, on="purchase", how="left")
        .select(
            *("market", "channel"),
            (pl.col("wanted_at") // 60_000).alias("minute"),
            *(fate.fill_null(value=False).cast(pl.Int64).alias(name) for name, fate in fates.items()),
            *((fate.fill_null(value=False).cast(pl.Int64) * pl.col("amount")).alias(f"{name}_amount") for name, fate in fates.items()),
        )
        .drop("ordinary_lost")
    )


def _approvals(wanted: Wishes, tried: Tries, name: str) -> pl.DataFrame:
    """Approvals in the minute in which they came."""
    return (
        _frame(tried)
        .filter(pl.col("approved_at") >= 0)
        .join(_wishes(wanted).drop("channel"), on="purchase", how="left")
        .select(
            *("market", "channel"),
            (pl.col("approved_at") // 60_000).alias("minute"),
            pl.lit(1, pl.Int64).alias(name),
            pl.col("amount").alias(f"{name}_amount"),
        )
    )


def _frame(tried: Tries) -> pl.DataFrame:
    return pl.DataFrame(
        {"purchase": tried.purchase, "channel": tried.channel, "number": tried.number, "attempt": tried.attempt, "approved_at": tried.approved_at}
    )


def _wishes(wanted: Wishes) -> pl.DataFrame:
    columns = {name: getattr(wanted, name) for name in ("market", "channel", "wanted_at", "amount", "refused")}
    return pl.DataFrame(columns).with_row_index("purchase").with_columns(pl.col("purchase").cast(pl.Int64))
