"""Spans of what is published compared, and a launch's criteria judged: what each span's comparison needs is gathered here."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl

from warehouse.ahead import HISTORY, PENT_UP_DAYS, Ahead, ahead, as_of
from warehouse.analysis import AnalysisError
from warehouse.analysis.comparison import Comparison, Span, compare
from warehouse.analysis.forecast import forecast
from warehouse.analysis.gate import Gate, judged
from warehouse.analysis.scopes import touches
from warehouse.analysis.times import SEOUL, aware
from warehouse.losses import exclusions, loss_between, on_launch, promotions, window
from warehouse.reading import Snapshot

MOST_WINDOWS = 20
"""Windows of a span's incidents whose loss is estimated, the longest first: each takes a second or two."""


def span_of(snapshot: Snapshot, name: str, start: datetime, end: datetime, *, losses: bool = True) -> Span:
    """All that a comparison needs of [start, end), aware, as far as it was counted. With ``losses`` the nation's incidents are costed, and announced switch-offs by what had been forecast for them."""
    if start < end:
        start, end = counted_within(snapshot, start, end)
    span = {"start": start, "end": end}
    incidents = snapshot.query("incidents_in_span", **span)
    maintenance = snapshot.query("maintenance_in_span", **span).filter(touches("payment"))
    queue = snapshot.query("load_by_minute", **span, services=["queue"])
    purchases = snapshot.query("failed_purchases_with_buyers", **span, scope="nation", scope_name="")
    told = [*snapshot.query("notices_in_span", **span)["announced_at"], *incidents.filter(kind="declared", scope="nation")["detected_at"]]
    found = Span(name, start, end, snapshot.query("attempts_by_minute", **span), incidents, maintenance, purchases, queue, told)
    if not losses or start >= end:
        return found
    windows = windows_of(incidents.filter(pl.col("scope") == "nation"), start, end, snapshot.manifest.watermark)
    planned_cost = _switched_off(snapshot, maintenance, start, end)
    lost, launched = _lost(snapshot, windows[:MOST_WINDOWS]), any(on_launch(snapshot, begun) for begun, _ in windows[:MOST_WINDOWS])
    return replace(found, lost=lost, left_out=len(windows[MOST_WINDOWS:]), on_launch=launched, planned_cost=planned_cost)


def compared(snapshot: Snapshot, first: tuple[str, datetime, datetime], second: tuple[str, datetime, datetime], *, losses: bool = True) -> Comparison:
    """Two named spans side by side. Raises as ``compare``."""
    return compare(span_of(snapshot, *first, losses=losses), span_of(snapshot, *second, losses=losses))


def operator_spans(snapshot: Snapshot) -> list[tuple[str, datetime, datetime]]:
    """Who ran the platform when, within what was counted, aware, in order; one without an end ran it until the next began.

    Names are unique: of an operator who came back each has the day on which that time began, or the minute where that is the same day.
    """
    now = as_of(snapshot)
    first = counted_from(snapshot) or now
    rows = snapshot.query("operator_periods").sort("starts_at").with_columns(pl.coalesce("ends_at", pl.col("starts_at").shift(-1)).alias("ends_at"))
    periods = [
        (row["name"], row["starts_at"].replace(tzinfo=UTC), min(row["ends_at"].replace(tzinfo=UTC) if row["ends_at"] else now, now))
        for row in rows.iter_rows(named=True)
    ]
    spans = [(name, begun, end) for name, begun, end in periods if max(begun, first) < end]
    names = [name for name, _, _ in spans]
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M"):
        times = Counter(names)
        names = [said if times[said] == 1 else f"{name} ({begun.astimezone(SEOUL):{form}})" for said, (name, begun, _) in zip(names, spans, strict=True)]
    return [(name, max(begun, first), end) for name, (_, begun, end) in zip(names, spans, strict=True)]


def counted_from(snapshot: Snapshot) -> datetime | None:
    """The first minute that was counted, aware; None where none was."""
    first = snapshot.query("first_minute").item()
    return first.replace(tzinfo=UTC) if first else None


def counted_within(snapshot: Snapshot, start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """As much of [start, end) as was counted, aware; where none of it was, a span of no length."""
    now = as_of(snapshot)
    low, high = max(start, counted_from(snapshot) or now), min(end, now)
    return (low, high) if low < high else (start, start)


def gate_judged(snapshot: Snapshot, gate: Gate, known: Ahead | None = None) -> pl.DataFrame:
    """The criteria of a launch, held against the incidents since and the forecast up to it. Raises as ``forecast``."""
    now = as_of(snapshot)
    today = now.astimezone(SEOUL).date()
    quiet = None
    if gate.soak_from is not None:
        begun = datetime.combine(gate.soak_from, datetime.min.time(), SEOUL)
        over = [(row["ended_at"] or now.replace(tzinfo=None)) for row in snapshot.query("incidents_in_span", start=begun, end=now).iter_rows(named=True)]
        quiet = max((today - max([gate.soak_from, *((moment.replace(tzinfo=UTC)).astimezone(SEOUL).date() for moment in over)])).days, 0)
    found = known or ahead(snapshot, days=min(max((gate.launch - today).days + PENT_UP_DAYS, 14), 370))
    near = found.peaks.filter(pl.col("date").is_between(gate.launch, gate.launch + timedelta(days=PENT_UP_DAYS)))
    most = near["q99"].max()
    return judged(gate, today, quiet_days=quiet, needed_p99=float(most) if isinstance(most, float) else None)


def windows_of(incidents: pl.DataFrame, start: datetime, end: datetime, watermark: datetime | None) -> list[tuple[datetime, datetime]]:
    """The incidents' windows within [start, end), aware, the longest first: those that overlap or touch are one, so that no step is counted twice."""
    spans = [
        window(max(onset.replace(tzinfo=UTC), start), min(ended.replace(tzinfo=UTC), end) if ended else end, watermark)
        for onset, ended in incidents.select("onset_at", "ended_at").iter_rows()
    ]
    return sorted(_united(spans), key=lambda one: one[0] - one[1])


def _united(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Those that overlap or touch as one, in order; empty ones are none."""
    joined: list[tuple[datetime, datetime]] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        elif low < high:
            joined.append((low, high))
    return joined


def _lost(snapshot: Snapshot, windows: list[tuple[datetime, datetime]]) -> float | None:
    """Gross shortfall of the windows together; None where one cannot be estimated."""
    try:
        return sum((loss_between(snapshot, *one).lost for one in windows), 0.0)
    except AnalysisError:
        return None


def _switched_off(snapshot: Snapshot, maintenance: pl.DataFrame, start: datetime, end: datetime) -> float | None:
    """What announced times without service would have sold, by the forecast from what went before: the mean of its hours' medians; None where nothing did."""
    total = 0.0
    announced = maintenance.filter(pl.col("announced_at") < pl.col("starts_at"), pl.col("ends_at").is_not_null()).select("starts_at", "ends_at")
    for low, high in _united([(max(begun.replace(tzinfo=UTC), start), min(over.replace(tzinfo=UTC), end)) for begun, over in announced.iter_rows()]):
        try:
            rows = aware(snapshot.query("demand_by_hour", start=low - HISTORY, end=low, by="nation"))
            known = exclusions(snapshot, before=low).filter(pl.col("ends_at") <= low)
            days = min((high.astimezone(SEOUL).date() - low.astimezone(SEOUL).date()).days + 1, 370)
            found = forecast(rows, as_of=low, days=days, promotions=promotions(snapshot, low), exclusions=known if len(known) else None)
        except AnalysisError:
            return None
        at = pl.col("at").dt.replace_time_zone("Asia/Seoul").dt.convert_time_zone("UTC")
        inside = pl.min_horizontal(at + pl.duration(hours=1), pl.lit(high)) - pl.max_horizontal(at, pl.lit(low))
        # an hour that was off for a part counts for that part
        wanted = float(found.hours.select((pl.col("q50") * (inside / pl.duration(hours=1)).clip(0, 1)).sum()).item())
        sold = float(aware(snapshot.query("demand_by_hour", start=low, end=high, by="nation"))["sales"].sum())
        total += max(wanted - sold, 0.0)
    return total
