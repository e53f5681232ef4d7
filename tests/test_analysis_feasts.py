"""Windows around Seollal and Chuseok: what a history of some weeks cannot tell is said, and in the interval."""

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tests.test_analysis_loss import country, figures
from warehouse.analysis import LossEstimate, day_types, estimate_loss, loss
from warehouse.analysis.effects import Promotions
from warehouse.analysis.feasts import feast_range, with_feasts
from warehouse.analysis.times import DAY, date_of

FIRST, SEOLLAL = date(2024, 12, 2), date(2025, 1, 29)


def sold(until: datetime, closed: float = 0.3) -> pl.DataFrame:
    """Eight weeks and more until ``until``, with ``closed`` of a day's sales on Seollal."""
    of_day = pl.when(pl.col("at").dt.date() == SEOLLAL).then(closed).otherwise(1.0)
    known = country(first=FIRST, days=70, markets=12, noise=0.05).filter(pl.col("at") < until)
    return known.with_columns(sales=pl.col("sales") * of_day)


def asked(day: date, hour: int, hours: int, **given: object) -> tuple[LossEstimate, float]:
    """The estimate of a window in which everything failed, and what would have been sold."""
    start = datetime(day.year, day.month, day.day, hour)
    end = start + timedelta(hours=hours)
    sales = sold(end)
    markets = given.get("markets")
    inside = (pl.col("at") >= start) & (pl.lit(value=True) if markets is None else pl.col("market_id").is_in(markets))
    found = estimate_loss(sales.filter(~inside), start, end, complete_until=end, step=timedelta(hours=1), **given)  # type: ignore[arg-type]
    return found, float(sales.filter(inside)["sales"].sum())


def codes(found: LossEstimate) -> list[str]:
    return [remark.code for remark in found.warnings]


def width(found: LossEstimate) -> float:
    return (found.high - found.low) / found.expected


def test_a_day_of_seollal_is_in_its_interval_and_its_range_is_called_an_assumption() -> None:
    found, true = asked(SEOLLAL, 0, 24)
    assert found.low <= true <= found.high
    assert codes(found)[0] == "near_feast"
    assert "assumption" in found.warnings[0]
    for part in (found.by_region, found.by_channel, found.by_market):
        assert ((part["high"] - part["low"]) / part["expected"] > 1).all()


@pytest.mark.parametrize("days", [-11, 4])
def test_days_beyond_the_table_are_estimated_as_with_a_calendar_of_ones_own(days: int) -> None:
    day = SEOLLAL + timedelta(days=days)
    plain, _ = asked(day, 0, 24)
    own, _ = asked(day, 0, 24, calendar=day_types(FIRST, day))
    assert figures(plain) == figures(own)
    assert "near_feast" not in codes(plain)


def test_the_table_is_koreas_and_is_not_used_with_another_calendar() -> None:
    found, _ = asked(SEOLLAL, 0, 24, calendar=day_types(FIRST, SEOLLAL))
    assert "near_feast" not in codes(found)


def test_what_a_day_sold_before_the_window_narrows_what_the_feast_may_do() -> None:
    whole, afternoon = (asked(SEOLLAL - timedelta(days=4), hour, hours)[0] for hour, hours in ((0, 24), (15, 2)))
    assert codes(afternoon)[0] == "near_feast"
    assert width(afternoon) < 0.6 * width(whole)


def test_markets_that_were_not_hit_tell_what_the_feast_does() -> None:
    nation, few = (asked(SEOLLAL, 0, 24, markets=markets)[0] for markets in (None, ["m00", "m01"]))
    assert width(few) < 0.6 * width(nation)


def test_a_feast_within_days_of_an_outage_weighs_what_its_day_would_have_sold() -> None:
    one, three = (asked(SEOLLAL + timedelta(days=3), 0, hours)[0] for hours in (24, 72))
    least = [next(remark.values["least"] for remark in found.warnings if remark.code == "near_feast") for found in (one, three)]
    assert least[0] < least[1] < 1


def test_a_higher_level_takes_a_wider_range_of_the_feast() -> None:
    usual, surer = (asked(SEOLLAL, 0, 24, level=level)[0] for level in (0.9, 0.95))
    assert surer.warnings[0].values["least"] < usual.warnings[0].values["least"]


def test_a_promotion_of_known_factor_speaks_for_its_time_of_a_feast_and_the_table_for_the_rest() -> None:
    day = (SEOLLAL - date(1970, 1, 1)).days
    assert date_of(day) == SEOLLAL
    midnight, known = day * DAY, [((day + 2) * DAY - 60, (day + 3) * DAY, 4.0), (day * DAY + 60, day * DAY + 120, 3.0), (day * DAY + 90, day * DAY + 120, 1.1)]
    table = [(midnight, midnight + 60, 0.5), (midnight + 120, midnight + DAY, 0.5), (midnight + DAY, midnight + 2 * DAY - 60, 0.6)]
    assert with_feasts(Promotions(known, []), (day, day + 3)).known == [*known, *table]


def test_an_hour_of_promotion_does_not_make_an_ordinary_day_of_a_feast() -> None:
    evening = datetime(SEOLLAL.year, SEOLLAL.month, SEOLLAL.day, 18)
    promotions = pl.DataFrame({"start": [evening], "end": [evening + timedelta(hours=1)], "factor": [1.2]})
    plain, promoted = (asked(SEOLLAL, 0, 24, promotions=given)[0] for given in (None, promotions))
    # an hour of the evening holds a twelfth of the day: 1.2 there in place of the table's 0.5
    assert promoted.expected / plain.expected == pytest.approx(1 + (1.2 / 0.5 - 1) / 12, abs=0.05)


def test_what_a_promotion_carries_has_no_range_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    def keep(*given: Any) -> tuple[float, float]:
        kept.append(given[:5])
        return feast_range(*given)

    monkeypatch.setattr(loss, "feast_range", keep)
    asked(SEOLLAL, 0, 24)
    midnight = (SEOLLAL - date(1970, 1, 1)).days * DAY
    none, evening, whole = (
        feast_range(*kept[0], Promotions(known, [])) for known in ([], [(midnight + 18 * 60, midnight + DAY, 0.5)], [(0, midnight + DAY, 0.5)])
    )
    assert none[0] < evening[0] < whole[0] == 1
    assert none[1] > evening[1] > whole[1] == 1
