"""What failed purchases say of the loss: what buyers tried to pay and could not, one amount a purchase as it is numbered.

It bounds the gross shortfall on neither side: who never tried is not in it, and who bought again under another number or elsewhere is.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.remarks import Remark
from warehouse.analysis.times import minute_of, minutes_of

KEPT_OUT = ("login", "queue", "registration")
"""Services that a buyer passes before an attempt to pay."""


@dataclass(frozen=True)
class Unseen:
    """Who never got as far as an attempt, from ``service_load``: the longest ``queue``, and turns that ended before one; a buyer may take several."""

    queue: int
    abandoned: int
    logins: int
    registrations: int

    @property
    def turns(self) -> int:
        """All turns that ended before an attempt."""
        return self.abandoned + self.logins + self.registrations


@dataclass(frozen=True)
class AttemptsEstimate:
    """Purchases that failed first in a window, amounts in KRW, each purchase with one amount.

    ``purchases`` failed, ``recovered`` of them by the end of what is known. ``amount`` is what they are worth together, ``lost`` what was not made
    good within the window (it stands beside the gross shortfall), ``never`` what was not made good at all (beside the net one). ``low`` leaves out
    purchases without an amount; where none has one, every amount is None. ``high`` is None where ``incomplete``: somebody was kept out before an attempt, or nobody says that none was.
    ``unseen`` is None without ``service_load``.
    """

    purchases: int
    recovered: int
    amount: float | None
    lost: float | None
    low: float | None
    high: float | None
    never: float | None
    incomplete: bool
    unseen: Unseen | None
    warnings: list[Remark]


def estimate_attempts(
    failed_purchases: pl.DataFrame, start: datetime, end: datetime, *, load: pl.DataFrame | None = None, failed_attempts: int | None = None
) -> AttemptsEstimate:
    """What was tried and not paid in [start, end). Times are aware, or naive and local (Asia/Seoul), alike in all.

    ``failed_purchases``: ``first_failure_at``, ``failures``, ``amount`` (null: unknown), ``recovered_at`` (null: never), ``market_id``, and ``purchase_id``,
    ``user_key``, ``recovered_amount`` where known. Without ``purchase_id`` the same amount of the same buyer in the same market is the same purchase, however often it came.
    ``load`` are the reports of the window: ``service``, ``abandoned``, ``failed``, ``queue_length`` (None: the platform sends none).
    ``failed_attempts``: all of the window, also of cards that name no buyer; it tells how many are in no purchase.

    Raises:
        FrameError: a frame lacks a column.
        AnalysisError: the window is empty.
    """
    need_columns(failed_purchases, "failed_purchases", ("first_failure_at", "failures", "amount", "recovered_at", "market_id"))
    first, last = minute_of(start, "start"), minute_of(end, "end")
    if last <= first:
        raise AnalysisError(f"end: expected a time after the start {start}, got {end}.")
    begun = minutes_of(failed_purchases["first_failure_at"], "failed_purchases: first_failure_at")
    inside = _once(with_worth(failed_purchases).filter(pl.Series((begun >= first) & (begun < last), dtype=pl.Boolean)))
    recovered_at = inside["recovered_at"]
    within = made_good_before(recovered_at, last)
    known = inside["amount"]
    mean, missing = known.mean(), known.null_count()
    told = not missing or mean is not None
    amount = known if mean is None else known.fill_null(mean)
    warnings: list[Remark] = []
    if missing:
        warnings.append(Remark("amounts_unknown", {"count": missing, "amount": mean}) if told else Remark("no_amounts", {"count": missing}))
    counted = int(inside["failures"].sum())
    if failed_attempts is not None and failed_attempts > counted:
        warnings.append(Remark("attempts_untold", {"share": (failed_attempts - counted) / failed_attempts}))
    unseen = None if load is None else unseen_of(load)
    if unseen is None:
        warnings.append(Remark("load_unknown"))
    elif unseen.turns:
        warnings.append(Remark("kept_out", {"queue": unseen.queue, "count": unseen.turns}))
    incomplete = unseen is None or unseen.turns > 0
    lost = _sum(amount.filter(~within), told)
    return AttemptsEstimate(
        purchases=len(inside),
        recovered=len(inside) - recovered_at.null_count(),
        amount=_sum(amount, told),
        lost=lost,
        low=_sum(known.filter(~within), told),
        high=None if incomplete else lost,
        never=_sum(amount.filter(recovered_at.is_null()), told),
        incomplete=incomplete,
        unseen=unseen,
        warnings=warnings,
    )


def with_worth(failed_purchases: pl.DataFrame) -> pl.DataFrame:
    """``amount`` as a float, of purchases without one what was paid when they succeeded (``recovered_amount``, where there is such a column)."""
    sources = [pl.col(name).cast(pl.Float64) for name in ("amount", "recovered_amount") if name in failed_purchases.columns]
    return failed_purchases.with_columns(pl.coalesce(sources).alias("amount"))


def unseen_of(load: pl.DataFrame) -> Unseen:
    """Who was kept out, from reports of a window. The contract lets every service tell a queue; the waiting room's is that of the service ``queue``.

    Raises:
        FrameError: a column is missing.
    """
    need_columns(load, "load", ("service", "abandoned", "failed", "queue_length"))
    of = {service: load.filter(pl.col("service") == service) for service in KEPT_OUT}
    return Unseen(
        queue=int(of["queue"]["queue_length"].max() or 0),  # type: ignore[arg-type]
        abandoned=int(sum(part["abandoned"].sum() for part in of.values())),
        logins=int(of["login"]["failed"].sum()),
        registrations=int(of["registration"]["failed"].sum()),
    )


def made_good_before(moments: pl.Series, minute: int) -> pl.Series:
    """Which of the moments ``recovered_at`` came before a local minute; a null never did."""
    came = moments.is_not_null()
    minutes = np.full(len(moments), np.iinfo(np.int64).max)
    minutes[came.to_numpy()] = minutes_of(moments.filter(came), "failed_purchases: recovered_at")
    return pl.Series(minutes < minute, dtype=pl.Boolean)


def _sum(amounts: pl.Series, told: bool) -> float | None:  # noqa: FBT001
    return float(amounts.sum()) if told else None


def _once(purchases: pl.DataFrame) -> pl.DataFrame:
    """Purchases without an id, of a known buyer: one row for each amount in a market. What of it was recovered was recovered."""
    for column in ("purchase_id", "user_key"):
        if column not in purchases.columns:
            purchases = purchases.with_columns(pl.lit(None, pl.String).alias(column))
    mergeable = pl.col("purchase_id").is_null() & pl.col("user_key").is_not_null() & pl.col("amount").is_not_null()
    columns = ("first_failure_at", "failures", "amount", "recovered_at")
    merged = (
        purchases.filter(mergeable)
        .group_by("user_key", "market_id", "amount", maintain_order=True)
        .agg(pl.col("first_failure_at").min(), pl.col("failures").sum(), pl.col("recovered_at").min())
    )
    return pl.concat([purchases.filter(~mergeable).select(columns), merged.select(columns)])
