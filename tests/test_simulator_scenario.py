"""Scenario files are read strictly, and an error names file and field."""

from datetime import date, datetime
from pathlib import Path

import pytest

from streams.simulator import ScenarioError, load_scenario, shipped
from streams.simulator.scenario import KST

ORDINARY = """
name = "own"
label = "own"
seed = 1
last_ordinary_day = 2025-02-14
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_shipped_scenario_can_be_read():
    assert {"launch-day", "ordinary-week", "smoke"} <= set(shipped())
    assert [load_scenario(name).name for name in shipped()] == shipped()


def test_the_launch_day_follows_28_days_of_history_and_two_closed_weeks():
    scenario = load_scenario("launch-day")
    assert scenario.start == datetime(2025, 1, 18, tzinfo=KST)
    assert scenario.end == datetime(2025, 3, 2, tzinfo=KST)
    assert scenario.closed == (datetime(2025, 2, 15, tzinfo=KST), datetime(2025, 3, 1, tzinfo=KST))
    assert scenario.incident[0].starts_at == datetime(2025, 3, 1, 10, tzinfo=KST)
    assert scenario.incident[0].ends_at == scenario.end
    assert scenario.days[-2:] == (date(2025, 2, 14), date(2025, 3, 1))


def test_arguments_win_over_the_file():
    scenario = load_scenario("launch-day", seed=5, scale=0.5, history_days=3)
    assert (scenario.seed, scenario.scale, len(scenario.days)) == (5, 0.5, 4)
    assert scenario.incident == load_scenario("launch-day").incident


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("scale = '1'", "field scale"),
        ("scale = -1.0", "field scale"),
        ("colour = 1", "colour"),
        ("[demand]\nmean_amount = true", "field demand.mean_amount"),
        ("[platform]\nfailure_rate = 1.5", "field platform.failure_rate"),
        ("[[incident]]\nstarts_at = 2025-02-14T10:00:00\nends_at = 2025-02-14T11:00:00+09:00", "field incident[0].starts_at"),
        ("[[incident]]\nstarts_at = 2025-02-14T12:00:00+09:00\nends_at = 2025-02-14T11:00:00+09:00", "field incident[0]: ends_at"),
        ("[launch]\nday = 2025-02-10", "launch.day"),
        ("hours = [14, 8]", "hours"),
        ("seed == 3", "not TOML"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_with_its_file(tmp_path, line, named):
    path = written(tmp_path, ORDINARY + line)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_an_argument_out_of_range_is_refused_as_a_file_would_be():
    with pytest.raises(ScenarioError, match="launch-day: field scale"):
        load_scenario("launch-day", scale=0)


def test_an_unknown_name_lists_what_there_is(tmp_path):
    with pytest.raises(ScenarioError, match=r"launch-day, .*ordinary-week"):
        load_scenario("lunch-day")
    with pytest.raises(ScenarioError, match="no such file"):
        load_scenario(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("scale = -1.0", 6),
        ("\n[demand]\nmean_amount = true", 8),
        ("[[incident]]\nstarts_at = 2025-02-14T12:00:00+09:00\nends_at = 2025-02-14T11:00:00+09:00", 8),
        ("[demand]\ncolour = 1", 7),
        ("[[incident]]\nstarts_at = 2025-02-14T12:00:00+09:00\nends_at = 2025-02-14T13:00:00+09:00\n\n[[incident]]\nstarts_at = 5", 11),
    ],
)
def test_an_error_names_the_line(tmp_path, text, line):
    with pytest.raises(ScenarioError, match=rf"own\.toml: line {line}: "):
        load_scenario(written(tmp_path, ORDINARY + text))


def test_the_scenarios_that_are_promised_are_shipped():
    promised = {"ordinary-week", "launch-day", "launch-weekend", "holiday-rush", "regional-outage", "card-only-outage", "issuer-outage"}
    assert promised | {"slow-degradation", "announced-maintenance", "flapping", "23-hour-outage"} <= set(shipped())


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('issuers = ["없는카드"]', "issuers: expected some of"),
        ('channels = ["card"]\nadmitted = 0.5', "admitted: expected 1"),
        ("announced_at = 2025-02-15T12:00:00+09:00", "announced_at: expected a time before"),
    ],
)
def test_an_incident_that_contradicts_itself_is_refused(tmp_path, line, named):
    incident = "[[incident]]\nstarts_at = 2025-02-14T12:00:00+09:00\nends_at = 2025-02-14T13:00:00+09:00\n"
    with pytest.raises(ScenarioError, match=named):
        load_scenario(written(tmp_path, ORDINARY + incident + line))
