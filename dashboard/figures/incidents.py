"""What the incident page shows: the list, and one incident with what it cost."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal, Self

import polars as pl

from dashboard.figures.asking import ask
from dashboard.figures.concentration import Concentration, concentration_of
from dashboard.figures.course import Rule, Step, course_of, given_by, rules_of
from dashboard.figures.expected import AWARE, expected_between, levelled
from dashboard.figures.live import every_step
from dashboard.figures.methods import Method, methods_of
from dashboard.figures.names import with_places
from dashboard.figures.people import People, people_in
from dashboard.figures.rates import MIN_ATTEMPTS, Rates, rates_of, with_rates
from dashboard.formatting import SEOUL
from warehouse.analysis import AnalysisError, HistoryError, LaunchScenario, LongWindowError, LossEstimate, Remark
from warehouse.analysis.returns import FEW_BUYERS
from warehouse.ladder import Ladder, Range, Scenario, ladder_of
from warehouse.losses import HOUR, STEP, LossAccount, account_between, loss_between, measured_scope, whole_end, window
from warehouse.reading import Snapshot
from warehouse.side_by_side import side_by_side

BEFORE = timedelta(hours=2)
HARDEST_HIT = 10
PADDING = timedelta(minutes=30)
"""What is added before and after the window, to see how much of the loss its choice makes."""

LONG_LIST = 100

WhyNoLoss = Literal["too_early", "too_short", "no_history", "too_long", "unusable"]
"""No step of it is counted yet, the incident ended as it began and has none, there is no ordinary day to learn from, it touches more days than an estimate reaches, or what is published holds a value that no estimate takes."""

WhyNoNet = Literal["open", "soon", "nameless", "few", "no_amounts"]
"""It has not ended; less than an hour after it is counted; no failed purchase has an id; too few of those that have one were left at its end; none of those left has an amount."""


@dataclass(frozen=True)
class Incident:
    """One incident as the table tells it. Times are aware, in Asia/Seoul; ``peak_failure_rate`` is a share of 1.

    ``place`` is how people call what ``scope_name`` names, where that is known.
    """

    incident_id: str
    kind: str
    scope: str
    scope_name: str
    onset_at: datetime
    detected_at: datetime | None
    last_seen_at: datetime | None
    ended_at: datetime | None
    peak_failure_rate: float | None
    declared_by: str | None
    place: str = ""

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """From a row of ``incidents_newest_first``, with or without its place."""
        return cls(**{**row, "scope_name": row["scope_name"] or ""})

    @property
    def open(self) -> bool:
        """It has not ended."""
        return self.ended_at is None

    @property
    def sales_known(self) -> bool:
        """Whether sales are counted by the incident's scope; else its loss is estimated from the whole nation's."""
        return measured_scope(self.scope) == self.scope

    def goes_on_at(self, counted: datetime) -> datetime:
        """Up to when an open one is known to go on: when detection saw it last; detection does not look for one that a person declared, which goes on as far as is ``counted``."""
        return max(counted, self.onset_at) if self.declared_by else self.last_seen_at or self.detected_at or counted

    def lasted(self, until: datetime) -> timedelta:
        """From onset to the end, or to ``until`` while it is open."""
        return (self.ended_at or until) - self.onset_at


@dataclass(frozen=True)
class Purchases:
    """Purchases that failed at least once; amounts in KRW, None where no such purchase has one."""

    purchases: int
    recovered: int
    failures: int
    amount: int | None
    recovered_amount: int
    unrecovered_amount: int | None

    @property
    def recovered_share(self) -> float | None:
        """Recovered among failed purchases."""
        return self.recovered / self.purchases if self.purchases else None


@dataclass(frozen=True)
class IncidentFigures:
    """One incident's page. The window runs from the step that holds the onset to the one that holds the end, or as far as is counted.

    Purchases and people are those from the onset to ``until``: the end, or the published state's clock while open.

    ``steps``: at, sales, expected, low, high, inside (in the window), lost and cumulative (KRW), attempts, failure_rate,
    decline_rate. ``regions`` and ``markets``: name, expected, observed, lost, share (of what was expected), hardest hit first.
    """

    incident: Incident
    start: datetime
    end: datetime
    until: datetime
    account: LossAccount | None
    why_no_loss: WhyNoLoss | None
    why_no_net: WhyNoNet | None
    steps: pl.DataFrame
    regions: pl.DataFrame
    markets: pl.DataFrame
    purchases: Purchases
    padded: LossEstimate | None
    concentration: Concentration | None
    merchants: pl.DataFrame
    people: People
    claims: pl.DataFrame
    survey: dict[str, Any] | None
    course: list[Step]
    rules: list[Rule]

    @property
    def loss(self) -> LossEstimate | None:
        """The gross shortfall; None where there is no estimate."""
        return self.account.gross if self.account else None

    @property
    def launch(self) -> LaunchScenario | None:
        """The shortfall as a function of a demand that nobody knows; None where the service had not just launched."""
        return self.account.launch if self.account else None

    def ladder(self, scenario: Scenario | None = None) -> Ladder | None:
        """From expected sales to merchants' loss; None where there is no estimate."""
        return ladder_of(self.account, scenario or Scenario()) if self.account else None

    @property
    def shortfall(self) -> Range | None:
        """The gross shortfall as it is said everywhere, on a launch as a range without a value; None where there is no estimate."""
        ladder = self.ladder()
        return ladder.gross if ladder else None

    @property
    def methods(self) -> list[Method]:
        """Every figure for the loss side by side; empty where there is no estimate."""
        return methods_of(self.account, self.padded) if self.account else []

    @property
    def disagreements(self) -> list[Remark]:
        """Where methods and claims disagree beyond their intervals."""
        return side_by_side(self.account).disagreements if self.account else []

    @property
    def spans(self) -> pl.DataFrame:
        """The incident as a span for charts: onset_at, ended_at, until."""
        times = {"onset_at": self.incident.onset_at, "ended_at": self.incident.ended_at, "until": self.incident.ended_at or self.end}
        return pl.DataFrame([times], schema=dict.fromkeys(times, AWARE))

    @property
    def observed(self) -> int | None:
        """What was sold inside the window, with or without an estimate; None where no step of it is counted."""
        inside = self.steps.filter("inside")["sales"]
        return int(inside.sum()) if len(inside) else None

    @property
    def rates(self) -> Rates:
        """Attempts inside the window and what became of them."""
        return rates_of(self.steps.filter("inside"))

    @property
    def lasted(self) -> timedelta:
        """From onset to the end; while it is open, as far as it is known to go on."""
        return self.incident.lasted(self.incident.goes_on_at(self.end))

    @property
    def cut(self) -> bool:
        """It has ended, but the window ends before that: the rest is not counted yet."""
        return whole_end(self.incident.ended_at, self.end) > self.end

    @property
    def cumulative(self) -> float | None:
        """What the steps inside the window add up to: ``loss.lost``."""
        summed = self.steps["cumulative"].drop_nulls()
        return summed[-1] if len(summed) else None

    @property
    def lost_share(self) -> float | None:
        """Lost over expected, as a share of 1."""
        return self.loss.lost / self.loss.expected if self.loss and self.loss.expected else None


def known_incidents(snapshot: Snapshot) -> list[Incident]:
    """Every incident, the newest first."""
    return [Incident.of(row) for row in with_places(snapshot, ask(snapshot, "incidents_newest_first")).iter_rows(named=True)]


def window_of(incident: Incident, watermark: datetime | None) -> tuple[datetime, datetime]:
    """The span that is estimated, in Seoul: whole steps, from the one with the onset to the end or the watermark."""
    start, end = window(incident.onset_at, incident.ended_at, watermark)
    return start.astimezone(SEOUL), end.astimezone(SEOUL)


def incident_figures(snapshot: Snapshot, incident: Incident) -> IncidentFigures:
    """Everything the page says about ``incident``, from one snapshot."""
    start, end = window_of(incident, snapshot.manifest.watermark)
    scope = {"scope": incident.scope, "scope_name": incident.scope_name}
    account, why_no_loss = _account(snapshot, start, end, incident)
    loss = account.gross if account else None
    names = ask(snapshot, "market_list").select("market_id", "market", "region")
    until = incident.ended_at or snapshot.manifest.now.astimezone(SEOUL)
    purchases = ask(snapshot, "failed_purchases_in_span", start=incident.onset_at, end=until, **scope)
    steps = _steps(snapshot, start, end, scope, loss)
    notices = ask(snapshot, "notices_in_span", start=incident.onset_at, end=until)
    surveys = ask(snapshot, "surveys_about", incident_id=incident.incident_id)
    last_seen = incident.last_seen_at or incident.detected_at
    with_id, owed = ask(snapshot, "failed_purchases_with_id", start=start, end=end, **scope).row(0)
    corrected = ask(snapshot, "times_corrected", incident_id=incident.incident_id).row(0, named=True)
    given = given_by(incident.declared_by, **corrected)
    return IncidentFigures(
        incident=incident,
        start=start,
        end=end,
        until=until,
        account=account,
        why_no_loss=why_no_loss,
        why_no_net=why_no_net(account, incident, end, snapshot.manifest.watermark, with_id, owed),
        steps=steps,
        regions=_hardest(loss.by_region.rename({"region": "name"})) if loss else _nobody(),
        markets=_hardest(_named(loss.by_market, names)) if loss else _nobody(),
        purchases=Purchases(**purchases.row(0, named=True)),
        padded=_padded(snapshot, start, end, scope) if loss else None,
        concentration=concentration_of(account.gross.by_market["lost"], ladder_of(account, Scenario()).gross.low) if account else None,
        merchants=_merchants(snapshot, incident.onset_at, until, scope),
        people=people_in(snapshot, incident.onset_at, until, **scope),
        claims=ask(snapshot, "claims_about", incident_id=incident.incident_id),
        survey=surveys.row(-1, named=True) if len(surveys) else None,
        course=course_of(incident.onset_at, incident.detected_at, last_seen, incident.ended_at, notices, steps, given),
        rules=rules_of(incident.onset_at, incident.ended_at, incident.goes_on_at(end)),
    )


def why_no_net(account: LossAccount | None, incident: Incident, end: datetime, watermark: datetime | None, with_id: int, owed: int) -> WhyNoNet | None:
    """Why what was made up later is not known: the account's own conditions, in their order. None where it is known, and without an account.

    ``with_id`` failed purchases have an id; ``owed`` of them had not succeeded by the end.
    """
    if account is None or account.net is not None:
        return None
    if incident.open:
        return "open"
    if watermark is None or watermark - end < HOUR:
        return "soon"
    if account.attempts.purchases and not with_id:
        return "nameless"
    return "no_amounts" if owed >= FEW_BUYERS else "few"


def _account(snapshot: Snapshot, start: datetime, end: datetime, incident: Incident) -> tuple[LossAccount, None] | tuple[None, WhyNoLoss]:
    """The account, or why there is none."""
    asked = whole_end(incident.ended_at, end)  # what is not counted yet is cut by the estimate, which says so
    if end <= start:
        return None, "too_early" if incident.open or asked > end else "too_short"
    try:
        found = account_between(
            snapshot, start.astimezone(UTC), asked.astimezone(UTC), scope=incident.scope, scope_name=incident.scope_name, incident_id=incident.incident_id
        )
    except HistoryError:
        return None, "no_history"
    except LongWindowError:
        return None, "too_long"
    except AnalysisError:
        return None, "unusable"
    return found, None


def _padded(snapshot: Snapshot, start: datetime, end: datetime, scope: dict[str, str]) -> LossEstimate | None:
    """The same with ``PADDING`` on both sides, as far as the watermark has closed it; None where that cannot be estimated."""
    closed = window_of_closed(snapshot.manifest.watermark, end)
    try:
        return loss_between(snapshot, start - PADDING, max(end, min(end + PADDING, closed)), scope=scope["scope"], scope_name=scope["scope_name"])
    except AnalysisError:
        return None


def window_of_closed(watermark: datetime | None, end: datetime) -> datetime:
    """The last whole step that ``watermark`` has closed, not before ``end``."""
    return window(end, None, watermark)[1].astimezone(SEOUL)


def _merchants(snapshot: Snapshot, start: datetime, end: datetime, scope: dict[str, str]) -> pl.DataFrame:
    days = {"first": start.astimezone(SEOUL).date(), "last": end.astimezone(SEOUL).date()}
    if end.astimezone(SEOUL).time() == time.min:
        days["last"] -= timedelta(days=1)
    return ask(snapshot, "merchants_by_failed_amount", **days, **scope, rows=LONG_LIST)


def _steps(snapshot: Snapshot, start: datetime, end: datetime, scope: dict[str, str], loss: LossEstimate | None) -> pl.DataFrame:
    """Steps have the estimate's expected sales: their course is that of the scope as one series, their level that of ``loss``, which knows market days."""
    first = start - BEFORE
    minutes = STEP // timedelta(minutes=1)
    observed = every_step(ask(snapshot, "sales_by_step", start=first, end=end, minutes=minutes, **scope), first, end, STEP)
    expected = expected_between(snapshot, first, end, as_of=start, step=STEP, **scope)
    inside = pl.col("at").is_between(start, end, closed="left")
    joined = with_rates(observed, at_least=MIN_ATTEMPTS).join(expected, on="at", how="left", maintain_order="left").with_columns(inside=inside)
    if loss is not None:
        joined = levelled(joined, loss.expected, inside)
    lost = joined.with_columns(lost=pl.when(pl.col("inside")).then(pl.col("expected") - pl.col("sales")))
    return lost.with_columns(cumulative=pl.col("lost").cum_sum())


def _hardest(frame: pl.DataFrame) -> pl.DataFrame:
    share = pl.when(pl.col("expected") > 0).then(pl.col("lost") / pl.col("expected"))
    return frame.with_columns(share=share).sort("lost", descending=True).head(HARDEST_HIT)


def _named(by_market: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    return by_market.join(names, on="market_id", how="left").with_columns(name=pl.coalesce("market", "market_id"))


def _nobody() -> pl.DataFrame:
    return pl.DataFrame(schema={"name": pl.String, "expected": pl.Float64, "observed": pl.Float64, "lost": pl.Float64, "share": pl.Float64})
