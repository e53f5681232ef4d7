"""The watermark: the slowest partition decides, silence does not stop it, and the future does not push it."""

from datetime import datetime, timedelta

import pytest

from streams.watermark import watermark

NOON = datetime(2025, 3, 1, 3, 0)
LATENESS = timedelta(minutes=1)
P0, P1, ERRORS = ("payments", 0), ("payments", 1), ("errors", 0)


def minutes(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def test_it_is_the_minimum_over_partitions_less_the_lateness():
    newest = {P0: minutes(9), P1: minutes(4), ERRORS: minutes(7)}
    assert watermark([P0, P1, ERRORS], newest, [], minutes(30), LATENESS) == minutes(3)


def test_a_partition_that_is_read_to_its_end_has_come_to_now():
    newest = {P0: minutes(9), P1: minutes(4)}
    assert watermark([P0, P1], newest, [P1], minutes(30), LATENESS) == minutes(8)
    assert watermark([P0, P1], newest, [P0, P1], minutes(30), LATENESS) == minutes(29)


def test_an_empty_partition_does_not_stop_it():
    assert watermark([P0, P1], {P0: minutes(9), P1: None}, [P1], minutes(30), LATENESS) == minutes(8)
    assert watermark([P0, P1], {}, [P0, P1], minutes(30), LATENESS) == minutes(29)


@pytest.mark.parametrize("newest", [{P0: minutes(9)}, {P0: minutes(9), P1: None}])
def test_there_is_none_while_a_partition_has_shown_nothing(newest):
    assert watermark([P0, P1], newest, [P0], minutes(30), LATENESS) is None


def test_there_is_none_without_partitions():
    assert watermark([], {P0: minutes(9)}, [], minutes(30), LATENESS) is None


def test_events_of_the_future_do_not_advance_it_beyond_now():
    newest = {P0: minutes(9), P1: minutes(9)}
    assert watermark([P0, P1], newest, [], minutes(5), LATENESS) == minutes(4)
    assert watermark([P0, P1], newest, [P0, P1], minutes(5), LATENESS) == minutes(4)


def test_before_the_first_tick_of_a_replay_only_events_count():
    newest = {P0: minutes(9), P1: minutes(4)}
    assert watermark([P0, P1], newest, [P0, P1], None, LATENESS) == minutes(3)
    assert watermark([P0, P1], {P0: minutes(9)}, [P0, P1], None, LATENESS) is None


def test_topics_without_the_time_of_sales_do_not_hold_it_back():
    partitions = [P0, ("commands", 0), ("clock", 0)]
    assert watermark(partitions, {P0: minutes(9), ("commands", 0): minutes(-600)}, [], minutes(30), LATENESS) == minutes(8)
