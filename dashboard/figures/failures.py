"""What failed where in a span: by service, code, issuer, channel and region, and how far people came."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from dashboard.figures.asking import ask
from dashboard.figures.live import day_start_of
from dashboard.figures.rates import MIN_ATTEMPTS, Rates, rates_of, with_rates
from dashboard.formatting import SEOUL
from warehouse.reading import Manifest, Snapshot

FUNNEL = ("login", "queue", "payment")
"""Services on the way to a payment; ``registration`` stands beside them."""

SPANS = ("today", "hour", "week")


@dataclass(frozen=True)
class Stage:
    """One stage of the way to a payment, in attempts: None where the platform does not tell. ``passed`` is a share of 1 of its own attempts."""

    name: str
    attempts: int | None
    succeeded: int | None
    failed: int | None
    abandoned: int | None

    @property
    def passed(self) -> float | None:
        """Succeeded among attempts."""
        return self.succeeded / self.attempts if self.attempts and self.succeeded is not None else None


@dataclass(frozen=True)
class Failures:
    """One span, [start, end), aware times, within a scope; of an issuer's or a service's, by which attempts are not counted everywhere, the whole nation.

    ``issuers``, ``regions``, ``channels``: name, approved, declined, failed, attempts, failure_rate, decline_rate (shares of 1,
    null under 30 attempts). ``codes``: outcome, code, attempts, share (of all attempts by issuer). ``issuers_of_nation``:
    issuers and codes are the whole nation's, because those of the scope are not known. ``services``: service, code, errors.
    ``funnel``: the widest stage first; its denominators come from ``service_load`` alone. Services and the stages are always the whole nation's.
    """

    start: datetime
    end: datetime
    rates: Rates
    issuers: pl.DataFrame
    issuers_of_nation: bool
    codes: pl.DataFrame
    regions: pl.DataFrame
    channels: pl.DataFrame
    services: pl.DataFrame
    funnel: list[Stage]
    registration: Stage


def span_of(name: str, manifest: Manifest) -> tuple[datetime, datetime]:
    """The span that ``today``, ``hour`` or ``week`` means by the line's clock."""
    now = manifest.now.astimezone(SEOUL)
    if name == "hour":
        closed = (manifest.watermark or manifest.now).astimezone(SEOUL)
        return closed - timedelta(hours=1), closed
    start = day_start_of(manifest)
    return (start - timedelta(days=6), now) if name == "week" else (start, now)


def failures_in(snapshot: Snapshot, start: datetime, end: datetime, *, scope: str = "nation", scope_name: str = "") -> Failures:
    """What failed in [start, end), aware times, within a scope."""
    span = {"start": start, "end": end}
    within, nation = {"scope": scope, "scope_name": scope_name}, {"scope": "nation", "scope_name": ""}
    places = ask(snapshot, "outcomes_by_place", **span, **within)
    rates = rates_of(places)
    of_issuers = within
    issuers = ask(snapshot, "outcomes_by_issuer", **span, **within)
    if rates_of(issuers) != rates:
        # Markets are not kept by issuer, and an attempt keeps there the region that the market list had when it was counted: a part of the scope's would pass for all of it.
        of_issuers, issuers = nation, ask(snapshot, "outcomes_by_issuer", **span, **nation)
    codes = ask(snapshot, "outcomes_by_code", **span, **of_issuers)
    approved = rates.approved if within == nation else rates_of(ask(snapshot, "outcomes_by_place", **span, **nation)).approved
    loads = {row["service"]: row for row in ask(snapshot, "services_in_span", **span).iter_rows(named=True)}
    funnel = sorted((_stage(name, loads) for name in FUNNEL), key=lambda stage: -(stage.attempts or 0))
    return Failures(
        start=start,
        end=end,
        rates=rates,
        issuers=_rated(issuers, "issuer"),
        issuers_of_nation=of_issuers != within,
        codes=codes.with_columns(share=pl.col("attempts") / max(rates_of(issuers).attempts, 1)),
        regions=_rated(places, "region"),
        channels=_rated(places, "channel"),
        services=ask(snapshot, "errors_by_service", **span),
        funnel=[*funnel, Stage("approved", approved, None, None, None)],
        registration=_stage("registration", loads),
    )


def _stage(name: str, loads: dict[str, dict[str, int]]) -> Stage:
    report = loads.get(name)
    return Stage(name, *(report[column] if report else None for column in ("attempts", "succeeded", "failed", "abandoned")))


def _rated(counts: pl.DataFrame, column: str) -> pl.DataFrame:
    summed = counts.group_by(column, maintain_order=True).agg(pl.col("approved", "declined", "failed").sum()).rename({column: "name"})
    return with_rates(summed, at_least=MIN_ATTEMPTS).sort(["attempts", "name"], descending=[True, False])
