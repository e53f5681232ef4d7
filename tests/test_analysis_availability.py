"""Availability with and without maintenance, and the facts that reporting rules ask for."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from warehouse.analysis import AnalysisError, availability, reporting_facts

START = datetime(2025, 3, 1)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def incidents(*spans: tuple[float, float | None], scope: str = "nation", name: str = "", merged: str | None = None) -> pl.DataFrame:
    """Incidents from hour to hour."""
    rows = [
        {"scope": scope, "scope_name": name, "onset_at": START + low * HOUR, "ended_at": None if high is None else START + high * HOUR, "merged_into": merged}
        for low, high in spans
    ]
    kinds = {"scope": pl.String, "scope_name": pl.String, "onset_at": pl.Datetime("us"), "ended_at": pl.Datetime("us"), "merged_into": pl.String}
    return pl.DataFrame(rows, schema=kinds)


def maintenance(low: float, high: float, announced: float) -> pl.DataFrame:
    return pl.DataFrame({"starts_at": [START + low * HOUR], "ends_at": [START + high * HOUR], "announced_at": [START + announced * HOUR], "service": [None]})


NONE = maintenance(0, 1, 0).clear()
DAY = START + 24 * HOUR


def test_without_anything_it_was_there_all_the_time() -> None:
    found = availability(incidents(), NONE, START, DAY)
    assert (found.total, found.unplanned, found.minutes) == (1.0, 1.0, 1440)


def test_incidents_that_overlap_are_counted_once() -> None:
    found = availability(incidents((1, 3), (2, 4)), NONE, START, DAY)
    assert found.incident_minutes == 180
    assert found.total == found.unplanned == 1 - 3 / 24


def test_announced_maintenance_lowers_one_figure_and_leaves_the_other() -> None:
    found = availability(incidents((2, 3)), maintenance(2, 6, announced=-24), START, DAY)
    assert (found.planned_minutes, found.incident_minutes) == (240, 0)
    assert found.total == 1 - 4 / 24
    assert found.unplanned == 1.0


@pytest.mark.parametrize("announced", [2.0, 2.5])
def test_maintenance_announced_at_its_start_or_later_is_what_the_incident_says(announced: float) -> None:
    found = availability(incidents((2, 6)), maintenance(2, 6, announced), START, DAY)
    assert (found.planned_minutes, found.incident_minutes) == (0, 240)
    assert found.total == found.unplanned == 1 - 4 / 24


def test_maintenance_that_overruns_is_an_incident_from_its_announced_end() -> None:
    found = availability(incidents((2, 7)), maintenance(2, 6, -1), START, DAY)
    assert (found.planned_minutes, found.incident_minutes) == (240, 60)
    assert found.unplanned == 1 - 1 / 20


def test_what_goes_on_lasts_to_the_end_and_what_was_merged_is_counted_with_the_other() -> None:
    assert availability(incidents((23, None)), NONE, START, DAY).incident_minutes == 60
    assert availability(incidents((1, 2), merged="other"), NONE, START, DAY).incident_minutes == 0


def test_a_part_suffers_from_its_own_incidents_and_the_nations() -> None:
    both = pl.concat([incidents((1, 2)), incidents((4, 5), scope="region", name="대구광역시"), incidents((6, 7), scope="region", name="부산광역시")])
    assert availability(both, NONE, START, DAY, scope="region", scope_name="대구광역시").incident_minutes == 120
    assert availability(both, NONE, START, DAY).incident_minutes == 60


def test_a_time_that_is_planned_away_as_a_whole_has_no_unplanned_availability() -> None:
    found = availability(incidents(), maintenance(0, 24, -1), START, DAY)
    assert (found.total, found.unplanned) == (0.0, None)
    with pytest.raises(AnalysisError, match="end"):
        availability(incidents(), NONE, DAY, START)


@pytest.mark.parametrize(
    ("minutes", "subscribers", "reportable"), [(9, 10_000, False), (10, 10_000, True), (10, 9_999, False), (29, 9_999, False), (30, 9_999, True)]
)
def test_ten_minutes_are_reported_with_many_subscribers_and_thirty_with_few(minutes: int, subscribers: int, *, reportable: bool) -> None:
    facts = reporting_facts(START, START + minutes * MINUTE, START + HOUR, subscribers=subscribers)
    assert facts.reportable is reportable
    assert (facts.past_ten_minutes, facts.past_thirty_minutes) == (minutes >= 10, minutes >= 30)
    if reportable:
        assert facts.reportable_at == START + (10 if subscribers >= 10_000 else 30) * MINUTE


def test_recovery_within_three_hours_is_known_at_the_end_or_when_they_are_over() -> None:
    assert reporting_facts(START, START + 3 * HOUR, DAY, subscribers=1).recovered_in_time is True
    assert reporting_facts(START, START + 3 * HOUR + MINUTE, DAY, subscribers=1).recovered_in_time is False
    assert reporting_facts(START, None, START + 2 * HOUR, subscribers=1).recovered_in_time is None
    assert reporting_facts(START, None, START + 4 * HOUR, subscribers=1).recovered_in_time is False
    with pytest.raises(ValueError, match="subscribers"):
        reporting_facts(START, None, DAY, subscribers=-1)


def test_facts_as_json_have_times_with_a_zone() -> None:
    told = reporting_facts(START, None, START + HOUR, subscribers=10_000).as_json()
    assert told["reportable_at"] == START.replace(minute=10, tzinfo=UTC).isoformat()
    assert (told["lasted_minutes"], told["threshold_minutes"], told["recovered_in_time"]) == (60, 10, None)
