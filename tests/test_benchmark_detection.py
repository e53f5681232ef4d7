"""The benchmark of detection runs, its worlds are what they say, and its intervals are exact."""

import numpy as np
import pytest

from benchmarks import detection
from benchmarks._worlds import HISTORY_DAYS, World


def test_the_interval_of_a_count_is_the_exact_one_of_a_poisson_mean() -> None:
    # Garwood 1936, 90 %: published limits
    assert detection.garwood(0) == (0.0, pytest.approx(2.996, abs=0.001))
    assert detection.garwood(5) == (pytest.approx(1.970, abs=0.001), pytest.approx(10.513, abs=0.001))


def test_a_world_has_the_rate_it_says_and_a_hit_takes_what_it_says() -> None:
    world = World(1, rate=100, drift=0.05, days=1)
    events = world.events(0)
    inside = (events.minute >= 600) & (events.minute < 1080)
    assert inside.sum() / 480 == pytest.approx(100, rel=0.25)
    hit = events.hit(700, 0.5, failing=False, rng=np.random.default_rng(1), region=2)
    there = [((e.minute >= 700) & (e.codes["region"] == 2)).sum() for e in (events, hit)]
    assert there[1] / there[0] == pytest.approx(0.5, abs=0.05)
    assert (hit.minute < 700).sum() == (events.minute < 700).sum()
    failing = events.hit(700, 1.0, failing=True, rng=np.random.default_rng(1), issuer=1)
    assert failing.failed[(events.minute >= 700) & (events.codes["issuer"] == 1)].all()


def test_an_outage_in_a_made_world_is_found_at_once_and_named() -> None:
    world = World(3, rate=100, drift=0.05, days=HISTORY_DAYS + 1)
    opened = detection.found_in(world, HISTORY_DAYS, ("all, silent", 1.0, False, {}), 700, 730)
    late = opened.filter(opened["minute"] >= 700)
    assert late["scope"][0] == "nation"
    assert late["minute"][0] <= 701


def test_an_oracle_is_slower_where_the_level_strays_more() -> None:
    calm, wild = (detection.bound(100, drift, 0.2, weeks=10)[1.0] for drift in (0.02, 0.08))
    assert calm < wild
