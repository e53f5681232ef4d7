"""What really happened: per market, channel and minute, known only here.

A purchase is *wanted* in the minute of its first try; purchases that their issuer would have declined anyway are not counted.
"""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from streams.simulator.country import country
from streams.simulator.days import played
from streams.simulator.fates import cells_of_day
from streams.simulator.rhythm import pent_up
from streams.simulator.scenario import Scenario
from streams.simulator.truth_columns import COLUMNS, KEYS, MEASURES


def truth(scenario: Scenario) -> pl.DataFrame:
    """The scenario's truth, columns as in COLUMNS, in the order of minute, market, channel."""
    markets = country(scenario)
    days: list[tuple[int, pl.DataFrame]] = []
    changed_from: float = math.inf
    for day in played(scenario, markets):
        days.append((day.midnight, cells_of_day(scenario, day, markets)))
        if day.returning:
            changed_from = min(changed_from, int(day.returning.midnight.min()))
    settled, changed = ([cells for midnight, cells in days if (midnight >= changed_from) == late] for late in (False, True))
    if changed:
        # Who comes back days later changes cells of an earlier day.
        cells = pl.concat(changed)
        changed = [cells.group_by(KEYS).sum().select(cells.columns).sort("minute_at", "market_id", "channel")]
    return pl.concat([*settled, *changed])


def gross_shortfall(cells: pl.DataFrame, start: datetime, end: datetime) -> int:
    """KRW that approvals in [start, end) fall short of what they would have been without the incident. Times are aware."""
    part = _within(cells, start, end)
    return int(part["ordinary_amount"].sum()) - int(part["approved_amount"].sum())


def net_shortfall(cells: pl.DataFrame, start: datetime, end: datetime) -> int:
    """KRW wanted in [start, end) that were lost by the incident: gross less what is made up later, whenever that is. Times are aware."""
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
        "totals": {name: int(cells[name].sum()) for name in MEASURES},
        "columns": COLUMNS,
    }
    (folder / "truth.json").write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return folder


def _within(cells: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    first, last = (moment.astimezone(UTC).replace(tzinfo=None) for moment in (start, end))
    return cells.filter(pl.col("minute_at").is_between(first, last, closed="left"))
