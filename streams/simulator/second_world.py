"""A second world for scoring only: what an estimator may take for granted about the first one is otherwise here.

Parameters are drawn from the seed, and only the truth's side knows them. Nothing in ``warehouse/`` may import this package (a test says so).
"""

from datetime import date, datetime
from typing import TypeVar

import msgspec

from streams.simulator.chance import draws
from streams.simulator.parts import World
from streams.simulator.scenario import Scenario

ScenarioT = TypeVar("ScenarioT", bound=Scenario)


def second_world(scenario: ScenarioT, seed: int) -> ScenarioT:
    """The scenario in another world: other noise, other rhythm, neighbours that move together, demand that drifts during incidents, other returns.

    The ``seed`` draws the world; the scenario's own seed still draws the days within it.
    """
    rng = draws(seed, "second world")
    world = World(
        tails=float(rng.uniform(3, 6)),
        warp_minutes=float(rng.uniform(-60, 60)),
        weekday_tilt=float(rng.uniform(-0.15, 0.15)),
        drift_an_hour=float(rng.uniform(-0.06, 0.06)),
        spillover=float(rng.uniform(0.2, 0.6)),
        patience=float(rng.uniform(0.3, 0.85)),
        comes_back=float(rng.uniform(0.0, 0.15)),
        switches_channel=float(rng.uniform(0.0, 0.4)),
    )
    demand = msgspec.structs.replace(
        scenario.demand,
        noise=float(scenario.demand.noise * rng.uniform(1, 3)),
        regional_noise=float(scenario.demand.regional_noise * rng.uniform(1, 3)),
        drift=float(rng.uniform(0.05, 0.25)),
        repeats=float(rng.uniform(0.0, 0.3)),
    )
    # Drawn last, so that the others stay what they were for a seed.
    world = msgspec.structs.replace(
        world,
        splits=float(rng.uniform(0.0, 0.12)),
        switches_market=float(rng.uniform(0.0, 0.15)),
        days_later=float(rng.uniform(0.0, 0.6)),
    )
    changed = {"world": world, "demand": demand}
    return scenario.with_(**msgspec.to_builtins(changed, builtin_types=(datetime, date)))
