"""The simulated group on one lake counts every record once, and would not without any one part of the protocol."""

from dataclasses import replace

import pytest

from benchmarks.__main__ import main
from benchmarks._rebalancing import Guard, Plan, simulate

SMALL = Plan(workers=8, partitions=12, records=60_000, batch=6_000, kills=1, freezes=2, outages=2, span=30)


def test_every_record_counts_once_whatever_happens_to_the_workers():
    outcomes = [simulate(SMALL, seed) for seed in range(25)]
    assert [seed for seed, outcome in enumerate(outcomes) if not outcome.conserved] == []
    happened = sum((outcome.events for outcome in outcomes[1:]), outcomes[0].events)
    # Where nothing had been refused, nothing would have been shown.
    assert all(happened[what] > 0 for what in ("kill", "freeze", "outage", "rebalance", "conflict", "stale", "broken", "retry")), happened


@pytest.mark.parametrize("guard", [guard for guard in Guard if guard is not Guard.COMPARE_AND_SET])
def test_without_comparing_or_without_conflicts_records_are_counted_twice(guard):
    assert any(simulate(replace(SMALL, guard=guard), seed).doubled for seed in range(3))


def test_a_seed_gives_the_same_run_again():
    assert simulate(SMALL, 5) == simulate(SMALL, 5) != simulate(SMALL, 6)


def test_one_worker_alone_meets_nobody():
    outcome = simulate(Plan(workers=1, partitions=4, records=50_000, batch=10_000, span=0), 1)
    assert outcome.conserved
    assert outcome.events == {"rebalance": 1, "commit": 20}


def test_a_worker_frozen_amid_its_commit_holds_up_all_until_the_catalog_ends_it():
    plan = replace(SMALL, kills=0, outages=0, freezes=4, freeze=(20, 20), commit_write=0.2)
    runs = {limit: [simulate(replace(plan, idle_limit=limit), seed) for seed in range(5)] for limit in (1, 60)}
    # For what a commit takes, and a second at most where its client is frozen; without a limit, for as long as that is.
    a_commit = {limit: max(run.held / run.events["commit"] for run in some) for limit, some in runs.items()}
    assert a_commit[1] < 0.25 < a_commit[60], a_commit


def test_more_workers_bring_less_each_once_the_catalog_is_busy():
    plan = Plan(partitions=64, records=6_250, batch=2_000, rate=10_000, retries=100, retry_growth=1, span=0)
    rate = {workers: simulate(replace(plan, workers=workers), 1).rate for workers in (1, 4, 32)}
    assert rate[4] > 2.5 * rate[1]
    assert rate[32] < 16 * rate[1]


def test_the_command_tells_of_conservation_and_of_what_each_part_is_for(capsys):
    assert main(["scaling", "--workers", "2", "--faulty", "6", "--partitions", "12", "--seeds", "2"]) == 0
    printed = capsys.readouterr().out
    assert "0 counted twice, 0 not at all; wrong seeds: none" in printed
    assert "guarded by NONE: 2 of 2 seeds wrong" in printed
