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
    with pytest.raises(ScenarioError, match="launch-day, ordinary-week"):
        load_scenario("lunch-day")
    with pytest.raises(ScenarioError, match="no such file"):
        load_scenario(tmp_path / "none.toml")
