"""Amounts, shares and times read as people write them."""

from datetime import UTC, date, datetime, timedelta

import pytest

from dashboard.formatting import clock, day_name, duration, exact_won, moment, percent, unbroken, won


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0원"),
        (9_999, "9,999원"),
        (999_999, "999,999원"),
        (1_000_000, "100만 원"),
        (1_005_000, "101만 원"),
        (99_994_999, "9,999만 원"),
        (99_995_000, "1억 원"),
        (100_000_000, "1억 원"),
        (123_456_789, "1억 2,346만 원"),
        (2_012_345_678, "20억 1,235만 원"),
        (999_999_994_999, "9,999억 9,999만 원"),
        (999_999_995_000, "1조 원"),
        (1_234_500_000_000, "1조 2,345억 원"),
        (-123_456_789, "−1억 2,346만 원"),
        (None, "–"),
    ],
)
def test_korean_amounts_are_in_man_and_eok_and_carry_when_they_round_up(amount: int | None, text: str) -> None:
    assert won(amount, "ko") == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "KRW 0"),
        (99_999, "KRW 99,999"),
        (100_000, "KRW 100 thousand"),
        (999_499, "KRW 999 thousand"),
        (999_500, "KRW 1.0 million"),
        (12_345_678, "KRW 12.3 million"),
        (99_949_999, "KRW 99.9 million"),
        (99_950_000, "KRW 100 million"),
        (2_012_345_678, "KRW 2,012 million"),
        (-12_345_678, "−KRW 12.3 million"),
        (None, "–"),
    ],
)
def test_english_amounts_are_in_thousands_and_millions(amount: int | None, text: str) -> None:
    assert won(amount, "en") == text


def test_exact_amounts_keep_every_won() -> None:
    assert exact_won(1_399_575_011, "ko") == "1,399,575,011원"
    assert exact_won(-5, "en") == "−KRW 5"
    assert exact_won(None, "ko") == "–"


def test_a_missing_share_is_a_dash_and_not_zero() -> None:
    assert percent(None) == "–"
    assert percent(0.0) == "0.0%"
    assert percent(0.8145) == "81.5%"
    assert percent(-0.005, 0) == "−1%"


def test_times_are_in_seoul_whatever_zone_they_come_in() -> None:
    onset = datetime(2025, 3, 1, 1, 4, tzinfo=UTC)
    assert clock(onset) == "10:04"
    assert moment(onset, "ko") == "3월 1일 10:04"
    assert moment(onset, "en") == "1 Mar 10:04"
    assert moment(datetime(2025, 2, 28, 15), "ko") == "3월 1일 00:00"
    assert day_name(date(2025, 3, 1), "ko") == "2025년 3월 1일 (토)"


def test_a_time_of_another_year_than_what_it_stands_beside_has_its_year() -> None:
    new_year, eve = datetime(2024, 12, 31, 15, 30, tzinfo=UTC), datetime(2024, 12, 31, 14, 59, tzinfo=UTC)
    state = datetime(2025, 3, 1, tzinfo=UTC)
    assert moment(new_year, "ko", state) == "1월 1일 00:30"
    assert moment(eve, "ko", state) == "2024년 12월 31일 23:59"
    assert moment(eve, "en", state) == "31 Dec 2024 23:59"


def test_a_duration_names_only_the_units_that_it_has() -> None:
    assert duration(timedelta(hours=9, minutes=56), "ko") == "9시간 56분"
    assert duration(timedelta(days=1, minutes=5), "en") == "1 d 5 min"
    assert duration(timedelta(seconds=4.8), "ko") == "4초"
    assert duration(timedelta(seconds=-3), "ko") == "0초"
    assert duration(None, "ko") == "–"


def test_an_amount_that_may_not_be_broken_reads_the_same() -> None:
    assert unbroken(won(1_234_482_705, "ko")).split(" ") == ["12억\u00a03,448만\u00a0원"]
