"""What do tens of workers on one lake come to: conflicts, retries, throughput, and is every record counted once, whatever happens to them?

A simulation (``_rebalancing.py``), so its figures are as good as what is put in: ``--rate`` and ``--commit`` are measured by ``python -m benchmarks lake``. First each
number of workers without faults, then twenty workers with kills, freezes longer than the session, rebalances and outages of the catalog, in as many seeds as asked for;
the exit code is 1 where one record of one seed was counted twice or not at all.

``python -m benchmarks scaling --seeds 200``
"""

import argparse
from collections import Counter
from dataclasses import replace

from benchmarks._rebalancing import Guard, Outcome, Plan, simulate

FAULTS = {"kills": 1.0, "freezes": 1.0, "outages": 2.0}
REFUSED = ("conflict", "stale", "exhausted", "broken")


def throughput(plan: Plan, workers: int, batches: int = 100) -> Outcome:
    """So many workers without faults, each with so many batches to write."""
    return simulate(replace(plan, workers=workers, records=plan.batch * batches * workers // plan.partitions, span=0.0), seed=workers)


def under_faults(plan: Plan, seeds: int) -> tuple[list[int], Outcome]:
    """Seeds in which a record was not counted once, and the sums over all seeds."""
    wrong, total = [], Outcome(0)
    for seed in range(seeds):
        outcome = simulate(replace(plan, **FAULTS), seed)
        if not outcome.conserved:
            wrong.append(seed)
        total.events += outcome.events
        total.expected += outcome.expected
        total.doubled += outcome.doubled
        total.missed += outcome.missed
        total.seconds += outcome.seconds
    return wrong, total


def main(arguments: list[str] | None = None) -> int:
    """Simulate and print. Returns the exit code: 1 where a record was not counted once."""
    options = argparse.ArgumentParser(prog="python -m benchmarks scaling", description="Tens of workers on one lake, simulated.")
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64], help="numbers of workers without faults (default: %(default)s)")
    options.add_argument("--faulty", type=int, default=20, help="workers under faults (default: %(default)s)")
    options.add_argument("--partitions", type=int, default=100, help="partitions (default: %(default)s)")
    options.add_argument("--batch", type=int, default=200_000, help="records in a batch without faults (default: %(default)s)")
    options.add_argument("--rate", type=float, default=Plan.rate, help="records a second of one worker, besides its commits (default: %(default)s)")
    options.add_argument("--commit", type=float, default=1000 * (Plan.commit_read + Plan.commit_write), help="ms of one commit (default: %(default)s)")
    options.add_argument("--retries", type=int, default=100, help="tries of one commit, without faults (default: %(default)s; DuckLake's own is 10)")
    options.add_argument(
        "--growth", type=float, default=1.0, help="factor by which the wait between tries grows, without faults (default: %(default)s; DuckLake's own is 1.5)"
    )
    options.add_argument("--seeds", type=int, default=50, help="runs under faults (default: %(default)s)")
    given = options.parse_args(arguments)
    share = given.commit / 1000 / (Plan.commit_read + Plan.commit_write)
    commit = {"commit_read": Plan.commit_read * share, "commit_write": Plan.commit_write * share}
    plan = Plan(partitions=given.partitions, batch=given.batch, rate=given.rate, retries=given.retries, retry_growth=given.growth, **commit)
    print(f"{given.batch:,} records a batch, {given.rate:,.0f} a second and worker, {given.commit:.0f} ms a commit, without faults:")
    print(f"{'workers':>7} {'records/s':>12} {'of so many alone':>17} {'commits/s':>10} {'retries a commit':>17} {'batches given up':>17}")
    alone = throughput(plan, 1).rate
    for workers in given.workers:
        one = throughput(plan, workers)
        commits, retries, lost = one.events["commit"], one.events["retry"], sum(one.events[name] for name in REFUSED)
        print(f"{workers:>7} {one.rate:>12,.0f} {one.rate / alone / workers:>17.0%} {commits / one.seconds:>10.1f} {retries / commits:>17.2f} {lost:>17,}")
    # Small batches, so that much is under way when something happens.
    faulty = Plan(workers=given.faulty, partitions=given.partitions, rate=given.rate, **commit)
    print(
        f"\n{given.seeds} seeds of {faulty.workers} workers on {faulty.partitions} partitions with kills, freezes of {faulty.freeze[0]} to {faulty.freeze[1]} s and outages:"
    )
    wrong, total = under_faults(faulty, given.seeds)
    happened = Counter({name: total.events[name] for name in ("kill", "freeze", "outage", "rebalance", "commit", *REFUSED, "retry")})
    print(", ".join(f"{count:,} {name}" for name, count in happened.items()))
    print(f"{total.expected:,} records, {total.doubled:,} counted twice, {total.missed:,} not at all; wrong seeds: {wrong or 'none'}")
    for guard in (Guard.COMPARE, Guard.CONFLICT, Guard.NONE):
        broken, lost = under_faults(replace(faulty, guard=guard), min(given.seeds, 10))
        print(f"  guarded by {guard.name}: {len(broken)} of {min(given.seeds, 10)} seeds wrong, {lost.doubled / lost.expected:.1%} counted twice")
    return 1 if wrong else 0
