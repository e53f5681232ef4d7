"""Incidents, online: what opens, goes on and closes when minutes close. At a minute, only data up to it is used.

The state is the rows of the open incidents and nothing else, and every call reckons from midnight in Seoul on, so that it does not
matter how a time is cut into calls.
"""

from datetime import datetime
from itertools import pairwise

import numpy as np
import polars as pl

from warehouse.analysis.budget import Drift
from warehouse.analysis.changes import CHANGES, Open, minute_of_utc, read_open
from warehouse.analysis.counts import EXPECTED, Usual, cells_of
from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.markets import Markets, shares_of
from warehouse.analysis.panel import Array
from warehouse.analysis.scopes import Grid, Scopes, planned_minutes
from warehouse.analysis.times import DAY, UTC_TO_SEOUL
from warehouse.analysis.watching import Watch

COUNTED = ("approved", "declined", "failed")


def detect(
    minutes: pl.DataFrame,
    usual: Usual | pl.DataFrame,
    open_incidents: pl.DataFrame,
    *,
    since: datetime,
    until: datetime,
    maintenance: pl.DataFrame | None = None,
    issuers: pl.DataFrame | None = None,
    services: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """What changes in the minutes [``since``, ``until``); times are UTC, naive or aware.

    ``minutes``: ``minute_at``, ``region``, ``channel``, ``approved``, ``declined``, ``failed`` and, where single markets are to be looked at,
    ``market_id``, from midnight (in Seoul) before ``since`` on; absent rows are zero. ``usual``: what is expected (``usual_day``), or its
    ``expected`` alone; where that is absent, missing sales are not looked for. ``open_incidents``: the rows that an earlier call left
    open. ``maintenance``: ``starts_at``, ``ends_at``, ``announced_at``, optionally ``service``; what was announced before its start and
    concerns payments (or everything: null) suppresses, the rest does not. ``issuers``: as ``minutes``, with ``issuer``. ``services``:
    ``minute_at``, ``service``, ``errors`` and ``attempts`` (null where not reported).

    Returns one row a change, in order: ``incident_id``, ``action`` (``opened``, ``updated``, ``closed``, ``merged``), ``kind`` (``failure_rate``,
    ``missing_sales``), ``scope`` (``nation``, ``region``, ``channel``, ``issuer``, ``service``, ``market``), ``scope_name``, ``onset_at`` (estimated
    backwards), ``detected_at``, ``last_seen_at``, ``ended_at``, ``peak_failure_rate``, ``evidence`` (JSON text), ``merged_into``. While the nation has
    an incident its parts get none; where one part explains the nation, the part gets it; a part that was found shortly before the
    nation is merged into it.

    Raises:
        FrameError: a frame lacks a column.
        AnalysisError: the range cannot be used.
    """
    first, last = minute_of_utc(since, "since"), minute_of_utc(until, "until")
    if last < first:
        raise AnalysisError(f"until: expected a time from since on ({since}), got {until}.")
    need_columns(minutes, "minutes", ("minute_at", "region", "channel", *COUNTED))
    usual = usual if isinstance(usual, Usual) else Usual(usual, Drift())
    if len(usual.expected) or usual.expected.columns:
        need_columns(usual.expected, "expected", tuple(EXPECTED))
    known = read_open(open_incidents)
    given = {one.incident_id: one for one in known}
    rows = []
    midnights = range((first + UTC_TO_SEOUL) // DAY * DAY + DAY - UTC_TO_SEOUL, last, DAY)
    for low, high in pairwise([first, *midnights, last]):
        start = (low + UTC_TO_SEOUL) // DAY * DAY - UTC_TO_SEOUL
        watch = _watch(minutes, usual, known, maintenance, issuers, services, start, high)
        changed, known = watch.run(known, low - start, high - start)
        rows += changed
    given |= {row["incident_id"]: one for row in rows if row["action"] == "opened" for one in known if one.incident_id == row["incident_id"]}
    opened = {row["incident_id"]: row for row in rows if row["action"] == "opened"}
    for one in known:
        before = opened.get(one.incident_id)
        if (one.row("opened") != before) if before else given[one.incident_id] != one:
            rows.append(one.row("updated"))
    return pl.DataFrame(rows, schema=CHANGES, orient="row")


def _watch(
    minutes: pl.DataFrame,
    usual: Usual,
    known: list[Open],
    maintenance: pl.DataFrame | None,
    issuers: pl.DataFrame | None,
    services: pl.DataFrame | None,
    first: int,
    last: int,
) -> Watch:
    """Everything from midnight, ``first``, to ``last`` (minutes UTC since 1970) as streams."""
    length = last - first
    grid = Grid(first, 1, np.zeros(length, dtype=np.int64), planned_minutes(maintenance, first, last))
    expected = usual.expected if len(usual.expected) else pl.DataFrame(schema=EXPECTED)
    frames = {"minutes": _attempts(minutes), "expected": expected}
    if issuers is not None:
        need_columns(issuers, "issuers", ("minute_at", "region", "channel", "issuer", *COUNTED))
        frames["issuers"] = _attempts(issuers)
    silent = _silent(usual, known)
    names, cells = cells_of(frames, ("region", "channel", "issuer", "market_id"), first, last, silent=silent)
    if len(names["issuer"]) < 2:
        # the only one there is lacks what the nation lacks
        cells.pop("issuers", None)
    shares = _issuer_shares(usual.issuers, names["channel"], names["issuer"]) if "issuers" in cells else None
    of_services = _services(services, silent["service"], maintenance, first, last) if services is not None else None
    scopes = Scopes(grid, names, cells["minutes"], cells["expected"], cells.get("issuers"), shares, of_services)
    markets = None
    if usual.markets is not None and "market_id" in minutes.columns and names["region"]:
        region, share = shares_of(usual.markets, names["market_id"], names["region"])
        hour = (first + np.arange(length) + UTC_TO_SEOUL) % DAY // 60
        markets = Markets(names["market_id"], region, share, cells["minutes"], hour)
    return Watch(scopes, usual.drift, markets)


def _silent(usual: Usual, known: list[Open]) -> dict[str, set[str]]:
    """Names on each axis that are looked at also on a day that has no row of them: those of the history and of open incidents."""
    named = {axis: {one.scope_name for one in known if one.scope == axis} for axis in ("region", "channel", "issuer", "market", "service")}
    named["market_id"] = named.pop("market")
    for axis, history in (("issuer", usual.issuers), ("market_id", usual.markets)):
        if history is not None:
            named[axis] |= set(history[axis].unique().to_list())
    return named


def _attempts(counts: pl.DataFrame) -> pl.DataFrame:
    keep = [name for name in ("minute_at", "region", "channel", "issuer", "market_id", "approved", "failed") if name in counts.columns]
    return counts.select(*keep, attempts=pl.sum_horizontal(pl.col(COUNTED).fill_null(0)))


def _issuer_shares(known: pl.DataFrame | None, channels: list[str], issuers: list[str]) -> Array:
    """Of each channel's sales, the issuers' shares [channel, issuer], from ``channel``, ``issuer``, ``approved`` of the history."""
    counts = np.zeros((len(channels), len(issuers)))
    for channel, issuer, approved in [] if known is None else known.select("channel", "issuer", "approved").iter_rows():
        if channel in channels and issuer in issuers:
            counts[channels.index(channel), issuers.index(issuer)] += approved
    total = counts.sum(axis=1, keepdims=True)
    shares: Array = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    return shares


def _services(services: pl.DataFrame, silent: set[str], maintenance: pl.DataFrame | None, first: int, last: int) -> dict[str, tuple[Array, Array]]:
    """Attempts and errors [minute] of each service but payments, whose failures are attempts of their own; planned minutes taken out."""
    need_columns(services, "services", ("minute_at", "service", "errors", "attempts"))
    names, cells = cells_of({"services": services.filter(pl.col("service") != "payment")}, ("service",), first, last, silent={"service": silent})
    every = np.ones(len(cells["services"].at), dtype=bool)
    figures = {name: cells["services"].within("service", len(names["service"]), last - first, name, every) for name in ("attempts", "errors")}
    free = {name: ~planned_minutes(maintenance, first, last, name) for name in names["service"]}
    return {name: (figures["attempts"][n] * free[name], figures["errors"][n] * free[name]) for n, name in enumerate(names["service"])}
