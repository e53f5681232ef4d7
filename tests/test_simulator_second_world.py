"""The second world is another one for every seed, as sound as the first, and unknown to the analysis."""

import ast
from pathlib import Path

import polars as pl
import pytest

from streams.simulator import load_scenario, play, truth
from streams.simulator.second_world import second_world

WAREHOUSE = Path(__file__).parent.parent / "warehouse"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_second_world_conserves_what_the_first_does(seed):
    scenario = second_world(load_scenario("smoke"), seed)
    cells = truth(scenario)
    wanted, sold, later, lost = (pl.col(name + "_amount") for name in ("wanted", "sold", "made_up_later", "lost"))
    assert cells.select((wanted == sold + later + lost).all()).item()
    assert cells["approved_amount"].sum() == sum(one.tally.approved for one in play(scenario)) > 0


def test_its_parameters_are_drawn_from_the_seed_and_differ_from_the_first_worlds():
    first = load_scenario("smoke")
    worlds = [second_world(first, seed) for seed in (1, 1, 2)]
    assert worlds[0] == worlds[1] != worlds[2]
    for name in first.world.__struct_fields__:
        assert len({getattr(world, name) for world in (first.world, worlds[0].world, worlds[2].world)}) == 3
    assert worlds[0].incident == first.incident


def test_demand_drifts_during_the_incident_in_the_world_without_it_too():
    drifting = second_world(load_scenario("smoke"), 1)
    still = drifting.with_(world={**{name: getattr(drifting.world, name) for name in drifting.world.__struct_fields__}, "drift_an_hour": 0.0})
    onset = pl.col("minute_at") >= pl.lit("2025-03-01 02:00:00").str.to_datetime()
    late = [truth(one).filter(onset)["ordinary_amount"].sum() for one in (drifting, still)]
    assert (late[0] > late[1]) == (drifting.world.drift_an_hour > 0)
    assert late[0] != pytest.approx(late[1], rel=0.01)


def test_the_warehouse_imports_nothing_from_the_simulator():
    files = sorted(WAREHOUSE.rglob("*.py"))
    assert len(files) > 20
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not any("streams" in name or "simulator" in name for name in names), file
        assert "simulator" not in file.read_text(encoding="utf-8"), f"{file} names the simulator"
