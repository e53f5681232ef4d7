"""Forecasts on made demand whose days are known."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tests.demand_data import HOURS, feast, hourly, midnight
from warehouse.analysis import AnalysisError, FrameError, HistoryError
from warehouse.analysis.forecast import forecast
from warehouse.analysis.forecast_errors import quantiles
from warehouse.analysis.peaks import peak_minutes
from warehouse.analysis.promoted import promoted
from warehouse.analysis.special_days import feast_offset, next_holidays

YEAR = date(2024, 1, 1)
CHUSEOK = date(2025, 10, 6)


def codes(found) -> set[str]:
    return {remark.code for remark in found.warnings}


def of_day(found, day: date, column: str = "q50") -> float:
    return float(found.days.filter(pl.col("date") == day)[column].item())


def plain(_: date) -> float:
    return 1.0


def test_once_a_lunar_holiday_was_seen_the_days_before_the_next_are_the_peak():
    before = date(2025, 9, 20)
    found = forecast(hourly(YEAR, (before - YEAR).days), as_of=midnight(before), days=30)
    busiest = found.days.sort("q50", descending=True)["date"][0]
    assert busiest == CHUSEOK - timedelta(days=2)
    assert of_day(found, CHUSEOK) < of_day(found, busiest) / 4
    assert "forecast_no_feast" not in codes(found)


def test_a_feast_that_was_never_seen_comes_from_the_table_with_a_wide_range_and_says_so():
    first, before = date(2025, 3, 1), date(2025, 9, 20)
    found = forecast(hourly(first, (before - first).days), as_of=midnight(before), days=30)
    eve, ordinary = CHUSEOK - timedelta(days=3), date(2025, 9, 24)
    assert "forecast_no_feast" in codes(found)
    assert of_day(found, eve, "q95") / of_day(found, eve) > 1.5 > of_day(found, ordinary, "q95") / of_day(found, ordinary)
    assert of_day(found, eve) > 1.1 * of_day(found, ordinary)


def test_another_table_of_feasts_is_followed():
    first, before = date(2025, 3, 1), date(2025, 9, 20)
    nothing = pl.DataFrame({"days_from": list(range(-10, 4)), "factor": 1.0, "low": 0.99, "high": 1.01})
    found = forecast(hourly(first, (before - first).days, effect=plain), as_of=midnight(before), days=30, feasts=nothing)
    assert of_day(found, date(2025, 10, 1)) == pytest.approx(of_day(found, date(2025, 9, 24)), rel=0.06)


def test_a_holiday_on_a_weekday_sells_like_a_sunday_before_any_was_seen():
    first, before = date(2025, 6, 10), date(2025, 8, 10)
    found = forecast(hourly(first, (before - first).days, effect=plain), as_of=midnight(before), days=14)
    liberation, sunday, friday = date(2025, 8, 15), date(2025, 8, 17), date(2025, 8, 22)
    assert abs(of_day(found, liberation) - of_day(found, sunday)) < abs(of_day(found, liberation) - of_day(found, friday))
    assert found.days.filter(pl.col("date") == liberation)["name"].item() == "광복절"


def test_hours_of_an_incident_are_repaired_from_the_rest_of_their_days():
    first = date(2025, 4, 7)
    whole = hourly(first, 56, effect=plain)
    spans = [(datetime(2025, 4, 7) + timedelta(days=n, hours=15), datetime(2025, 4, 7) + timedelta(days=n, hours=21)) for n in range(28, 56)]
    struck = whole.filter(~pl.any_horizontal([pl.col("at").is_between(low, high, closed="left") for low, high in spans]))
    out = pl.DataFrame(spans, schema=["start", "end"], orient="row")
    as_of = midnight(first + timedelta(days=56))
    true = forecast(whole, as_of=as_of, days=7).days["q50"].sum()
    repaired = forecast(struck, as_of=as_of, days=7, exclusions=out)
    assert "forecast_repaired" in codes(repaired)
    assert repaired.days["q50"].sum() == pytest.approx(true, rel=0.03)
    assert forecast(struck, as_of=as_of, days=7).days["q50"].sum() < 0.8 * true


@pytest.mark.parametrize("by", ["nation", "region", "market"])
def test_what_a_region_lacked_in_its_incidents_is_learnt_neither_of_it_nor_of_the_whole(by):
    whole, cycles = markets()
    out = pl.DataFrame({"start": [datetime(2025, 6, 22)], "end": [datetime(2025, 6, 30)]}).join(
        pl.DataFrame({"market_id": [f"m{n}" for n in range(1, 12, 2)]}).with_columns(region=pl.lit("r1")), how="cross"
    )
    struck = whole.filter((pl.col("region") != "r1") | ~pl.col("at").is_between(*out.select("start", "end").row(0), closed="left"))
    groups = {"nation": [], "region": ["region"], "market": ["region", "market_id"]}[by]

    def ahead(sold, exclusions):
        sums = sold.group_by("at", *groups, maintain_order=True).agg(pl.col("sales").sum())
        return forecast(sums, as_of=datetime(2025, 6, 30), days=7, by=by, exclusions=exclusions, cycles=cycles)

    def wanted(found, region):
        return found.days.filter(pl.col("region") == region if groups else pl.lit(value=True))["q50"].sum()

    repaired, true = ahead(struck, out), ahead(whole, None)
    assert "forecast_repaired" in codes(repaired)
    for region in ("r0", "r1"):
        assert wanted(repaired, region) == pytest.approx(wanted(true, region), rel=0.04)
    assert wanted(ahead(struck, None), "r1") < 0.8 * wanted(true, "r1")


def test_a_market_that_was_shut_keeps_its_share_and_the_whole_is_learnt_from_all_days():
    whole, _ = markets()
    out = pl.DataFrame({"start": [datetime(2025, 6, 1)], "end": [None], "market_id": ["m5"]}, schema_overrides={"end": pl.Datetime})
    struck = whole.filter((pl.col("market_id") != "m5") | (pl.col("at") < datetime(2025, 6, 1)))
    of = {"as_of": datetime(2025, 6, 30), "days": 7}
    shut, true = (
        forecast(sold, by="market", exclusions=spans, **of).days.filter(market_id="m5")["q50"].sum() for sold, spans in ((struck, out), (whole, None))
    )
    assert shut == pytest.approx(true, rel=0.2)
    sums = struck.group_by("at", maintain_order=True).agg(pl.col("sales").sum())
    assert forecast(sums, exclusions=out, **of).days.equals(forecast(sums, **of).days)


def test_a_region_that_was_never_whole_is_learnt_as_it_is():
    sold, _ = markets()
    out = pl.DataFrame({"start": [datetime(2025, 3, 1)], "end": [datetime(2025, 7, 1)], "market_id": ["m1"], "region": ["r1"]})
    sums = sold.group_by("at", "region", maintain_order=True).agg(pl.col("sales").sum())
    assert forecast(sums, as_of=datetime(2025, 6, 30), days=7, by="region", exclusions=out).days["q50"].min() > 1_000


def test_a_promotion_ahead_multiplies_by_its_factor_and_one_without_by_that_of_those_before():
    first = date(2025, 4, 7)
    sold = hourly(first, 56, effect=lambda day: 3.0 if 21 <= (day - first).days < 28 else 1.0)
    as_of = midnight(first + timedelta(days=56))

    def spans(factor: float | None) -> pl.DataFrame:
        rows = [(midnight(first + timedelta(days=low)), midnight(first + timedelta(days=low + 7)), factor) for low in (21, 59)]
        return pl.DataFrame(rows, schema={"start": pl.Datetime, "end": pl.Datetime, "factor": pl.Float64}, orient="row")

    known, learnt = (forecast(sold, as_of=as_of, days=14, promotions=spans(factor)) for factor in (3.0, None))
    promoted, ordinary = first + timedelta(days=63), first + timedelta(days=56)
    for found in (known, learnt):
        assert of_day(found, promoted) / of_day(found, ordinary) == pytest.approx(3.0, rel=0.1)
    assert "forecast_promotion" in codes(learnt)
    assert of_day(learnt, promoted, "q95") / of_day(learnt, promoted) > of_day(known, promoted, "q95") / of_day(known, promoted)


def test_an_hour_ahead_that_a_promotion_covers_in_part_follows_it_for_that_part():
    begins, until, first = datetime(2025, 4, 8, 10, 45), datetime(2025, 4, 8, 12), date(2025, 2, 10)
    sold = hourly(first, 56, effect=plain)

    def of_hours(promotions: pl.DataFrame | None) -> np.ndarray:
        found = forecast(sold, as_of=midnight(date(2025, 4, 7)), days=2, promotions=promotions).hours
        return found.filter(pl.col("at").dt.date() == begins.date())["q50"].to_numpy()[9:13]

    spans = pl.DataFrame({"start": [begins], "end": [until], "factor": [3.0]})
    without = of_hours(None)
    assert of_hours(spans) / without == pytest.approx([1.0, 1.5, 3.0, 1.0])
    assert of_hours(spans.with_columns(factor=pl.lit(None, pl.Float64))) / without == pytest.approx([1.0, 1.375, 2.5, 1.0], rel=0.08)


def test_an_hour_that_a_promotion_covers_in_part_is_as_unsure_as_that_part():
    given = {"start": [datetime(2025, 4, 8, 10, 45)], "end": [datetime(2025, 4, 8, 12)], "factor": [3.0], "low": [1.0], "high": [9.0]}
    day = (date(2025, 4, 8) - date(1970, 1, 1)).days
    found = promoted(pl.DataFrame(given), day, day + 1)
    assert found.unsure[0, 9:13] / (np.log(9) / 3.29) == pytest.approx([0.0, 0.5, 1.0, 0.0])


def test_what_is_seen_stays_below_its_quantiles_as_often_as_they_say():
    inside = []
    for seed in range(6):
        sold = hourly(YEAR, 260, seed=seed, effect=plain, noise=0.06)
        for cut in (200, 216, 232):
            as_of = midnight(YEAR + timedelta(days=cut))
            found = forecast(sold, as_of=as_of, days=14)
            came = sold.filter(pl.col("at") >= as_of).head(14 * 24)["sales"].to_numpy()
            inside.append([(came <= found.hours[f"q{level}"].to_numpy()).mean() for level in (50, 80, 95)])
    half, most, nearly = np.mean(inside, axis=0)
    assert 0.4 < half < 0.6
    assert 0.7 < most < 0.9
    assert 0.9 < nearly <= 0.99


def test_quantiles_rise_and_hours_follow_the_rhythm():
    found = forecast(hourly(YEAR, 60, effect=plain), as_of=midnight(YEAR + timedelta(days=60)), days=10)
    steps = found.hours.select("q50", "q80", "q95", "q99").to_numpy()
    assert (np.diff(steps, axis=1) >= 0).all()
    shape = steps[:24, 0] / steps[:24, 0].sum()
    assert shape == pytest.approx(HOURS / HOURS.sum(), abs=0.01)


def markets() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Twelve markets in two regions, every third with four times its sales on days that end in 2 and 7."""
    parts = []
    for number in range(12):
        cyclic = number % 3 == 0
        sold = hourly(
            date(2025, 4, 1), 90, seed=number, size=200.0 * (number + 1), effect=lambda day, held=cyclic: 4.0 if held and day.day % 10 in (2, 7) else 1.0
        )
        parts.append(sold.with_columns(market_id=pl.lit(f"m{number}"), region=pl.lit(f"r{number % 2}")))
    return pl.concat(parts).filter(pl.col("sales") > 0), pl.DataFrame({"market_id": [f"m{n}" for n in range(0, 12, 3)], "days": ["2,7"] * 4})


def test_a_market_sells_more_on_its_market_day_and_another_one_does_not():
    sold, cycles = markets()
    found = forecast(sold, as_of=datetime(2025, 6, 30), days=14, by="market", cycles=cycles).days
    held = pl.col("date").dt.day() % 5 == 2
    ratios = {
        market: float(found.filter(pl.col("market_id") == market, held)["q50"].mean() / found.filter(pl.col("market_id") == market, ~held)["q50"].mean())
        for market in ("m3", "m4")
    }
    assert ratios["m3"] > 2.5
    assert 0.7 < ratios["m4"] < 1.3


def test_every_part_is_forecast_once_and_markets_come_near_their_region():
    sold, cycles = markets()
    as_of = datetime(2025, 6, 30)
    regions = forecast(sold, as_of=as_of, days=5, by="region").hours
    by_market = forecast(sold, as_of=as_of, days=5, by="market", cycles=cycles).hours
    assert len(by_market) == 12 * 5 * 24
    assert not by_market.select("market_id", "at").is_duplicated().any()
    sums = by_market.group_by("region").agg(pl.col("q50").sum()).sort("region")["q50"]
    for part, whole in zip(sums, regions.group_by("region").agg(pl.col("q50").sum()).sort("region")["q50"], strict=True):
        # medians of small markets lie below their means
        assert part == pytest.approx(whole, rel=0.2)


def test_a_short_history_is_said_and_a_shorter_one_refused():
    sold = hourly(date(2025, 6, 1), 30, effect=plain)
    found = forecast(sold, as_of=datetime(2025, 7, 1), days=60)
    assert {"forecast_within_year", "forecast_far"} <= codes(found)
    with pytest.raises(HistoryError, match="at least 8 days before as_of, got 5"):
        forecast(sold, as_of=datetime(2025, 6, 6))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"by": "shop"}, AnalysisError, "expected nation, region or market, got 'shop'"),
        ({"days": 0}, AnalysisError, "expected 1 to 370, got 0"),
        ({"by": "region"}, FrameError, "expected a column 'region'"),
        ({"feasts": pl.DataFrame({"days_from": [0], "factor": [1.0], "low": [2.0], "high": [3.0]})}, AnalysisError, "0 < low <= factor <= high"),
    ],
)
def test_what_cannot_be_forecast_is_told(given, error, message):
    with pytest.raises(error, match=message):
        forecast(hourly(date(2025, 6, 1), 30), as_of=datetime(2025, 7, 1), **given)


def test_the_busiest_minute_stands_above_its_hour_as_minutes_did():
    found = forecast(hourly(YEAR, 90, size=60_000.0, effect=plain), as_of=midnight(YEAR + timedelta(days=90)), days=7)
    rng = np.random.default_rng(5)
    minute = np.repeat(60_000 * HOURS / HOURS.sum() / 60, 60)
    jagged = np.where(np.arange(1440) % 60 == 30, 1.5, 1.0)
    start = midnight(YEAR)
    at = pl.datetime_range(start, start + timedelta(days=20), "1m", closed="left", eager=True)
    smooth, rough = (pl.DataFrame({"minute_at": at, "attempts": rng.poisson(np.tile(minute * bend, 20))}) for bend in (1.0, jagged))
    top = found.hours["q50"].to_numpy().reshape(7, 24).max(axis=1) / 60
    calm, wild = (peak_minutes(found, history)["q50"].to_numpy() for history in (smooth, rough))
    assert (calm > top).all()
    assert np.mean(wild / calm) > 1.15
    assert peak_minutes(found, rough).equals(peak_minutes(found, rough))


def test_feasts_are_the_days_of_the_lunar_calendar_and_long_weekends_are_one_holiday():
    assert [feast_offset(date(2025, 1, 29) + timedelta(days=n)) for n in (-11, -10, 0, 3, 4)] == [99, -10, 0, 3, 99]
    assert ("삼일절", date(2025, 3, 1), date(2025, 3, 3)) in next_holidays(date(2025, 2, 1), 60)
    # In 2028 Chuseok falls on the Foundation Day.
    assert [name for name, first, last in next_holidays(date(2028, 9, 20), 20) if first <= date(2028, 10, 3) <= last] == ["추석"]


def test_few_errors_make_no_quantile_of_their_own():
    few = quantiles(np.array([0.1, -0.1]), np.ones(2), (0.5, 0.99))
    many = quantiles(np.random.default_rng(0).normal(0, 1, 5_000), np.ones(5_000), (0.5, 0.95), spans=1_000)
    assert few[1] > 2
    assert many == pytest.approx([0.0, 1.645], abs=0.1)


def test_feast_days_of_the_made_demand_are_those_of_the_calendar():
    assert feast(CHUSEOK) == 0.3
