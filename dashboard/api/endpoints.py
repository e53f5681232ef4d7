"""What can be asked: markets, incidents, losses, sales. Each answer is a frame from one snapshot; money is KRW, times are in Asia/Seoul."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from dashboard.api.parameters import NEEDED, BadParameterError, Parameter, moment, one_of, share, text, whole
from dashboard.figures.asking import ask
from warehouse.ahead import public_feed
from warehouse.analysis import LossEstimate
from warehouse.analysis.status import ORDER
from warehouse.beside import remarks_beside
from warehouse.losses import HISTORY, demand_open, estimated_window, incident_window, launch_of, loss_between, measured_scope, window
from warehouse.names import unknown
from warehouse.reading import Snapshot
from warehouse.taking_back import taken_back

Answer = Callable[[Snapshot, dict[str, Any]], pl.DataFrame]
SCOPES = ("nation", "region", "channel", "market")
MOST_STEPS = 20_000
FIGURES = ("expected", "observed", "lost", "low", "high")


@dataclass(frozen=True)
class Endpoint:
    """One path: what it answers, with which parameters, in which columns."""

    path: str
    about: str
    parameters: tuple[Parameter, ...]
    columns: dict[str, str]
    answer: Answer
    public: bool = False
    """Whether it may be read without sign-in and token where ``ONNURI_PUBLIC_STATUS`` is set."""


NAME = text("name", "Which region, channel or market_id, where the scope is not the nation.")


def _bounds(*, required: bool) -> tuple[Parameter, Parameter]:
    start = moment("from", "Start of the span, ISO 8601; without an offset it is Korean time.", required=required)
    return start, moment("to", "End of the span, not in it.", required=required)


SPAN, NEEDED_SPAN = _bounds(required=False), _bounds(required=True)


def status(snapshot: Snapshot, asked: dict[str, Any]) -> pl.DataFrame:
    """Downtimes that go on, are planned, or ended lately."""
    found = public_feed(snapshot)
    return found.filter(pl.col("status") == asked["state"]) if asked["state"] else found


def markets(snapshot: Snapshot, asked: dict[str, Any]) -> pl.DataFrame:
    """The list of markets."""
    listed = ask(snapshot, "market_list")
    if asked["region"]:
        _check_name(snapshot, "region", asked["region"], parameter="region")
        listed = listed.filter(pl.col("region") == asked["region"])
    return listed.filter(pl.col("market").str.contains(asked["search"], literal=True)) if asked["search"] else listed


def incidents(snapshot: Snapshot, asked: dict[str, Any]) -> pl.DataFrame:
    """Incidents, the newest first."""
    found = ask(snapshot, "incidents_newest_first")
    return found.filter(pl.col("ended_at").is_null() == (asked["state"] == "open")) if asked["state"] else found


def loss(snapshot: Snapshot, asked: dict[str, Any]) -> pl.DataFrame:
    """The gross shortfall of an incident or a span, whole or by its parts; on a launch, where no other markets tell the demand, with the interval that leads."""
    start, end, scope, name = _meant(snapshot, asked)
    estimate = loss_between(snapshot, start, end, scope=scope, scope_name=name, level=asked["level"])
    start, end = estimated_window(estimate)
    measured, taken = measured_scope(scope), taken_back(snapshot, start - HISTORY, start, end, scope=scope, scope_name=name)
    launched = demand_open(snapshot, estimate)
    beside = remarks_beside(snapshot, start, end, scope=scope, scope_name=name, incident_id=asked["incident"])
    codes = [*dict.fromkeys(said.code for said in [*estimate.warnings, *beside, *taken.remarks]), *(["launch"] if launched else [])]
    spans = {"from": pl.lit(start), "to": pl.lit(end), "warnings": pl.lit(" ".join(codes))}
    whole_won = [pl.col(figure).round(0).cast(pl.Int64) for figure in FIGURES]
    launch = launch_of(snapshot, estimate, scope=scope, scope_name=name, level=asked["level"]) if launched and asked["by"] == "total" else None
    ranges = {
        "launch_low": pl.lit(round(launch.low) if launch else None, pl.Int64),
        "launch_high": pl.lit(round(launch.high) if launch else None, pl.Int64),
        "demand_low": pl.lit(launch.factor_low if launch else None, pl.Float64),
        "demand_high": pl.lit(launch.factor_high if launch else None, pl.Float64),
    }
    of_whole = taken if asked["by"] == "total" else None
    reversals = {
        "taken_back": pl.lit(of_whole and of_whole.amount, pl.Int64),
        "taken_back_share": pl.lit(of_whole and of_whole.share, pl.Float64),
        "taken_back_usual": pl.lit(of_whole and of_whole.usual, pl.Float64),
    }
    return _parts(estimate, asked["by"]).select(
        "name",
        *(value.alias(name) for name, value in ranges.items()),
        *whole_won,
        level=pl.lit(asked["level"]),
        measured_scope=pl.lit(measured),
        **reversals,
        **spans,
    )


def _parts(estimate: LossEstimate, by: str) -> pl.DataFrame:
    if by == "total":
        return pl.DataFrame([{"name": "total", **{figure: float(getattr(estimate, figure)) for figure in FIGURES}}])
    parts = {"region": estimate.by_region, "channel": estimate.by_channel, "market": estimate.by_market}[by]
    return parts.rename({"market_id" if by == "market" else by: "name"}).sort("lost", "name", descending=[True, False])


def _meant(snapshot: Snapshot, asked: dict[str, Any]) -> tuple[datetime, datetime, str, str]:
    if asked["incident"]:
        if asked["from"] or asked["to"]:
            raise BadParameterError("incident", "incident: give an incident, or from and to, not both.")
        for other in ("scope", "name"):
            if asked[other]:
                raise BadParameterError(other, f"{other}: an incident has its own scope, got {asked[other]!r}. Leave {other} out, or give from and to.")
        start, end = incident_window(snapshot, asked["incident"])
        if min(end, window(start, None, snapshot.manifest.watermark)[1]) <= start:
            raise BadParameterError("incident", f"incident: no ten-minute step of {asked['incident']} has closed yet. Ask again later.")
        row = snapshot.query("incident_by_id", incident_id=asked["incident"]).row(0, named=True)
        return start, end, row["scope"], row["scope_name"] or ""
    if not (asked["from"] or asked["to"]):
        raise BadParameterError("incident", f"incident: one is needed, or from and to. Examples: incident=20250301T0104-nation, or {NEEDED}")
    return *_span(asked), *_part(snapshot, asked)


def sales(snapshot: Snapshot, asked: dict[str, Any]) -> pl.DataFrame:
    """Sales and outcomes of attempts, step by step. Steps without anything are absent; one that ``from`` cuts begins there."""
    start, end = _span(asked)
    if (end - start) / timedelta(minutes=asked["step"]) > MOST_STEPS:
        raise BadParameterError("step", f"step: expected at most {MOST_STEPS:,} steps, got more. Give a longer step or a shorter span.")
    scope, name = _part(snapshot, asked)
    steps = ask(snapshot, "sales_by_step", start=start, end=end, minutes=asked["step"], scope=scope, scope_name=name)
    return steps.with_columns(pl.max_horizontal("at", pl.lit(start).dt.convert_time_zone("Asia/Seoul")))


def _span(asked: dict[str, Any]) -> tuple[datetime, datetime]:
    for name in ("from", "to"):
        if asked[name] is None:
            raise BadParameterError(name, f"{name}: it is needed. Example: {NEEDED}")
    if asked["to"] <= asked["from"]:
        raise BadParameterError("to", f"to: expected a time after from, got {asked['to'].isoformat()}.")
    return asked["from"], asked["to"]


def _part(snapshot: Snapshot, asked: dict[str, Any]) -> tuple[str, str]:
    scope, name = asked["scope"] or "nation", asked["name"] or ""
    if scope != "nation" and not name:
        raise BadParameterError("name", f"name: it is needed where scope is {scope}. Example: scope=region&name=서울특별시")
    if scope == "nation" and name:
        raise BadParameterError(
            "name", f"name: the nation has none, got {name!r}. Say with scope what it is: {', '.join(SCOPES[1:])}. Example: scope=region&name=서울특별시"
        )
    if name:
        _check_name(snapshot, scope, name)
    return scope, name


def _check_name(snapshot: Snapshot, kind: str, name: str, parameter: str = "name") -> None:
    """Refuse a name under which nothing can be found: no rows would read as no sales."""
    if wrong := unknown(snapshot, kind, name, "/markets"):
        raise BadParameterError(parameter, f"{parameter}: {wrong}")


ENDPOINTS = (
    Endpoint(
        "/markets",
        "The list of markets.",
        (text("region", "Only this region."), text("search", "Only names that hold this text.")),
        {"market_id": "string", "market": "string", "region": "string", "district": "string", "cycle": "string", "merchants": "integer"},
        markets,
    ),
    Endpoint(
        "/incidents",
        "Incidents found and declared, the newest first.",
        (one_of("state", "Only open or closed ones.", ("open", "closed")),),
        {
            "incident_id": "string",
            "kind": "string",
            "scope": "string",
            "scope_name": "string",
            "onset_at": "date-time",
            "detected_at": "date-time",
            "last_seen_at": "date-time",
            "ended_at": "date-time",
            "peak_failure_rate": "number",
            "declared_by": "string",
        },
        incidents,
    ),
    Endpoint(
        "/loss",
        "The gross shortfall (expected less observed sales) of an incident, or of a span and scope, in KRW. Intervals of parts do not add up. "
        "measured_scope is the scope whose sales were measured: the nation for an incident of an issuer or a service, whose sales nobody counts. from and to are those of the estimate: whole steps of ten minutes that hold the span, cut at what is known. warnings are the codes of what the estimate says "
        "about itself, with blanks between, such as window_widened and window_cut; "
        "maintenance_within: announced maintenance of payments lay in the window and counts as lost too; overlaps: other incidents count some of the same sales; closed_before: places that sold nothing for three days or more before are taken to be closed. "
        "Where the service had just launched, demand is not known: launch_low and launch_high are the ends of the interval, of level, of the shortfall for a demand of demand_low to demand_high "
        "times an ordinary day's and go before the other figures, which hold if demand went on as in the hours before. They are null elsewhere, such as where markets that were not hit tell the demand, and in parts, "
        "whose figures hold on the same condition: warnings has launch in each row of whole and parts. "
        "taken_back is what was approved and taken back in the span, by the minute of the reversal, taken_back_share its share of what was approved, taken_back_usual that share in the nine "
        "weeks before: approvals count as sales, so that lost is too small by what is beyond the ordinary share. They are null in parts.",
        (
            text("incident", "Id of an incident; instead of from, to, scope and name."),
            *SPAN,
            # Without a default: an incident has a scope of its own.
            one_of("scope", "What part of the span is meant; without it the nation.", SCOPES),
            NAME,
            one_of("by", "Whole, or by its parts.", ("total", "region", "channel", "market"), "total"),
            share("level", "Probability of the intervals: of low and high, and on a launch of launch_low and launch_high.", 0.9),
        ),
        {
            "name": "string",
            "launch_low": "integer",
            "launch_high": "integer",
            "demand_low": "number",
            "demand_high": "number",
            **dict.fromkeys(FIGURES, "integer"),
            "level": "number",
            "measured_scope": "string",
            "taken_back": "integer",
            "taken_back_share": "number",
            "taken_back_usual": "number",
            "from": "date-time",
            "to": "date-time",
            "warnings": "string",
        },
        loss,
    ),
    Endpoint(
        "/sales",
        "Approved money in KRW and attempts by outcome, step by step; steps without anything are absent. Steps are counted from each midnight in Seoul; one that from cuts begins at from.",
        (*NEEDED_SPAN, one_of("scope", "What part is meant.", SCOPES, "nation"), NAME, whole("step", "Minutes of a step.", 1, 1_440, 60)),
        {"at": "date-time", "sales": "integer", "approved": "integer", "declined": "integer", "failed": "integer"},
        sales,
    ),
    Endpoint(
        "/status",
        "Downtimes of the service for consumers and merchants: those that go on, are planned, or ended within 30 days. No figures of sales. Readable without sign-in where the dashboard is told so.",
        (one_of("state", "Only those of one state.", ORDER),),
        {
            "id": "string",
            "scope": "string",
            "service": "string",
            "channel": "string",
            "region": "string",
            "market_id": "string",
            "market": "string",
            "begin": "date-time",
            "end": "date-time",
            "status": "string",
            "scheduled": "boolean",
            "severity": "string",
        },
        status,
        public=True,
    ),
)
