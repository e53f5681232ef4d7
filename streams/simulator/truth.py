"""What really happened: per market, channel and minute, known only here.

A purchase is *wanted* in the minute of its first try; purchases that their issuer would have declined anyway are not counted.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from streams.simulator.buyers import Tries
from streams.simulator.chance import draws, pick
from streams.simulator.country import country
from streams.simulator.days import Day, play_day
from streams.simulator.demand import Wishes
from streams.simulator.parts import CHANNELS
from streams.simulator.records import named
from streams.simulator.rhythm import pent_up
from streams.simulator.scenario import Scenario

COLUMNS = {
    "market_id": "market",
    "channel": "card or mobile: where it was wanted; of approvals, where they came",
    "minute_at": "minute, UTC",
    "wanted": "purchases wanted in this minute",
    "wanted_amount": "their KRW",
    "sold": "of these, approved by the first try (also where a timeout was approved after all)",
    "sold_amount": "their KRW",
    "made_up_later": "of these, approved by a later try on the same day",
    "made_up_later_amount": "their KRW",
    "tried_again": "of those made up later, in the channel they were wanted in",
    "tried_again_amount": "their KRW",
    "switched_channel": "of those made up later, in the other channel: made up later = tried again + switched channel",
    "switched_channel_amount": "their KRW",
    "failed": "of these, never approved though the buyer got as far as an attempt to pay",
    "failed_amount": "their KRW",
    "unseen": "of these, never approved, and the buyer never got past queue, login or registration: no attempt is on any topic",
    "unseen_amount": "their KRW",
    "lost": "failed + unseen = wanted - sold - made_up_later",
    "lost_amount": "their KRW",
    "paid_paper": "of those lost, paid to the same merchant by paper voucher",
    "paid_paper_amount": "their KRW",
    "paid_card": "of those lost, paid to the same merchant by an ordinary card",
    "paid_card_amount": "their KRW",
    "paid_cash": "of those lost, paid to the same merchant in cash",
    "paid_cash_amount": "their KRW",
    "lost_for_good": "of those lost, bought nowhere: lost = paid_paper + paid_card + paid_cash + lost_for_good",
    "lost_for_good_amount": "their KRW",
    "ordinary_lost_amount": "KRW wanted in this minute that would have been lost without the incident too",
    "approved": "approvals in this minute, whenever they were wanted: what the topic payments holds",
    "approved_amount": "their KRW",
    "ordinary_amount": "KRW that would have been approved in this minute without the incident, with the same buyers and the same luck",
}
"""The columns of the truth and what they hold. Cells in which nothing happened are absent."""


_INSTEAD = [0.12, 0.38, 0.15, 0.35]
"""Shares of the buyers who do not get to pay: by paper voucher, by an ordinary card, in cash, not at all. Assumed: no source is known."""


def truth(scenario: Scenario) -> pl.DataFrame:
    """The scenario's truth, columns as in COLUMNS, in the order of minute, market, channel."""
    markets = country(scenario)
    return pl.concat([_of_day(scenario.seed, play_day(scenario, markets, day), markets) for day in scenario.days])


def gross_shortfall(cells: pl.DataFrame, start: datetime, end: datetime) -> int:
    """KRW that approvals in [start, end) fall short of what they would have been without the incident. Times are aware."""
    part = _within(cells, start, end)
    return int(part["ordinary_amount"].sum()) - int(part["approved_amount"].sum())


def net_shortfall(cells: pl.DataFrame, start: datetime, end: datetime) -> int:
    """KRW wanted in [start, end) that were lost for good by the incident: gross less what is made up later, whenever that is. Times are aware."""
    part = _within(cells, start, end)
    return int(part["lost_amount"].sum()) - int(part["ordinary_lost_amount"].sum())


def write_truth(scenario: Scenario, folder: Path) -> Path:
    """Write ``truth.parquet`` and ``truth.json`` into ``folder`` and return it.

    The JSON holds pent-up factor, totals, gross and net shortfall of each incident within the scenario's time, and what the columns mean.
    """
    cells = truth(scenario)
    folder.mkdir(parents=True, exist_ok=True)
    cells.write_parquet(folder / "truth.parquet")
    incidents = []
    for incident in scenario.incident:
        end = min(incident.ends_at, scenario.end)
        incidents.append(
            {
                "starts_at": incident.starts_at.isoformat(),
                "ends_at": end.isoformat(),
                "gross_shortfall": gross_shortfall(cells, incident.starts_at, end),
                "net_shortfall": net_shortfall(cells, incident.starts_at, end),
            }
        )
    summary = {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "scale": scenario.scale,
        "start": scenario.start.isoformat(),
        "end": scenario.end.isoformat(),
        "pent_up": pent_up(scenario),
        "incidents": incidents,
        "totals": {name: int(cells[name].sum()) for name in list(COLUMNS)[3:]},
        "columns": COLUMNS,
    }
    (folder / "truth.json").write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return folder


def _within(cells: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    first, last = (moment.astimezone(UTC).replace(tzinfo=None) for moment in (start, end))
    return cells.filter(pl.col("minute_at").is_between(first, last, closed="left"))


def _of_day(seed: int, day: Day, markets: pl.DataFrame) -> pl.DataFrame:
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
