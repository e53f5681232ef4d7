"""Incidents found online: what opens, what stays quiet, and that it does not matter how a time is cut into calls."""

import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.analysis import AnalysisError, FrameError, Usual, detect, expected_counts, usual_day
from warehouse.analysis.budget import Drift
from warehouse.analysis.changes import CHANGES

REGIONS, CHANNELS = [f"r{i:02d}" for i in range(17)], ["card", "mobile"]
MIDNIGHT = datetime(2025, 2, 3) - timedelta(hours=9)
"""Midnight in Seoul, in UTC."""

SHAPE = np.interp(np.arange(1440) / 60, [0, 3, 6, 8, 11, 14, 18, 22, 24], [0.1, 0.02, 0.3, 2.2, 7.8, 6.6, 8.4, 0.8, 0.1])
SHAPE = SHAPE / SHAPE.sum()
Counts = tuple[np.ndarray, np.ndarray, np.ndarray]


def counts(*, days: int = 1, seed: int = 1, drift: float = 0.05, of_region: float = 0.05, a_day: int = 76_000, memory: float = 60.0) -> Counts:
    """Approved, declined, failed [region, channel, minute] of ordinary days: Poisson around levels that stray by ``drift`` with a memory of an hour."""
    rng = np.random.default_rng(seed)
    length = days * 1440
    keep = np.exp(-1 / memory)
    stray = rng.normal(0, 1, (18, length)) * np.sqrt(1 - keep**2)
    for minute in range(1, length):
        stray[:, minute] += keep * stray[:, minute - 1]
    share = (np.arange(17, 0, -1) ** 1.5)[:, None]
    level = np.exp(drift * stray[:1] + of_region * stray[1:]) * share / share.sum()
    mean = (level * np.tile(SHAPE, days) * a_day)[:, None, :] * np.array([0.55, 0.45])[:, None]
    wanted = rng.poisson(mean / 0.965)
    failed = rng.binomial(wanted, 0.005)
    declined = rng.binomial(wanted - failed, 0.03)
    return wanted - failed - declined, declined, failed


def minutes_of(found: Counts, first: datetime = MIDNIGHT) -> pl.DataFrame:
    """Counts as the warehouse gives them: silent minutes absent."""
    cell = np.nonzero(sum(found))
    at = pl.datetime_range(first, first + timedelta(minutes=found[0].shape[2]), "1m", closed="left", eager=True)
    names = {"region": pl.Series(REGIONS).gather(cell[0]), "channel": pl.Series(CHANNELS).gather(cell[1])}
    return pl.DataFrame({"minute_at": at.gather(cell[2]), **names, **{n: f[cell] for n, f in zip(("approved", "declined", "failed"), found, strict=True)}})


def expectation(days: int = 1, first: datetime = MIDNIGHT, a_day: int = 76_000) -> pl.DataFrame:
    """The true mean of every minute."""
    share = (np.arange(17, 0, -1) ** 1.5) / (np.arange(17, 0, -1) ** 1.5).sum()
    mean = share[:, None, None] * np.array([0.55, 0.45])[:, None] * np.tile(SHAPE, days) * a_day
    at = pl.datetime_range(first, first + timedelta(days=days), "1m", closed="left", eager=True)
    cell = np.indices(mean.shape).reshape(3, -1)
    return pl.DataFrame(
        {
            "minute_at": at.gather(cell[2]),
            "region": pl.Series(REGIONS).gather(cell[0]),
            "channel": pl.Series(CHANNELS).gather(cell[1]),
            "expected": mean.ravel(),
        }
    )


def hurt(found: Counts, start: int, end: int, share: float, *, failing: bool, region: int | None = None, channel: int | None = None, seed: int = 5) -> Counts:
    """Take ``share`` of the approvals of minutes [start, end) away, as failures or into silence."""
    approved, declined, failed = (figure.copy() for figure in found)
    where = (slice(region, None if region is None else region + 1), slice(channel, None if channel is None else channel + 1), slice(start, end))
    gone = np.random.default_rng(seed).binomial(approved[where], share)
    approved[where] -= gone
    if failing:
        failed[where] += gone
    elif share == 1:
        declined[where] = failed[where] = 0
    return approved, declined, failed


def nothing_open() -> pl.DataFrame:
    return pl.DataFrame(schema={name: kind for name, kind in CHANGES.items() if name != "action"})


def run(
    found: Counts, cuts: list[int], *, expected: Usual | pl.DataFrame | None = None, maintenance: pl.DataFrame | None = None, first: datetime = MIDNIGHT
) -> dict[str, dict[str, Any]]:
    """Call ``detect`` on every piece between ``cuts`` (minutes) and keep the rows as the warehouse does."""
    minutes = minutes_of(found, first)
    wanted = expectation(-(-cuts[-1] // 1440), first) if expected is None else expected
    kept: dict[str, dict[str, Any]] = {}
    for low, high in pairwise(cuts):
        since, until = first + timedelta(minutes=low), first + timedelta(minutes=high)
        midnight = first + timedelta(days=low // 1440)
        seen = minutes.filter(pl.col("minute_at").is_between(midnight, until, closed="left"))
        still = [row for row in kept.values() if row["ended_at"] is None and row["merged_into"] is None]
        incidents = pl.DataFrame(still, schema=nothing_open().schema, orient="row") if still else nothing_open()
        for row in detect(seen, wanted, incidents, since=since, until=until, maintenance=maintenance).iter_rows(named=True):
            row.pop("action")
            kept[row["incident_id"]] = row
    return kept


def only(kept: dict[str, dict[str, Any]]) -> dict[str, Any]:
    assert len(kept) == 1, list(kept)
    return next(iter(kept.values()))


def minute(moment: datetime) -> int:
    return (moment - MIDNIGHT) // timedelta(minutes=1)


DAY = counts()


def test_an_ordinary_day_is_quiet() -> None:
    assert run(DAY, [0, 1440]) == {}


@pytest.mark.parametrize(("share", "delay"), [(0.6, 1), (0.2, 2), (0.08, 15)])
def test_failures_open_an_incident_and_thirty_quiet_minutes_close_it(share: float, delay: int) -> None:
    found = only(run(hurt(DAY, 600, 720, share, failing=True), [0, 1440]))
    assert (found["kind"], found["scope"]) == ("failure_rate", "nation")
    assert 600 <= minute(found["detected_at"]) <= 600 + delay
    assert abs(minute(found["onset_at"]) - 600) <= 5
    assert 720 <= minute(found["ended_at"]) <= 726
    assert json.loads(found["evidence"])["rate"] > 0.04


def test_total_silence_opens_an_incident_within_three_minutes() -> None:
    found = only(run(hurt(DAY, 600, 660, 1.0, failing=False), [0, 1440]))
    assert (found["kind"], found["scope"]) == ("missing_sales", "nation")
    assert minute(found["detected_at"]) <= 602
    assert abs(minute(found["onset_at"]) - 600) <= 1
    assert json.loads(found["evidence"])["expected"] > 20


def test_a_night_with_next_to_nothing_expected_stays_quiet() -> None:
    small = hurt(counts(a_day=15_000), 120, 240, 1.0, failing=False)
    assert run(small, [0, 1440], expected=expectation(a_day=15_000)) == {}


@pytest.mark.parametrize(("gone", "where", "scope"), [(0.9, {}, "nation"), (0.5, {}, "nation"), (1.0, {"region": 0}, "region"), (1.0, {"region": 9}, "region")])
@pytest.mark.parametrize("start", [0, 120])
def test_what_is_gone_at_night_is_found_by_the_time_the_day_begins(gone: float, where: dict[str, int], scope: str, start: int) -> None:
    usual = Usual(expectation(), Drift(nation=8e-5, part=1.7e-4, day=0.0144))
    found = only(run(hurt(DAY, start, 1440, gone, failing=False, **where), [0, 480], expected=usual))
    assert (found["kind"], found["scope"], found["ended_at"]) == ("missing_sales", scope, None)


def test_a_day_that_sells_a_quarter_less_from_midnight_on_is_no_incident() -> None:
    usual = Usual(expectation(), Drift(nation=8e-5, part=1.7e-4, day=0.0144))
    assert run(hurt(DAY, 0, 1440, 0.25, failing=False), [0, 1440], expected=usual) == {}


@pytest.mark.parametrize(
    ("where", "scope", "name"),
    [({"region": 2}, "region", "r02"), ({"channel": 0}, "channel", "card"), ({}, "nation", "")],
)
@pytest.mark.parametrize("failing", [True, False])
def test_one_cause_is_one_incident_of_the_narrowest_scope(where: dict[str, int], scope: str, name: str, *, failing: bool) -> None:
    found = only(run(hurt(DAY, 600, 690, 0.95, failing=failing, **where), [0, 1440]))
    assert (found["scope"], found["scope_name"]) == (scope, name)
    assert minute(found["detected_at"]) <= 606


def test_two_regions_at_different_times_are_two_incidents() -> None:
    kept = run(hurt(hurt(DAY, 600, 700, 0.9, failing=True, region=1), 650, 760, 0.9, failing=True, region=4), [0, 1440])
    assert {row["scope_name"] for row in kept.values()} == {"r01", "r04"}


def test_an_outage_that_goes_on_stays_open() -> None:
    found = only(run(hurt(DAY, 600, 1440, 0.7, failing=True), [0, 1440]))
    assert found["ended_at"] is None
    assert minute(found["last_seen_at"]) > 1300


def test_without_an_expectation_only_failures_are_found() -> None:
    empty = expectation().clear()
    assert run(hurt(DAY, 600, 660, 1.0, failing=False), [0, 1440], expected=empty) == {}
    assert only(run(hurt(DAY, 600, 660, 0.6, failing=True), [0, 1440], expected=empty))["ended_at"] is not None


def maintenance(announced: datetime | None, start: int = 590, end: int = 670, service: str | None = None) -> pl.DataFrame:
    spans = {
        "starts_at": [MIDNIGHT + timedelta(minutes=start)],
        "ends_at": [MIDNIGHT + timedelta(minutes=end)],
        "announced_at": [announced],
        "service": [service],
    }
    return pl.DataFrame(spans, schema={"starts_at": pl.Datetime("us"), "ends_at": pl.Datetime("us"), "announced_at": pl.Datetime("us"), "service": pl.String})


@pytest.mark.parametrize("failing", [True, False])
def test_only_maintenance_announced_before_its_start_is_planned(*, failing: bool) -> None:
    off = hurt(DAY, 590, 670, 1.0, failing=failing)
    assert run(off, [0, 1440], maintenance=maintenance(MIDNIGHT)) == {}
    assert len(run(off, [0, 1440], maintenance=maintenance(MIDNIGHT + timedelta(minutes=591)))) == 1
    assert len(run(off, [0, 1440], maintenance=maintenance(None))) == 1
    assert len(run(off, [0, 1440], maintenance=maintenance(MIDNIGHT, service="refund"))) == 1


def test_what_fails_after_the_announced_end_is_an_incident() -> None:
    found = only(run(hurt(DAY, 590, 720, 1.0, failing=True), [0, 1440], maintenance=maintenance(MIDNIGHT)))
    assert minute(found["onset_at"]) >= 670


def test_an_announced_switch_off_of_two_weeks_is_silence_and_no_incident() -> None:
    days = 15
    silent = tuple(np.concatenate([figure, np.zeros((17, 2, (days - 1) * 1440), dtype=int)], axis=2) for figure in DAY)
    off = maintenance(MIDNIGHT, 1440, days * 1440)
    assert run(silent, [0, days * 1440], expected=expectation(days), maintenance=off) == {}


BROKEN = hurt(hurt(hurt(DAY, 500, 560, 0.8, failing=True, region=0), 600, 700, 0.5, failing=True), 900, 960, 1.0, failing=False, channel=1)
WHOLE = run(BROKEN, [0, 1440])


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 1439), min_size=1, max_size=8, unique=True))
def test_it_does_not_matter_how_the_time_is_cut(cuts: list[int]) -> None:
    assert run(BROKEN, [0, *sorted(cuts), 1440]) == WHOLE


def test_minute_by_minute_gives_the_same_incidents() -> None:
    assert len(WHOLE) == 3
    assert run(BROKEN, [0, 498, *range(499, 506), *range(596, 606), *range(698, 706), *range(898, 904), 1440]) == WHOLE


def test_nothing_after_a_minute_changes_what_was_detected_in_it() -> None:
    later = hurt(BROKEN, 630, 1440, 1.0, failing=False)
    assert run(later, [0, 620]) == run(BROKEN, [0, 620])


def test_false_alarms_stay_below_one_a_week_over_all_streams() -> None:
    """The budget is one a week over 20 streams; four weeks whose level strays by 15 % (10 % more in each region) are to have at most one."""
    opened = 0
    for seed in (21, 22):
        found = counts(days=14, seed=seed, drift=0.15, of_region=0.1)
        opened += len(run(found, [0, 14 * 1440], expected=expectation(14)))
    assert opened <= 1


@pytest.mark.parametrize("drift", [0.06, 0.12])
def test_the_drift_of_ordinary_days_is_learnt_from_them(drift: float) -> None:
    learnt = usual_day(minutes_of(counts(days=21, seed=8, drift=drift, of_region=0.01)), date(2025, 2, 24)).drift
    # a level that forgets itself in an hour moves by this much in a minute, at first
    assert learnt.nation == pytest.approx(2 * drift**2 / 60, rel=0.6)
    assert learnt.dispersion == pytest.approx(1, abs=0.15)


def test_how_far_whole_days_stray_is_learnt_from_them() -> None:
    calm = counts(days=28, seed=8)
    level = np.exp(np.random.default_rng(2).normal(0, 0.2, 28)).repeat(1440)
    wild = np.random.default_rng(3).poisson(calm[0] * level)
    learnt = [usual_day(minutes_of((approved, *calm[1:])), date(2025, 3, 3)).drift.day for approved in (calm[0], wild)]
    assert learnt[0] == pytest.approx(0.12**2)
    assert 0.15**2 <= learnt[1] <= 0.25**2


def test_days_that_stray_at_times_raise_the_alarm_and_ordinary_days_do_not() -> None:
    calm = counts(days=21, seed=8)
    wild = calm[0].copy()
    for day in range(4, 21, 2):
        wild[:, :, day * 1440 + 840 : day * 1440 + 852] //= 2
    tails = [usual_day(minutes_of((approved, *calm[1:])), date(2025, 2, 24)).drift.nation_tail for approved in (calm[0], wild)]
    assert tails[0] < 1
    assert tails[1] > 5


def test_after_weeks_without_history_only_what_is_plain_alarms() -> None:
    history = minutes_of(counts(days=21, seed=8))
    soon, late = (usual_day(history, day).drift.nation_tail for day in (date(2025, 2, 24), date(2025, 3, 14)))
    assert late >= soon + 10


def test_expected_counts_come_from_days_of_the_same_kind() -> None:
    history = counts(days=28, seed=3)
    found = expected_counts(minutes_of(history), date(2025, 3, 3))
    assert len(found) == 1440 * 34
    assert found["minute_at"].min() == datetime(2025, 3, 2, 15)
    true = expectation(1, datetime(2025, 3, 2, 15))
    both = found.join(true, on=["minute_at", "region", "channel"], suffix="_true")
    assert both["expected"].sum() == pytest.approx(both["expected_true"].sum(), rel=0.03)
    noon = both.group_by("minute_at").agg(pl.col("expected", "expected_true").sum()).filter(pl.col("expected_true") > 50)
    assert (noon["expected"] / noon["expected_true"] - 1).abs().max() < 0.15


def test_expected_counts_never_learn_from_exclusions_or_silent_days() -> None:
    history = minutes_of(counts(days=14, seed=3))
    low, high = MIDNIGHT + timedelta(days=11, hours=5), MIDNIGHT + timedelta(days=13, hours=20)
    inside = pl.col("minute_at").is_between(low, high, closed="left")
    spans = pl.DataFrame({"starts_at": [low], "ends_at": [high]})
    kept = expected_counts(history.filter(~inside), date(2025, 2, 17), exclusions=spans)
    wild = history.with_columns(approved=pl.when(inside).then(pl.col("approved") * 50).otherwise("approved"))
    assert expected_counts(wild, date(2025, 2, 17), exclusions=spans).equals(kept)
    assert len(expected_counts(history.clear(), date(2025, 2, 17))) == 0


def test_a_frame_or_a_range_that_cannot_be_used_is_refused() -> None:
    minutes = minutes_of(DAY)
    with pytest.raises(FrameError, match="'failed'"):
        detect(minutes.drop("failed"), expectation(), nothing_open(), since=MIDNIGHT, until=MIDNIGHT + timedelta(minutes=1))
    with pytest.raises(AnalysisError, match="until"):
        detect(minutes, expectation(), nothing_open(), since=MIDNIGHT, until=MIDNIGHT - timedelta(minutes=1))
    aware = detect(minutes, expectation(), nothing_open(), since=MIDNIGHT.replace(tzinfo=UTC), until=MIDNIGHT.replace(tzinfo=UTC))
    assert aware.schema == pl.Schema(CHANGES)
