"""How known losses are drawn: windows lie in the data, halves of stores part them, constants are set or refused."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from benchmarks._rivals import followed_median, oracle
from benchmarks.accuracy import Draw, another_constant, half_of, incidents, measure, with_cycles
from warehouse.analysis import profiles


def made_sales(days: int = 60, stores: int = 40) -> pl.DataFrame:
    """A row an hour and store, in two cities."""
    hours = pl.DataFrame({"at": [datetime(2024, 3, 28) + timedelta(hours=n) for n in range(days * 24)]})
    places = pl.DataFrame({"market_id": [f"s{n:02d}" for n in range(stores)]}).with_columns(
        region=pl.col("market_id").str.slice(2), number=pl.int_range(stores)
    )
    return hours.join(places, how="cross").select("at", "market_id", sales=pl.col("number") + 1.0, region=(pl.col("number") % 2).cast(pl.String))


@pytest.mark.parametrize("hours", [(1, 2, 3, 4, 6), (12,), (24,), (62,)])
def test_windows_begin_after_a_month_and_end_with_the_data(hours: tuple[int, ...]) -> None:
    sales = made_sales()
    first, end = datetime(2024, 3, 28) + timedelta(days=29), datetime(2024, 3, 28) + timedelta(days=60)
    drawn = list(incidents(sales, Draw(60, hours), 1))
    assert {scope for scope, *_ in drawn} == {"nation", "city", "store"}
    assert all(first <= start < stop <= end and stop - start in {timedelta(hours=n) for n in hours} for _, start, stop, _, _ in drawn)
    assert drawn == list(incidents(sales, Draw(60, hours), 1))


def test_incidents_in_one_half_of_the_days_stay_in_it() -> None:
    days = {(start - datetime(2024, 3, 28)).days for _, start, *_ in incidents(made_sales(), Draw(60, days=(44, 60)), 1)}
    assert min(days) >= 44


def test_two_halves_hold_each_store_once_and_each_city_in_both() -> None:
    panel = made_sales(1).select(store_id=pl.col("market_id").str.slice(1).cast(pl.Int64), city_id=pl.col("region").cast(pl.Int64))
    even, odd = half_of(panel, "even"), half_of(panel, "odd")
    assert set(even["store_id"]) | set(odd["store_id"]) == set(panel["store_id"])
    assert not set(even["store_id"]) & set(odd["store_id"])
    assert set(even["city_id"]) == set(odd["city_id"]) == {0, 1}
    assert half_of(panel, "all") is panel


def test_another_constant_is_set_in_its_own_kind_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "OTHER_KIND", profiles.OTHER_KIND)
    another_constant("profiles.OTHER_KIND=0.5")
    assert profiles.OTHER_KIND == 0.5
    for wrong in ("profiles.NOTHING=1", "nothing.OTHER_KIND=1", "OTHER_KIND=1", "profiles.OTHER_KIND=much"):
        with pytest.raises(SystemExit, match="VALUE, such as"):
            another_constant(wrong)


def test_imposed_cycles_raise_market_days_of_a_third_of_the_stores_and_nothing_else() -> None:
    sales = made_sales()
    cyclic, cycles = with_cycles(sales, 4.0)
    assert len(cycles) == 14
    held = {(row["market_id"], digit) for row in cycles.to_dicts() for digit in row["days"].split(",")}
    for (store, day), part in cyclic.group_by("market_id", pl.col("at").dt.day().cast(pl.String).str.slice(-1)):
        plain = sales.filter(pl.col("market_id") == store)["sales"][0]
        assert part["sales"].unique().to_list() == [plain * (4.0 if (store, day) in held else 1.0)]


def test_the_simplest_honest_method_follows_the_level_of_the_morning() -> None:
    midnight = datetime(2024, 5, 1)
    days = [midnight - timedelta(days=n) for n in range(1, 6)]
    sold = {day + timedelta(hours=n): 10.0 for day in days for n in range(24)} | {midnight + timedelta(hours=n): 15.0 for n in range(10)}
    window = [midnight + timedelta(hours=10 + n) for n in range(4)]
    assert followed_median(sold, window, days) == pytest.approx(60.0)
    assert followed_median(sold, [midnight + timedelta(hours=1)], days) == pytest.approx(10.0)


def test_a_history_that_is_longer_than_the_data_is_as_long_as_they_are() -> None:
    sales = made_sales()
    days = sales["at"].dt.date().unique().sort()
    calendar = pl.DataFrame({"date": days, "day_type": (days.dt.weekday() > 5).cast(pl.Int8).cast(pl.String)})
    start = datetime(2024, 4, 26, 10)
    found = measure(sales, calendar, 42, iter([("nation", start, start + timedelta(hours=2), 1.0, None)]))
    assert found["ours"].item() == pytest.approx(found["true"].item(), rel=0.01)
    assert found["median"].item() == pytest.approx(found["true"].item())


def test_the_oracle_knows_the_level_of_the_hours_after_the_window() -> None:
    midnight = datetime(2024, 5, 1)
    days = [midnight - timedelta(days=n) for n in range(1, 6)]
    full = {day + timedelta(hours=n): 10.0 for day in days for n in range(24)} | {midnight + timedelta(hours=n): 10.0 if n < 10 else 20.0 for n in range(24)}
    window = [midnight + timedelta(hours=10 + n) for n in range(4)]
    assert oracle(full, window, days) == pytest.approx(60.0)
    assert oracle({hour: sold * (2 if hour >= midnight else 1) for hour, sold in full.items()}, window, days) == pytest.approx(120.0)


def test_an_incident_that_begins_before_its_window_is_one_that_the_estimate_tells_of() -> None:
    sales = made_sales()
    days = sales["at"].dt.date().unique().sort()
    calendar = pl.DataFrame({"date": days, "day_type": (days.dt.weekday() > 5).cast(pl.Int8).cast(pl.String)})
    start = datetime(2024, 4, 26, 12)
    given = [("nation", start, start + timedelta(hours=3), 0.6, None)]
    early, exact = measure(sales, calendar, 14, iter(given), late=1), measure(sales, calendar, 14, iter(given))
    assert (early["told"].item(), exact["told"].item()) == (True, False)
    assert early["true"].item() == exact["true"].item()
    assert early["ours"].item() < 0.8 * early["true"].item()
    assert early["low"].item() <= early["true"].item() <= early["high"].item() + 1e-6
