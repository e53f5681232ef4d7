"""Anybody's sales: drops found in steps of any length, with nothing from the future."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from streams.cli import app
from warehouse.analysis import FrameError, HistoryError, detect_sales

START = datetime(2025, 4, 7)


def sales(step: int = 30, days: int = 24, a_day: float = 20_000, places: int = 3, amount: int = 1) -> pl.DataFrame:
    """Poisson counts (times ``amount``) around a day's shape and a level that strays a little, in three regions."""
    rng = np.random.default_rng(11)
    slots = 1440 // step
    hour = (np.arange(slots) + 0.5) * step / 60
    shape = np.interp(hour, [0, 5, 10, 14, 18, 22, 24], [0.2, 0.1, 1.5, 1.2, 1.8, 0.6, 0.2])
    shape /= shape.sum()
    level = np.exp(np.cumsum(rng.normal(0, 0.003 * np.sqrt(step), (places, days * slots)), axis=1) * 0.2)
    mean = level * np.tile(shape, days) * a_day / places
    at = pl.datetime_range(START, START + timedelta(days=days), f"{step}m", closed="left", eager=True)
    frames = [pl.DataFrame({"at": at, "market_id": f"m{n}", "region": f"r{n}", "sales": rng.poisson(mean[n]) * amount}) for n in range(places)]
    return pl.concat(frames).filter(pl.col("sales") > 0)


def drop(frame: pl.DataFrame, start: datetime, end: datetime, share: float, region: str | None = None) -> pl.DataFrame:
    hit = pl.col("at").is_between(start, end, closed="left") & (pl.lit(value=True) if region is None else pl.col("region") == region)
    return frame.with_columns(sales=pl.when(hit).then((pl.col("sales") * (1 - share)).round().cast(pl.Int64)).otherwise("sales")).filter(pl.col("sales") > 0)


ONSET = START + timedelta(days=20, hours=11)


@pytest.mark.parametrize("amount", [1, 25_000])
def test_ordinary_sales_are_quiet_in_counts_and_in_won(amount: int) -> None:
    assert len(detect_sales(sales(amount=amount))) <= 1


@pytest.mark.parametrize(("step", "share", "steps"), [(5, 1.0, 1), (5, 0.5, 2), (30, 1.0, 1), (30, 0.5, 1), (60, 1.0, 1)])
def test_a_drop_is_found_within_steps_and_ends_when_it_ends(step: int, share: float, steps: int) -> None:
    end = ONSET + timedelta(hours=4)
    found = detect_sales(drop(sales(step), ONSET, end, share))
    (row,) = [row for row in found.iter_rows(named=True) if row["onset_at"] >= ONSET - timedelta(hours=1)]
    assert (row["scope"], row["kind"]) == ("nation", "missing_sales")
    assert ONSET < row["detected_at"] <= ONSET + steps * timedelta(minutes=step)
    assert abs(row["onset_at"] - ONSET) <= timedelta(minutes=step)
    assert end - timedelta(minutes=step) <= row["ended_at"] <= end + timedelta(minutes=max(3 * step, 30))
    assert json.loads(row["evidence"])["left"] == pytest.approx(1 - share, abs=0.15)


def test_one_region_is_named() -> None:
    found = detect_sales(drop(sales(5), ONSET, ONSET + timedelta(hours=3), 1.0, "r1"))
    late = found.filter(pl.col("onset_at") >= ONSET - timedelta(hours=1))
    assert late.select("scope", "scope_name").rows() in ([("region", "r1")], [("market", "m1")])


def test_an_outage_that_reaches_the_end_of_the_file_goes_on() -> None:
    frame = drop(sales(), START + timedelta(days=23, hours=10), START + timedelta(days=24), 0.9)
    assert detect_sales(frame)["ended_at"][-1] is None


def test_what_comes_later_changes_nothing_that_was_found() -> None:
    whole = drop(sales(), ONSET, ONSET + timedelta(hours=3), 0.8)
    cut = ONSET + timedelta(hours=2)
    altered = whole.with_columns(sales=pl.when(pl.col("at") >= cut).then(pl.col("sales") * 3).otherwise("sales"))
    early = [
        frame.filter(pl.col("detected_at") <= cut).select("incident_id", "onset_at", "detected_at", "evidence") for frame in map(detect_sales, (whole, altered))
    ]
    assert len(early[0]) >= 1
    assert early[0].equals(early[1])


def test_what_cannot_be_used_is_refused_in_words() -> None:
    with pytest.raises(FrameError, match="'sales'"):
        detect_sales(sales().drop("sales"))
    with pytest.raises(HistoryError, match="more than 8 days"):
        detect_sales(sales(days=5))


def test_the_command_prints_incidents_as_json_and_table_from_csv_and_parquet(tmp_path: Path) -> None:
    frame = drop(sales(), ONSET, ONSET + timedelta(hours=3), 1.0)
    frame.write_csv(tmp_path / "mine.csv")
    frame.write_parquet(tmp_path / "mine.parquet")
    told = CliRunner().invoke(app, ["detect", "--sales", str(tmp_path / "mine.csv"), "--json"])
    assert told.exit_code == 0, told.output
    (row,) = [row for row in json.loads(told.stdout) if row["onset_at"] >= (ONSET - timedelta(hours=1)).isoformat()]
    assert (row["scope"], row["onset_at"], row["observed"]) == ("nation", f"{ONSET.isoformat()}+09:00", 0.0)
    assert row["expected"] > 100
    table = CliRunner().invoke(app, ["detect", "--sales", str(tmp_path / "mine.parquet"), "--format", "csv"])
    assert table.exit_code == 0, table.output
    assert f"nation,,{ONSET.isoformat()}+09:00," in table.stdout.replace('""', "")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["detect", "--sales", str(tmp_path / "nothing.csv")])
    assert told.exit_code != 0
    assert "nothing.csv" in str(told.exception)


def test_a_mistyped_year_is_refused_with_both_dates_before_centuries_are_judged() -> None:
    frame = sales()
    typed = frame.head(1).with_columns(at=pl.lit(datetime(1925, 4, 7)))
    with pytest.raises(FrameError, match=r"no row between 1925-04-07 and 2025-04-07\. Is a year mistyped"):
        detect_sales(pl.concat([typed, frame], how="vertical_relaxed"))
