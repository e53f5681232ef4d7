"""Failure and decline rates, always of the same attempts: approved + declined + failed."""

from dataclasses import dataclass

import polars as pl

MIN_ATTEMPTS = 30
"""Under so many attempts a rate says more about chance than about the platform, and is not shown."""


@dataclass(frozen=True)
class Rates:
    """Attempts and what became of them. ``failure`` and ``decline`` are shares of 1, ``None`` where there were no attempts."""

    approved: int
    declined: int
    failed: int

    @property
    def attempts(self) -> int:
        """Attempts with an outcome."""
        return self.approved + self.declined + self.failed

    @property
    def approval(self) -> float | None:
        """Approvals among attempts."""
        return self.approved / self.attempts if self.attempts else None

    @property
    def failure(self) -> float | None:
        """Technical failures among attempts."""
        return self.failed / self.attempts if self.attempts else None

    @property
    def decline(self) -> float | None:
        """Business declines among attempts."""
        return self.declined / self.attempts if self.attempts else None


@dataclass(frozen=True)
class PurchaseOutcomes:
    """Purchases, each once however often it was tried: ``failed_first`` failed at least once, and ``recovered`` of these succeeded later.

    A purchase that was only declined is none of either.
    """

    approved: int
    failed_first: int
    recovered: int

    @property
    def purchases(self) -> int:
        """Purchases that were approved in the end, or failed for good."""
        return max(self.approved, self.recovered) + self.lost

    @property
    def lost(self) -> int:
        """Purchases that failed and have not succeeded yet."""
        return self.failed_first - self.recovered

    @property
    def first_failure(self) -> float | None:
        """Purchases that failed at first, as a share of 1."""
        return self.failed_first / self.purchases if self.purchases else None

    @property
    def final_failure(self) -> float | None:
        """Purchases that have not succeeded, as a share of 1."""
        return self.lost / self.purchases if self.purchases else None


def rates_of(counts: pl.DataFrame) -> Rates:
    """The rates over all rows of ``counts`` (approved, declined, failed)."""
    return Rates(*(int(counts[name].sum()) for name in ("approved", "declined", "failed")))


def with_rates(counts: pl.DataFrame, *, at_least: int = 1) -> pl.DataFrame:
    """Add attempts, approval_rate, decline_rate and failure_rate (shares of 1) to each row; null where attempts are fewer than ``at_least``."""
    counts = counts.with_columns(attempts=pl.col("approved") + pl.col("declined") + pl.col("failed"))
    enough = pl.when(pl.col("attempts") >= at_least)
    return counts.with_columns(
        failure_rate=enough.then(pl.col("failed") / pl.col("attempts")),
        decline_rate=enough.then(pl.col("declined") / pl.col("attempts")),
        approval_rate=enough.then(pl.col("approved") / pl.col("attempts")),
    )
