"""What the public is told: which part of the service is down, since when, and what is planned. No figures of sales."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl

from warehouse.analysis.errors import need_columns
from warehouse.analysis.scopes import EVERY_SERVICE
from warehouse.analysis.times import local

PAST = timedelta(days=30)
"""How long what is over stays in the feed."""

CRITICAL = 0.3
"""A failure rate of the whole nation from which on an incident is critical."""

COLUMNS: dict[str, Any] = {
    "id": pl.String, "scope": pl.String, "service": pl.String, "channel": pl.String, "region": pl.String, "market_id": pl.String, "begin": pl.Datetime("us"), "end": pl.Datetime("us"),
    "status": pl.String, "scheduled": pl.Boolean, "severity": pl.String,
}  # fmt: skip
ORDER = ("ongoing", "in_progress", "scheduled", "resolved", "completed")


def downtimes(incidents: pl.DataFrame, maintenance: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Every downtime that goes on, is planned, or ended within a month before ``now``; what goes on first, then the newest.

    ``incidents``: ``incident_id``, ``scope``, ``scope_name``, ``onset_at``, ``ended_at``, ``peak_failure_rate``; ``maintenance``: ``label``, ``service``, ``starts_at``, ``ends_at``, ``announced_at``; times in UTC,
    naive or aware. What was not announced before its start is no planned maintenance. Returns ``COLUMNS``, times naive in Seoul: ``scope`` is the incident's, of which an issuer's name is
    not told, and ``service`` or ``nation`` of planned work; ``service`` is ``payment`` where the incident's scope is no service; ``status`` one of ``ORDER``; ``severity`` critical, major or minor.

    Raises:
        FrameError: a column is missing.
    """
    need_columns(incidents, "incidents", ("incident_id", "scope", "scope_name", "onset_at", "ended_at", "peak_failure_rate"))
    need_columns(maintenance, "maintenance", ("label", "service", "starts_at", "ends_at", "announced_at"))
    here = local(now)
    rows = [_incident(row) for row in incidents.iter_rows(named=True)]
    rows += [_planned(row, here) for row in maintenance.iter_rows(named=True) if row["announced_at"] < row["starts_at"]]
    kept = [row for row in rows if row["begin"] is not None and (row["end"] is None or row["end"] > here - PAST)]
    kept.sort(key=lambda row: (ORDER.index(row["status"]), -row["begin"].timestamp(), row["id"]))
    return pl.DataFrame(kept, schema=COLUMNS, orient="row")


def overall(feed: pl.DataFrame) -> str:
    """``down`` while a critical downtime goes on, ``disturbed`` while another does, ``maintenance`` while planned work does, else ``working``."""
    on = feed.filter(pl.col("status") == "ongoing")
    if len(on):
        return "down" if (on["severity"] == "critical").any() else "disturbed"
    return "maintenance" if (feed["status"] == "in_progress").any() else "working"


def _incident(row: dict[str, Any]) -> dict[str, Any]:
    scope, name = row["scope"], row["scope_name"] or None
    rate = row["peak_failure_rate"]
    nation = scope == "nation"
    return {
        "id": row["incident_id"],
        "scope": scope,
        "service": name if scope == "service" else "payment",
        "channel": name if scope == "channel" else None,
        "region": name if scope == "region" else None,
        "market_id": name if scope == "market" else None,
        "begin": _seoul(row["onset_at"]),
        "end": _seoul(row["ended_at"]),
        "status": "ongoing" if row["ended_at"] is None else "resolved",
        "scheduled": False,
        "severity": "critical"
        if nation and isinstance(rate, float) and rate >= CRITICAL
        else "major"
        if scope in {"nation", "channel", "service"}
        else "minor",
    }


def _planned(row: dict[str, Any], here: datetime) -> dict[str, Any]:
    begin, end = _seoul(row["starts_at"]), _seoul(row["ends_at"])
    assert begin is not None
    status = "scheduled" if begin > here else "in_progress" if end is None or end > here else "completed"
    # of the label nothing is told but that there is one: it is what an operator wrote for himself
    return {
        "id": f"planned-{begin:%Y%m%dT%H%M}-{row['service'] or 'all'}", "scope": "nation" if row["service"] in {None, "all"} else "service", "service": row["service"] or "all", "channel": None, "region": None, "market_id": None,
        "begin": begin, "end": end, "status": status, "scheduled": True, "severity": "major" if row["service"] in {None, "payment", *EVERY_SERVICE} else "minor",
    }  # fmt: skip


def _seoul(moment: object) -> datetime | None:
    if not isinstance(moment, datetime):
        return None
    return local(moment) if moment.tzinfo else moment + timedelta(hours=9)
