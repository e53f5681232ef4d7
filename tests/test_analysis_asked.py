"""What strangers may ask of ``estimate_loss``: steps, times, windows, frames with holes; what cannot be answered is refused with a hint."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from tests.test_analysis_loss import END, START, country, figures, hurt
from warehouse.analysis import AnalysisError, FrameError, HistoryError, LossEstimate, estimate_loss

KEYS = {"by_market": "market_id", "by_region": "region", "by_channel": "channel"}
SEOUL = ZoneInfo("Asia/Seoul")


def need_whole(found: LossEstimate) -> None:
    """Parts have the columns of the whole and add up to it; intervals hold their own points."""
    for name, key in KEYS.items():
        part = getattr(found, name)
        assert part.columns == [key, "expected", "observed", "lost", "low", "high"]
        assert part.select(pl.all_horizontal((pl.col("low") <= pl.col("lost") + 1e-6) & (pl.col("lost") <= pl.col("high") + 1e-6)).all()).item()
        for column in ("expected", "observed", "lost"):
            assert part[column].sum() == pytest.approx(getattr(found, column), abs=1e-3)


@pytest.mark.parametrize("minutes", [5, 10, 30, 60, 120, 1440])
@pytest.mark.parametrize("markets", [None, ["m04"], ["m00", "m01", "m03"]])
def test_parts_add_up_at_any_step_and_scope(minutes: int, markets: list[str] | None) -> None:
    spread = country(days=28, first=datetime(2025, 1, 30).date())
    if minutes < 60:
        spread = spread.with_columns(pl.col("at") + pl.duration(minutes=pl.int_range(pl.len()) % (60 // minutes) * minutes))
    sales = spread.group_by(pl.col("at").dt.truncate(f"{minutes}m"), "market_id", "region", "channel").agg(pl.col("sales").sum())
    need_whole(estimate_loss(sales, START, END, markets=markets))


@pytest.mark.parametrize("hours", [2, 12, 24, 62, 200])
@pytest.mark.parametrize("days", [1, 3, 7, 14])
def test_any_length_of_window_and_history_gives_finite_figures(hours: int, days: int) -> None:
    start = datetime(2025, 2, 26, 20)
    sales = country(days=days + 10, first=(start - timedelta(days=days)).date(), markets=6)
    found = estimate_loss(sales, start, start + timedelta(hours=hours))
    need_whole(found)
    assert found.low <= found.lost <= found.high
    assert any("independent past windows" in warning for warning in found.warnings)


def test_times_of_both_kinds_in_one_call_are_refused() -> None:
    sales = country()
    with pytest.raises(AnalysisError, match="start aware, end naive"):
        estimate_loss(sales, START.replace(tzinfo=SEOUL), END)
    with pytest.raises(AnalysisError, match="as_of aware"):
        estimate_loss(sales, START, END, as_of=END.replace(tzinfo=UTC))
    aware = estimate_loss(sales, START.replace(tzinfo=SEOUL), END.replace(tzinfo=SEOUL).astimezone(UTC))
    assert figures(aware) == figures(estimate_loss(sales, START, END))


def test_a_row_that_comes_twice_is_refused_and_not_counted_twice() -> None:
    sales = country()
    with pytest.raises(FrameError, match=r"2025-01-23 .* more than once"):
        estimate_loss(pl.concat([sales, sales.head(1)]), START, END)
    few = sales.filter((pl.col("at").dt.hour() == 10) & (pl.col("market_id") == "m00"))
    minutes = few.with_columns(pl.col("at") + pl.duration(minutes=pl.int_range(pl.len()) % 7))
    with pytest.raises(FrameError, match="more than once"):
        estimate_loss(pl.concat([minutes, minutes.tail(1)]), START, END)
    without_channel = sales.drop("channel")
    with pytest.raises(FrameError, match="group_by"):
        estimate_loss(without_channel, START, END)


def test_a_market_whose_region_is_null_in_some_rows_keeps_its_region() -> None:
    sales, _ = hurt(country(), 0.6)
    holes = sales.with_columns(region=pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise("region"))
    found, whole = estimate_loss(holes, START, END), estimate_loss(sales, START, END)
    assert found.by_region.sort("region")["lost"].to_list() == pytest.approx(whole.by_region.sort("region")["lost"].to_list())
    unknown = estimate_loss(sales.with_columns(region=pl.when(pl.col("market_id") == "m00").then(None).otherwise("region")), START, END)
    assert "unknown" in unknown.by_region["region"]
    need_whole(unknown)


def test_channels_that_are_null_are_one_of_their_own() -> None:
    sales, _ = hurt(country(), 0.6)
    holes = sales.with_columns(channel=pl.when(pl.col("channel") == "card").then(None).otherwise("channel"))
    found = estimate_loss(holes, START, END)
    assert sorted(found.by_channel["channel"]) == ["mobile", "unknown"]
    need_whole(found)


def test_channels_learn_nothing_from_what_is_excluded_for_a_market() -> None:
    sales, _ = hurt(country(), 0.6)
    low, high = datetime(2025, 2, 19, 9), datetime(2025, 2, 20, 17)
    of = pl.col("at").is_between(low, high, closed="left") & (pl.col("market_id") == "m03") & (pl.col("channel") == "card")
    wild = sales.with_columns(sales=pl.when(of).then(pl.col("sales") * 500).otherwise("sales"))
    spans = pl.DataFrame({"start": [low], "end": [high], "market_id": ["m03"]})
    found, calm = (estimate_loss(one, START, END, exclusions=spans).by_channel for one in (wild, sales))
    assert found["lost"].to_list() == pytest.approx(calm["lost"].to_list())
    assert found["high"].to_list() == pytest.approx(calm["high"].to_list())


def own_gaps(markets: list[str], *, first: int, last: int) -> pl.DataFrame:
    """Exclusions of single markets, from midnight ``first`` days before the window's day to midnight ``last`` days before it."""
    midnight = datetime.combine(START, datetime.min.time())
    return pl.DataFrame({"start": midnight - timedelta(days=first), "end": midnight - timedelta(days=last), "market_id": markets})


@pytest.mark.parametrize("markets", [["m04"], ["m01", "m04", "m07"]])
def test_a_gap_of_each_market_by_itself_is_one_of_all(markets: list[str]) -> None:
    sales = country(days=64, first=datetime(2024, 12, 25).date()).filter(pl.col("market_id").is_in(markets))
    gaps = own_gaps(markets, first=40, last=0)
    own, common = (estimate_loss(sales, START, END, exclusions=one) for one in (gaps, gaps.head(1).drop("market_id")))
    assert figures(own) == pytest.approx(figures(common))
    assert own.by_channel["high"].to_list() == pytest.approx(common.by_channel["high"].to_list())
    assert own.warnings == common.warnings
    assert "old_history" in [warning.code for warning in own.warnings]


def test_windows_in_which_nothing_is_known_of_the_markets_hit_are_no_examples() -> None:
    sales, hit = country(days=64, first=datetime(2024, 12, 25).date()), ["m04", "m05"]
    usual, told = (estimate_loss(sales, START, END, markets=hit, exclusions=one) for one in (None, own_gaps(hit, first=40, last=0)))
    assert "old_history" in [warning.code for warning in told.warnings]
    assert told.high - told.low > usual.high - usual.low
    with pytest.raises(HistoryError, match="ordinary day"):
        estimate_loss(sales, START, END, markets=hit, exclusions=own_gaps(hit, first=70, last=0))


def test_a_market_s_own_gap_does_not_narrow_its_interval() -> None:
    sales = country(days=64, first=datetime(2024, 12, 25).date())
    widths = []
    for gaps in (None, own_gaps(["m03"], first=62, last=3)):
        found = estimate_loss(sales, START, END, exclusions=gaps).by_market.row(by_predicate=pl.col("market_id") == "m03", named=True)
        widths.append((found["high"] - found["low"]) / found["expected"])
    assert widths[1] > widths[0]


def test_a_promotion_with_a_factor_does_not_widen_the_intervals_of_channels() -> None:
    plain, _ = hurt(country(), 0.5)
    low, high = datetime(2025, 2, 17), datetime(2025, 2, 20)
    promoted = plain.with_columns(sales=pl.when(pl.col("at").is_between(low, high, closed="left")).then(pl.col("sales") * 6).otherwise("sales"))
    promotion = pl.DataFrame({"start": [low], "end": [high], "label": ["holiday"], "factor": [6.0]})
    found, usual = estimate_loss(promoted, START, END, promotions=promotion).by_channel, estimate_loss(plain, START, END).by_channel
    assert (found["high"] - found["low"]).to_list() == pytest.approx((usual["high"] - usual["low"]).to_list(), rel=0.3)


def test_hours_that_no_ordinary_day_holds_are_refused_or_said() -> None:
    sales = country()
    days = [timedelta(days=n) for n in range(1, 40)]
    spans = pl.DataFrame({"start": [START - day for day in days], "end": [END - day for day in days]})
    with pytest.raises(HistoryError, match="holds the hours"):
        estimate_loss(sales, START, END, exclusions=spans)
    longer = estimate_loss(sales, START, END + timedelta(hours=2), exclusions=spans)
    assert any("nothing is expected in them" in warning for warning in longer.warnings)


def test_places_without_a_history_are_said() -> None:
    sales = country()
    of = sales.filter(pl.col("market_id") == "m01").with_columns(market_id=pl.lit("zero"), sales=pl.lit(0.0))
    found = estimate_loss(pl.concat([sales, of]), START, END, markets=["zero"])
    assert (found.expected, found.lost) == (0, 0)
    assert any("sold nothing" in warning for warning in found.warnings)
    need_whole(estimate_loss(pl.concat([sales, of]), START, END))


def test_a_window_days_after_the_last_row_is_no_silence() -> None:
    sales = country(days=34)
    with pytest.raises(FrameError, match="one row of 0"):
        estimate_loss(sales, START + timedelta(days=1), END + timedelta(days=1))
    silent = pl.concat([sales, sales.head(1).with_columns(at=START, sales=pl.lit(0.0))])
    assert estimate_loss(silent, START + timedelta(days=1), END + timedelta(days=1)).observed == 0


def test_silence_is_no_sales_where_rows_are_known_to_be_complete() -> None:
    sales = country(days=34)
    start, end = START + timedelta(days=1), END + timedelta(days=1)
    found = estimate_loss(sales, start, end, complete_until=end)
    assert (found.observed, found.warnings) == (0, [])
    assert found.lost > 0
    early = estimate_loss(sales, start, end, complete_until=start + timedelta(hours=1))
    assert [(warning.code, warning.values["after"]) for warning in early.warnings] == [("no_rows_after", start + timedelta(hours=1))]
    with pytest.raises(AnalysisError, match="complete_until aware"):
        estimate_loss(sales, start, end, complete_until=end.replace(tzinfo=SEOUL))


def test_a_window_within_steps_is_widened_to_whole_ones_or_cut_at_as_of() -> None:
    start, end = START + timedelta(minutes=23), END + timedelta(minutes=17)
    widened = estimate_loss(country(), start, end)
    assert (widened.start, widened.end) == (START, END + timedelta(hours=1))
    assert [warning.code for warning in widened.warnings] == ["window_widened"]
    assert figures(widened) == figures(estimate_loss(country(), START, END + timedelta(hours=1)))
    cut = estimate_loss(country(), start, end, as_of=end)
    assert (cut.start, cut.end) == (START, END)
    assert [warning.code for warning in cut.warnings] == ["window_widened", "window_cut"]
    assert str(END) in cut.warnings[0]


@pytest.mark.parametrize("kind", [pl.Int64, pl.UInt32, pl.Float32, pl.Decimal(18, 2)])
def test_sales_of_any_numeric_type_give_the_same(kind: type[pl.DataType]) -> None:
    sales, _ = hurt(country(), 0.5)
    assert figures(estimate_loss(sales.with_columns(pl.col("sales").cast(kind)), START, END)) == pytest.approx(figures(estimate_loss(sales, START, END)))


def test_cycles_may_be_whole_numbers() -> None:
    sales = country()
    one, text = (pl.DataFrame({"market_id": ["m00", "m01"], "days": [day, day]}) for day in (5, "5"))
    assert figures(estimate_loss(sales, START, END, cycles=one)) == figures(estimate_loss(sales, START, END, cycles=text))


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"markets": "m04"}, r"\['m04'\]"),
        ({"level": "0.9"}, "share between 0 and 1"),
        ({"level": 1}, "share between 0 and 1"),
        ({"level": float("nan")}, "share between 0 and 1"),
        ({"level": 0.9991}, "at most 0.999"),
        ({"promotions": pl.DataFrame({"start": [START], "end": [END], "factor": [float("inf")]})}, "above 0"),
        ({"promotions": pl.DataFrame({"start": [START], "end": [END], "factor": ["two"]})}, "numbers in 'factor'"),
        ({"calendar": pl.DataFrame({"date": ["2025-02-26"], "day_type": ["any"]})}, "str.to_date"),
        ({"exclusions": pl.DataFrame({"start": [datetime(2025, 1, 1)], "end": [datetime(2025, 4, 1)]})}, "ordinary day"),
        ({"cycles": pl.DataFrame({"market_id": ["m00"], "days": ["mon"]})}, "last digits"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_hint(given: dict[str, object], hint: str) -> None:
    with pytest.raises(AnalysisError, match=hint):
        estimate_loss(country(days=36), START, END, **given)  # type: ignore[arg-type]
