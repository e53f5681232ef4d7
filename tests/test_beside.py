"""What people tell of their own sales beside them: market days, promotions, other incidents."""

import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tests.test_cli import onnuri  # noqa: F401  # a fixture
from warehouse.analysis import FrameError, detect_sales, estimate_loss

FIRST = datetime(2025, 3, 3)
MARKET_DAY, SINCE = datetime(2025, 5, 17), datetime(2025, 5, 1)


def market(seed: int = 0, days: int = 84) -> pl.DataFrame:
    """Hourly sales of one market whose days 2 and 7 carry four times another day."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in range(days):
        at = FIRST + timedelta(days=day)
        level = (4.0 if at.day % 5 == 2 else 1.0) * np.exp(rng.normal(0, 0.12)) * (1.0, 1.0, 1.0, 1.0, 1.1, 1.2, 0.8)[at.weekday()]
        counts = rng.poisson(12 * level, 12)
        rows += [(at + timedelta(hours=8 + hour), "m", 25_000.0 * count) for hour, count in enumerate(counts) if count]
    return pl.DataFrame(rows, schema=["at", "market_id", "sales"], orient="row")


CYCLES = pl.DataFrame({"market_id": ["m"], "days": ["2,7"]})


def test_market_days_are_no_incidents_of_the_days_between_them() -> None:
    without, told = (sum(len(detect_sales(market(seed), since=SINCE, cycles=cycles)) for seed in range(4)) for cycles in (None, CYCLES))
    # four times four weeks, and a budget of one a week
    assert told <= 6
    assert told < without


def test_an_incident_of_a_market_day_is_found_among_market_days() -> None:
    during = pl.col("at").is_between(MARKET_DAY + timedelta(hours=10), MARKET_DAY + timedelta(hours=15), closed="left")
    # what is left is more than an ordinary day sells
    frame = market().with_columns(sales=pl.when(during).then(pl.col("sales") * 0.35).otherwise("sales"))
    onsets = detect_sales(frame, since=MARKET_DAY, cycles=CYCLES)["onset_at"].dt.date().to_list()
    assert MARKET_DAY.date() in onsets
    with pytest.raises(FrameError, match="exclusions: expected spans of all markets, got one of 'm'"):
        detect_sales(frame, exclusions=pl.DataFrame({"start": [MARKET_DAY], "end": [SINCE], "market_id": ["m"]}).select("market_id", start="end", end="start"))
    with pytest.raises(FrameError, match="cycles: expected a column 'market_id' in sales"):
        detect_sales(frame.drop("market_id"), cycles=CYCLES)


def test_ten_market_days_of_one_market_tell_what_they_carry() -> None:
    window = MARKET_DAY + timedelta(hours=10), MARKET_DAY + timedelta(hours=14)
    off = [
        [abs(found.lost / found.observed) for found in (estimate_loss(market(seed), *window, cycles=cycles, as_of=window[1]) for seed in range(8))]
        for cycles in (CYCLES, None)
    ]
    assert np.mean(off[0]) < 0.7 * np.mean(off[1])


@pytest.fixture
def files(tmp_path):
    sales = market()
    during = pl.col("at").is_between(MARKET_DAY + timedelta(hours=10), MARKET_DAY + timedelta(hours=14), closed="left")
    sales.with_columns(sales=pl.when(during).then(0.0).otherwise("sales"), region=pl.lit("r")).write_csv(tmp_path / "mine.csv")
    (tmp_path / "cycles.csv").write_text('market_id,days\nm,"2,7"\n')
    (tmp_path / "others.csv").write_text('market_id,days\nelsewhere,"2,7"\n')
    (tmp_path / "spans.csv").write_text("start,end\n2025-05-12 08:00,2025-05-13 20:00\n")
    (tmp_path / "promotions.csv").write_text("start,end,factor\n2025-05-17 10:00,2025-05-17 14:00,2\n")
    return tmp_path


WINDOW = ("--from", "2025-05-17T10:00", "--to", "2025-05-17T14:00", "--format", "json")


def test_the_command_tells_the_estimate_what_it_is_given(onnuri, files):  # noqa: F811
    def expected(*more):
        shown = onnuri("estimate", "--sales", files / "mine.csv", *WINDOW, *more)
        assert shown.code == 0, shown.said
        return json.loads(shown.out)[0]["expected"]

    plain = expected()
    sales, window = pl.read_csv(files / "mine.csv", try_parse_dates=True), (MARKET_DAY + timedelta(hours=10), MARKET_DAY + timedelta(hours=14))
    told = expected("--cycles", files / "cycles.csv")
    assert told == round(estimate_loss(sales, *window, cycles=CYCLES).expected) != plain
    assert expected("--promotions", files / "promotions.csv") == pytest.approx(2 * plain, rel=0.2)
    assert expected("--exclusions", files / "spans.csv") != plain
    assert expected("--market", "m") == plain
    found = onnuri(
        "detect", "--sales", files / "mine.csv", "--cycles", files / "cycles.csv", "--exclusions", files / "spans.csv", "--from", "2025-05-17", "--json"
    )
    assert [row["onset_at"][:10] for row in json.loads(found.out)][:1] == ["2025-05-17"]
    ahead = onnuri("forecast", "--sales", files / "mine.csv", "--by", "market", "--cycles", files / "cycles.csv", "--days", "10", "--format", "json")
    assert ahead.code == 0, ahead.said
    by_day = {row["date"][8:10]: row["q50"] for row in json.loads(ahead.out)}
    assert by_day["27"] > 2 * by_day["28"]


def test_amounts_in_a_unit_of_one_s_own_keep_their_digits(onnuri, files):  # noqa: F811
    pl.read_csv(files / "mine.csv").with_columns(pl.col("sales") / 1e6).write_csv(files / "millions.csv")
    won, millions = (json.loads(onnuri("estimate", "--sales", files / name, *WINDOW).out)[0] for name in ("mine.csv", "millions.csv"))
    for figure in ("expected", "lost", "high"):
        assert millions[figure] == pytest.approx(won[figure] / 1e6, rel=2e-3)
    ahead = ("forecast", "--days", "2", "--format", "json", "--sales")
    won, millions = (json.loads(onnuri(*ahead, files / name).out)[0]["q50"] for name in ("mine.csv", "millions.csv"))
    assert millions == pytest.approx(won / 1e6, rel=2e-3)


def test_a_file_that_ends_days_before_the_window_is_used_where_it_is_said_to_be_complete(onnuri, files):  # noqa: F811
    sales = pl.read_csv(files / "mine.csv", try_parse_dates=True)
    sales.filter(pl.col("at") < MARKET_DAY - timedelta(days=2)).write_csv(files / "quiet.csv")
    refused = onnuri("estimate", "--sales", files / "quiet.csv", *WINDOW)
    assert "(--complete-until)" in refused.said
    found = json.loads(onnuri("estimate", "--sales", files / "quiet.csv", *WINDOW, "--complete-until", "2025-05-17T14:00").out)[0]
    assert (found["observed"], "no_rows_after" in found["warnings"]) == (0, False)
    assert found["lost"] == found["expected"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["estimate", *WINDOW, "--complete-until", "2025-05-17T14:00"], "Expected --sales FILE beside"),
        (["estimate", "--sales", "mine.csv", *WINDOW, "--cycles", "others.csv"], "expected markets of --sales such as 'm', got 'elsewhere'"),
        (["estimate", "--sales", "mine.csv", *WINDOW, "--market", "x"], "'x'"),
        (["estimate", *WINDOW, "--cycles", "cycles.csv", "--market", "m"], "Expected --sales FILE beside"),
        (["forecast", "--sales", "mine.csv", "--cycles", "cycles.csv"], "Say --by market, or leave --cycles out"),
    ],
)
def test_what_cannot_be_told_is_refused_in_words(onnuri, files, arguments, words):  # noqa: F811
    ended = onnuri(*arguments)
    assert ended.code != 0
    assert words in " ".join(ended.said.replace("│", " ").split())
    assert files.exists()
