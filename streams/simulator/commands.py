"""What people would have told the line before the scenario starts: the market list, the operators, promotions, what was announced."""

import polars as pl

from streams.events import Command
from streams.simulator.chance import draws, uuids
from streams.simulator.country import country
from streams.simulator.scenario import Scenario

MARKETS_A_COMMAND = 50
"""Keeps a command below ``MAX_RECORD_BYTES``."""

ACTOR = "simulator"


def commands(scenario: Scenario) -> list[Command]:
    """The scenario's commands in order; none occurs after the scenario's start."""
    start = int(scenario.start.timestamp() * 1000)
    said: list[tuple[int, str, dict[str, object]]] = []
    markets = country(scenario).select("market_id", "name", "region", "district", "latitude", "longitude", "cycle", "merchants")
    said += [(start, "markets_imported", {"markets": part.to_dicts()}) for part in _parts(markets)]
    for operator in scenario.operators:
        ends_at = operator.ends_at.isoformat() if operator.ends_at else None
        said.append((start, "operator_period", {"name": operator.name, "starts_at": operator.starts_at.isoformat(), "ends_at": ends_at}))
    if scenario.closure is not None and scenario.closed is not None:
        starts_at, ends_at = (moment.isoformat() for moment in scenario.closed)
        announced = min(start, int(scenario.closure.announced_at.timestamp() * 1000))
        said.append((announced, "maintenance_announced", {"label": scenario.closure.label, "service": None, "starts_at": starts_at, "ends_at": ends_at}))
    for promotion in scenario.promotion:
        span = {"starts_at": promotion.starts_at.isoformat(), "ends_at": promotion.ends_at.isoformat()}
        said.append((start, "promotion", {"label": promotion.label, **span, "factor": promotion.factor}))
    for incident in scenario.incident:
        if incident.announced_at is not None:
            announced = min(start, int(incident.announced_at.timestamp() * 1000))
            span = {"starts_at": incident.starts_at.isoformat(), "ends_at": incident.ends_at.isoformat()}
            said.append((announced, "maintenance_announced", {"label": incident.label or "점검", "service": None, **span}))
    ids = uuids(draws(scenario.seed, "commands"), len(said))
    return [
        Command(command_id=command_id, occurred_at=occurred_at, actor=ACTOR, kind=kind, payload=payload)
        for command_id, (occurred_at, kind, payload) in zip(ids, said, strict=True)
    ]


def _parts(markets: pl.DataFrame) -> list[pl.DataFrame]:
    return list(markets.iter_slices(MARKETS_A_COMMAND))
