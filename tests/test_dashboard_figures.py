"""What pages show equals what SQL says about the same snapshot."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import altair as alt
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dashboard import bars, charts
from dashboard.figures.expected import day_level, expected_day, known_until
from dashboard.figures.incidents import IncidentFigures, incident_figures, known_incidents, window_of
from dashboard.figures.live import Live, day_start_of, incidents_of_the_day, live_figures
from dashboard.figures.markets import _hit_days, market_figures
from dashboard.figures.people import people_in
from dashboard.report.pictures import svg_of
from dashboard.texts import LANGUAGES, texts_in
from tests.dashboard_data import EARLIER, LAUNCH, ONSET, SEOUL, count_until, publish_incident, publish_launch_day, replace_table
from warehouse.analysis import estimate_loss
from warehouse.analysis.loss import HISTORY_DAYS
from warehouse.losses import exclusions, loss_between
from warehouse.reading import Snapshot, open_snapshot

WAITING_ELSEWHERE = {"queue_length": 90_000, "abandoned": 700}
DAY = "minute_at >= TIMESTAMP '2025-02-28 15:00' AND minute_at < TIMESTAMP '2025-03-01 15:00'"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    with open_snapshot(publish_launch_day(tmp_path_factory.mktemp("published"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def live(snapshot: Snapshot) -> Live:
    return live_figures(snapshot, band_of(snapshot))


@pytest.fixture(scope="module")
def outage(snapshot: Snapshot) -> IncidentFigures:
    return incident_figures(snapshot, next(i for i in known_incidents(snapshot) if i.incident_id == LAUNCH))


def band_of(snapshot: Snapshot) -> pl.DataFrame:
    start = day_start_of(snapshot.manifest)
    as_of = known_until(incidents_of_the_day(snapshot, start), start)
    return expected_day(snapshot, start, as_of, day_level(snapshot, start, as_of))


def answer(snapshot: Snapshot, sql: str) -> int:
    return int(snapshot.connection.execute(sql).fetchall()[0][0])


def test_sales_today_equal_sql_to_the_won(snapshot: Snapshot, live: Live) -> None:
    assert live.sales == answer(snapshot, f"SELECT sum(approved_amount) FROM market_minute WHERE {DAY}")
    assert live.markets["sales"].sum() == live.sales


def test_steps_stop_at_the_watermark_so_that_an_unfinished_one_is_no_drop(snapshot: Snapshot, live: Live) -> None:
    assert live.closed_until == datetime(2025, 3, 1, 19, 55, tzinfo=SEOUL)
    assert live.steps["at"].max() == live.closed_until - timedelta(minutes=5)
    assert (
        live.closed_sales
        == live.steps["sales"].sum()
        == answer(snapshot, f"SELECT sum(approved_amount) FROM market_minute WHERE {DAY} AND minute_at < '2025-03-01 10:55'")
    )


def test_failures_and_declines_are_shares_of_the_same_attempts(snapshot: Snapshot, live: Live) -> None:
    failed, declined, approved = (answer(snapshot, f"SELECT sum({name}) FROM market_minute WHERE {DAY}") for name in ("failed", "declined", "approved"))
    assert live.today.failure == failed / (failed + declined + approved)
    assert live.today.decline == declined / (failed + declined + approved)
    assert live.recent.failure is not None
    assert live.recent.failure > 0.7


def test_a_rate_of_few_attempts_is_not_shown(live: Live) -> None:
    few = live.steps.filter(pl.col("attempts") < 30)
    assert len(few)
    assert few["failure_rate"].is_null().all()
    assert live.steps.filter(pl.col("attempts") >= 30)["failure_rate"].is_not_null().all()


def test_the_band_covers_the_whole_day_and_does_not_learn_from_the_incident(snapshot: Snapshot, live: Live, tmp_path: Path) -> None:
    assert len(live.band) == 288
    assert (live.band["low"] <= live.band["expected"]).all()
    assert (live.band["expected"] <= live.band["high"]).all()
    with open_snapshot(publish_launch_day(tmp_path, clock=datetime(2025, 3, 1, 11, tzinfo=SEOUL))) as an_hour_in:
        assert_frame_equal(band_of(an_hour_in), live.band)


def test_before_an_incident_the_band_does_not_chase_the_sales_of_the_day(tmp_path: Path) -> None:
    with open_snapshot(publish_launch_day(tmp_path / "early", clock=datetime(2025, 3, 1, 3, tzinfo=SEOUL))) as early:
        before = band_of(early)
    with open_snapshot(publish_launch_day(tmp_path / "late", clock=datetime(2025, 3, 1, 9, tzinfo=SEOUL))) as late:
        assert_frame_equal(band_of(late), before)


def test_a_platform_without_load_reports_has_no_queue_rather_than_an_empty_one(tmp_path: Path) -> None:
    with open_snapshot(publish_launch_day(tmp_path, load_reports=False)) as without:
        assert live_figures(without, pl.DataFrame(schema={"at": pl.Datetime("us", "Asia/Seoul"), "expected": pl.Float64})).load is None


def test_the_queue_is_the_one_of_the_service_queue_whoever_else_reports_one(tmp_path: Path) -> None:
    folder = publish_launch_day(tmp_path)
    with open_snapshot(folder) as before:
        load = before.sql("FROM load_minute")
    elsewhere = {
        name: pl.when(pl.col("service") == "login").then(pl.lit(number, pl.Int64)).otherwise(pl.col(name)) for name, number in WAITING_ELSEWHERE.items()
    }
    replace_table(folder, "load_minute", load.with_columns(**elsewhere))
    with open_snapshot(folder) as snapshot:
        live = live_figures(snapshot, band_of(snapshot)).queue
        (launch,) = (one for one in known_incidents(snapshot) if one.incident_id == LAUNCH)
        outage = incident_figures(snapshot, launch)
        queue = snapshot.query("queue_by_minute", start=outage.incident.onset_at, end=outage.until)
    real = load.filter(service="queue")
    today = real.filter(pl.col("minute_at") >= datetime(2025, 2, 28, 15))
    assert (live["queue_length"].max(), live["abandoned"].sum()) == (today["queue_length"].max(), today["abandoned"].sum())
    assert (queue["queue_length"].max(), queue["abandoned"].sum()) == (outage.people.longest_queue, outage.people.abandoned)


def test_failed_purchases_with_numbers_and_no_amounts_are_said_to_lack_amounts(tmp_path: Path) -> None:
    noon = datetime(2025, 2, 12, 13, tzinfo=SEOUL)
    folder = publish_incident(tmp_path, noon, noon + timedelta(hours=1))
    with open_snapshot(folder) as before:
        failed = before.sql(
            "SELECT * REPLACE (uuid()::VARCHAR AS purchase_id, TIMESTAMP '2025-02-12 04:05' AS first_failure_at) FROM failed_purchase LIMIT 100"
        )
    nothing = {name: pl.lit(None, failed.schema[name]) for name in ("amount", "recovered_at", "recovered_amount")}
    replace_table(folder, "failed_purchase", failed.with_columns(**nothing))
    with open_snapshot(folder) as snapshot:
        (incident,) = known_incidents(snapshot)
        assert incident_figures(snapshot, incident).why_no_net == "no_amounts"


def test_a_day_that_has_just_begun_has_figures_and_no_steps(tmp_path: Path) -> None:
    with open_snapshot(publish_launch_day(tmp_path, clock=datetime(2025, 3, 1, 0, 0, 30, tzinfo=SEOUL))) as midnight:
        live = live_figures(midnight, band_of(midnight))
    assert live.closed_until == live.day_start
    assert len(live.steps) == 0
    assert live.expected is None
    assert live.against_expected is None


def test_an_open_incident_is_estimated_until_the_watermark(snapshot: Snapshot, outage: IncidentFigures) -> None:
    assert outage.incident.open
    assert (outage.start, outage.end) == (datetime(2025, 3, 1, 10, 0, tzinfo=SEOUL), datetime(2025, 3, 1, 19, 50, tzinfo=SEOUL))
    assert outage.loss is not None
    assert round(outage.loss.observed) == answer(
        snapshot, "SELECT sum(approved_amount) FROM market_minute WHERE minute_at >= '2025-03-01 01:00' AND minute_at < '2025-03-01 10:50'"
    )
    assert outage.loss.low <= outage.loss.lost <= outage.loss.high
    assert outage.loss.lost > 0


def test_a_declared_incident_that_is_open_has_passed_the_limits_that_it_has_lasted_for(tmp_path: Path) -> None:
    publish_incident(tmp_path, ONSET, None, kind="declared", declared_by="ops")
    with open_snapshot(tmp_path) as opened:
        shown = incident_figures(opened, known_incidents(opened)[0])
    assert [rule.exceeded for rule in shown.rules] == [True, True, True]
    assert shown.incident.goes_on_at(shown.end) == shown.end


def test_every_day_of_a_declared_incident_that_is_open_is_marked_in_a_market_s_days(tmp_path: Path) -> None:
    publish_incident(tmp_path, ONSET - timedelta(days=2), None, kind="declared", declared_by="ops")
    with open_snapshot(tmp_path) as opened:
        market = opened.query("market_list").row(0, named=True)
        days = market_figures(opened, market, ONSET.replace(hour=0, minute=0)).days
    assert days.filter("incident")["day"].to_list() == [date(2025, 2, 27), date(2025, 2, 28), date(2025, 3, 1)]


def test_an_open_incident_that_was_detected_is_known_to_go_on_as_far_as_it_was_seen(outage: IncidentFigures) -> None:
    assert outage.incident.goes_on_at(outage.end) == outage.incident.last_seen_at


def test_an_ended_incident_is_estimated_until_its_end(tmp_path: Path) -> None:
    ended = datetime(2025, 3, 1, 18, 3, tzinfo=SEOUL)
    with open_snapshot(publish_launch_day(tmp_path, ended_at=ended)) as closed:
        incident = known_incidents(closed)[0]
        assert not incident.open
        assert incident.lasted(closed.manifest.now) == ended - ONSET
        assert window_of(incident, closed.manifest.watermark)[1] == datetime(2025, 3, 1, 18, 10, tzinfo=SEOUL)


@pytest.mark.parametrize(
    ("ended", "watermark", "why"),
    [
        (ONSET + timedelta(hours=10), ONSET - timedelta(hours=1), "too_early"),
        (ONSET + timedelta(hours=10), ONSET + timedelta(minutes=5), "too_early"),
        (ONSET + timedelta(minutes=3), ONSET + timedelta(minutes=5), "too_early"),
        (ONSET + timedelta(minutes=3), ONSET + timedelta(minutes=6), None),
        (ONSET, ONSET + timedelta(minutes=6), None),
    ],
)
def test_an_incident_is_short_by_its_own_times_and_not_by_what_is_counted(tmp_path: Path, ended: datetime, watermark: datetime, why: str | None) -> None:
    publish_incident(tmp_path, min(ONSET, ended), ended)
    with open_snapshot(count_until(tmp_path, watermark)) as behind:
        assert incident_figures(behind, known_incidents(behind)[0]).why_no_loss == why


@pytest.mark.parametrize(("factor", "why"), [(2.0, None), (-1.0, "unusable")])
def test_a_value_that_no_estimate_takes_is_said_and_the_rest_of_the_page_stands(tmp_path: Path, factor: float, why: str | None) -> None:
    publish_launch_day(tmp_path)
    spans = {"starts_at": [datetime(2025, 2, 3)], "ends_at": [datetime(2025, 2, 4)]}
    replace_table(tmp_path, "promotion", pl.DataFrame({"label": ["설"], **spans, "factor": [factor]}))
    with open_snapshot(tmp_path) as changed:
        shown = incident_figures(changed, known_incidents(changed)[0])
    assert (shown.why_no_loss, shown.account is None, shown.padded is None) == (why, why is not None, why is not None)
    assert shown.purchases.purchases > 0


def test_an_incident_that_nobody_ends_for_months_has_no_estimate_and_the_texts_say_how_long_one_may_be(tmp_path: Path) -> None:
    publish_incident(tmp_path, datetime(2024, 12, 10, 10, tzinfo=SEOUL), None, kind="declared", declared_by="김")
    with open_snapshot(tmp_path) as forgotten:
        shown = incident_figures(forgotten, known_incidents(forgotten)[0])
    assert (shown.why_no_loss, shown.account) == ("too_long", None)
    for language in LANGUAGES:
        assert str(HISTORY_DAYS) in texts_in(language)("incidents.too_long")


def test_where_no_shortfall_is_told_apart_from_chance_nothing_is_said_of_where_it_fell(tmp_path: Path) -> None:
    publish_incident(tmp_path, datetime(2025, 2, 13, 12, tzinfo=SEOUL), datetime(2025, 2, 13, 14, tzinfo=SEOUL), kind="declared", declared_by="김")
    with open_snapshot(tmp_path) as quiet:
        shown = incident_figures(quiet, known_incidents(quiet)[0])
    assert shown.loss is not None and shown.loss.low < 0
    assert (shown.loss.by_market["lost"] > 0).any()
    assert shown.concentration is None


def test_the_incident_page_counts_failed_and_recovered_purchases(snapshot: Snapshot, outage: IncidentFigures) -> None:
    assert outage.purchases.purchases == answer(snapshot, "SELECT count(*) FROM failed_purchase")
    assert outage.purchases.recovered == answer(snapshot, "SELECT count(recovered_at) FROM failed_purchase")
    assert outage.purchases.unrecovered_amount == answer(snapshot, "SELECT sum(amount) FROM failed_purchase WHERE recovered_at IS NULL")


def test_an_incident_of_a_region_is_estimated_from_its_own_markets(snapshot: Snapshot) -> None:
    regional = next(i for i in known_incidents(snapshot) if i.scope == "region")
    shown = incident_figures(snapshot, regional)
    assert shown.regions["name"].to_list() == ["부산광역시"]
    assert shown.steps.filter("inside")["sales"].sum() == answer(
        snapshot,
        "SELECT sum(approved_amount) FROM market_minute JOIN market USING (market_id) WHERE region = '부산광역시' AND minute_at >= '2025-02-12 04:00' AND minute_at < '2025-02-12 04:50'",
    )


def test_the_steps_of_the_chart_add_up_to_the_estimate(outage: IncidentFigures) -> None:
    assert outage.loss is not None
    assert outage.steps.filter("inside")["expected"].sum() == pytest.approx(outage.loss.expected)
    assert outage.cumulative == pytest.approx(outage.loss.lost)


def test_where_nobody_failed_nobody_is_affected_and_where_no_buyer_is_known_nobody_knows_how_many(tmp_path: Path) -> None:
    folder = publish_launch_day(tmp_path)
    quiet, launch = ((datetime(2025, month, day, 10, tzinfo=SEOUL), datetime(2025, month, day, 20, tzinfo=SEOUL)) for month, day in ((2, 12), (3, 1)))

    def buyers(start: datetime, end: datetime) -> int | None:
        with open_snapshot(folder) as opened:
            return people_in(opened, start, end, scope="nation", scope_name="").buyers

    assert buyers(*quiet) == 0
    assert (buyers(*launch) or 0) > 0
    replace_table(folder, "failed_purchase", pl.read_parquet(folder / "failed_purchase-v1.parquet").with_columns(user_key=None))
    assert (buyers(*quiet), buyers(*launch)) == (0, None)


def test_markets_hit_hardest_come_first_with_their_names(outage: IncidentFigures) -> None:
    assert outage.markets["lost"].is_sorted(descending=True)
    assert outage.markets["name"].str.ends_with("시장").all()
    assert len(outage.markets) == 10


@pytest.mark.parametrize(("hours", "minutes"), [((10, 19), (0, 0)), ((10, 19), (10, 40)), ((10, 18), (0, 50)), ((10, 10), (20, 30))])
def test_a_loss_from_whole_hours_of_history_is_that_of_ten_minute_rows(snapshot: Snapshot, hours: tuple[int, int], minutes: tuple[int, int]) -> None:
    start, end = (datetime(2025, 3, 1, hour, minute, tzinfo=SEOUL) for hour, minute in zip(hours, minutes, strict=True))
    found = loss_between(snapshot, start, end)
    fine = snapshot.sql(
        "SELECT time_bucket(INTERVAL 10 MINUTE, minute_at) AT TIME ZONE 'UTC' AS \"at\", market_id, region, channel, sum(approved_amount)::BIGINT AS sales "
        "FROM market_minute LEFT JOIN market USING (market_id) GROUP BY ALL"
    )
    slowly = estimate_loss(fine, start, end, as_of=end, exclusions=exclusions(snapshot))
    for figure in ("expected", "observed", "lost", "low", "high"):
        assert getattr(found, figure) == pytest.approx(getattr(slowly, figure), rel=1e-9)
    assert_frame_equal(found.by_market, slowly.by_market)
    assert_frame_equal(found.by_channel, slowly.by_channel)
    window = f"minute_at >= '{start.astimezone(UTC):%F %T}' AND minute_at < '{end.astimezone(UTC):%F %T}'"
    assert found.observed == answer(snapshot, f"SELECT sum(approved_amount) FROM market_minute WHERE {window}")


def test_an_hour_that_had_begun_before_the_first_payment_is_no_example(tmp_path: Path) -> None:
    start, end = datetime(2025, 3, 1, 10, 0, tzinfo=SEOUL), datetime(2025, 3, 1, 12, 0, tzinfo=SEOUL)
    with open_snapshot(publish_launch_day(tmp_path)) as snapshot:
        whole = loss_between(snapshot, start, end)
        # The first day of all loses its first hours, and half of the hour from 10 on.
        first = "TIMESTAMP '2025-01-18 01:30'"
        snapshot.connection.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM market_minute WHERE minute_at >= {first}")
        snapshot.connection.execute("CREATE OR REPLACE VIEW market_minute AS SELECT * FROM kept")
        half = loss_between(snapshot, start, end)
        snapshot.connection.execute("CREATE OR REPLACE VIEW market_minute AS SELECT * FROM kept WHERE minute_at >= TIMESTAMP '2025-01-18 02:00'")
        assert loss_between(snapshot, start, end).expected == half.expected
        assert half.expected != whole.expected


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_chart_is_sound_vega_lite_and_draws_only_data_that_it_is_given(live: Live, outage: IncidentFigures, language: str) -> None:
    texts = texts_in(language)
    day, window = (live.day_start, live.day_end), (outage.steps["at"][0], outage.end)
    drawings = [
        charts.sales_chart(live.steps, live.band, live.incidents, *day, texts),
        charts.sales_chart(outage.steps, outage.steps, outage.spans, *window, texts, loss=True),
        charts.rates_chart(live.steps, live.incidents, *day, texts),
        charts.queue_chart(live.queue, live.incidents, *day, texts),
        charts.cumulative_chart(outage.steps, *window, texts),
        charts.hardest_chart(outage.regions, texts),
    ]
    for drawing in drawings:
        alt.LayerChart.from_dict(drawing.spec)
        named = {part["data"]["name"] for part in (drawing.spec, *drawing.spec["layer"]) if "data" in part}
        assert named == set(drawing.data)


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("worst", [0.002, 0.024, 0.31, 1.0])
def test_no_two_marks_of_a_rate_read_the_same(outage: IncidentFigures, worst: float, language: str) -> None:
    steps = outage.steps.with_columns(failure_rate=pl.lit(worst), decline_rate=pl.lit(worst / 3))
    marks = [mark for mark in marks_of(charts.rates_chart(steps, outage.spans, outage.steps["at"][0], outage.end, texts_in(language))) if "%" in mark]
    assert len(set(marks)) == len(marks) > 2
    assert max(len(mark) for mark in marks) <= 6


@pytest.mark.parametrize(("days", "dated"), [(1, False), (2, True), (17, True)])
def test_a_time_axis_of_more_than_a_day_has_dates(outage: IncidentFigures, days: int, dated: bool) -> None:  # noqa: FBT001
    end = ONSET + timedelta(days=days)
    marks = [mark for mark in marks_of(charts.cumulative_chart(outage.steps, ONSET, end, texts_in("en"))) if ":" in mark]
    assert len(set(marks)) == len(marks) > 2
    assert {bool(re.fullmatch(r"\d\d/\d\d \d\d:\d\d", mark)) for mark in marks} == {dated}
    spans = outage.spans.with_columns(ended_at=pl.lit(end), until=pl.lit(end))
    (label,) = charts.rates_chart(outage.steps, spans, ONSET, end, texts_in("en")).data["spans"]["label"]
    assert ("1 Mar 10:04" in label) == dated


def marks_of(drawing: charts.Drawing) -> list[str]:
    """What is written at the axes of a chart."""
    return [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg_of(drawing)) if text]


def test_a_chart_is_made_once_and_given_to_each_page_as_its_own(live: Live) -> None:
    first, second = (charts.queue_chart(live.queue, live.incidents, live.day_start, live.day_end, texts_in("ko")).spec for _ in range(2))
    assert first == second
    first["layer"].clear()
    assert second["layer"]


def test_a_market_s_days_with_an_incident_are_those_that_reached_it(snapshot: Snapshot) -> None:
    earlier = next(incident for incident in known_incidents(snapshot) if incident.incident_id == EARLIER)
    day = earlier.onset_at.replace(hour=0, minute=0)
    markets = snapshot.query("market_list")

    def hit(market: dict[str, object]) -> tuple[bool, list[str]]:
        found = market_figures(snapshot, market, day)
        return found.days.filter(pl.col("day") == day.date())["incident"].item(), found.incidents["incident_id"].to_list()

    within = markets.filter(region=earlier.scope_name).row(0, named=True)
    elsewhere = markets.filter(pl.col("region") != earlier.scope_name).row(0, named=True)
    assert hit(within) == (True, [EARLIER])
    assert hit(elsewhere) == (False, [])


def test_days_that_maintenance_or_an_exclusion_covers_most_of_are_told_as_closed(tmp_path: Path) -> None:
    noon = datetime(2025, 2, 10, 12)  # UTC
    spans = [
        {"label": "all", "starts_at": noon - timedelta(hours=10), "ends_at": noon + timedelta(hours=3), "market_id": None},
        {"label": "half", "starts_at": noon + timedelta(hours=15), "ends_at": noon + timedelta(hours=27), "market_id": None},
        {"label": "another", "starts_at": noon - timedelta(days=2), "ends_at": noon, "market_id": "M001"},
    ]
    with open_snapshot(publish_launch_day(tmp_path, exclusions=spans)) as opened:
        market = opened.query("market_list").filter(market_id="M000").row(0, named=True)
        found = market_figures(opened, market, ONSET.replace(hour=0, minute=0))
        away = [date(2025, 2, 10), *(date(2025, 2, day) for day in range(15, 29))]
        assert found.days.filter("closed")["day"].to_list() == away
        drawn = charts_of_days(found.days, "ko")
        assert [drawn[day] for day in ("02-10", "02-11", "02-15", "03-01")] == ["점검", "다른 날", "점검", "장애가 있던 날"]


def charts_of_days(days: pl.DataFrame, language: str) -> dict[str, str]:
    shown = bars.days_chart(days, texts_in(language)).data["days"]
    return dict(shown.select("label", "kind").iter_rows())


def test_days_that_a_backlog_has_not_reached_are_left_out_of_a_market_s_days(snapshot: Snapshot) -> None:
    market = snapshot.query("market_list").row(5, named=True)
    day = datetime(2025, 2, 12, tzinfo=SEOUL)
    manifest = replace(snapshot.manifest, watermark=datetime(2025, 2, 10, 3, 10, tzinfo=UTC))
    behind = market_figures(replace(snapshot, manifest=manifest), market, day)
    assert (behind.closed, len(behind.steps), behind.expected) == (day, 0, None)
    assert behind.days["day"].max() == date(2025, 2, 10)
    whole_days = behind.days.filter(pl.col("day") < date(2025, 2, 10), pl.col("sales") > 0, ~pl.col("market_day"))
    assert behind.ordinary_day_sales == pytest.approx(whole_days["sales"].mean())
    whole = market_figures(snapshot, market, day)
    assert (whole.closed, len(whole.steps), whole.days["day"].max()) == (whole.day_end, 48, day.date())


def test_a_market_s_band_adds_up_to_what_the_estimate_of_all_markets_gives_it(snapshot: Snapshot) -> None:
    day = day_start_of(snapshot.manifest)
    level = day_level(snapshot, day, known_until(incidents_of_the_day(snapshot, day), day))
    market = snapshot.query("market_list").row(5, named=True)
    band = market_figures(snapshot, market, day).band
    assert level is not None
    assert level.start == datetime(2025, 3, 1, 10, 0)
    of_market = level.by_market.filter(market_id=market["market_id"])["expected"].item()
    assert band.filter(pl.col("at") >= datetime(2025, 3, 1, 10, 0, tzinfo=SEOUL))["expected"].sum() == pytest.approx(of_market)


@pytest.fixture(scope="module")
def cycles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    """Four weeks up to 11 February of markets that sell ten thousand an hour, and three times as much on days that end in 2 and 7."""
    folder = publish_launch_day(tmp_path_factory.mktemp("cycles"), history=False)
    markets = pl.DataFrame({"market_id": [f"M{number}" for number in range(8)], "name": "시장", "region": "경기도", "district": "중구", "cycle": "2,7"})
    first = datetime(2025, 1, 13, 15)
    hours = pl.DataFrame({"minute_at": pl.datetime_range(first, datetime(2025, 2, 11, 14), "1h", eager=True)})
    local = pl.col("minute_at").dt.offset_by("9h").dt
    sold = hours.filter(local.hour().is_between(8, 19)).with_columns(approved_amount=10_000 * pl.when((local.day() % 5) == 2).then(3).otherwise(1))
    minutes = markets.select("market_id").join(sold, how="cross").with_columns(channel=pl.lit("card"), approved=1)
    for table, frame in (("market", markets), ("market_minute", minutes)):
        replace_table(folder, table, frame)
    with open_snapshot(folder) as opened:
        yield opened


def test_the_band_of_a_market_day_is_higher_before_anything_is_sold_on_it(cycles: Snapshot) -> None:
    day = datetime(2025, 2, 12, tzinfo=SEOUL)
    level = day_level(cycles, day, day)
    assert expected_day(cycles, day, day, level)["expected"].sum() == pytest.approx(8 * 12 * 30_000, rel=0.1)
    # A course that knows the nation alone takes the day for any Wednesday.
    assert expected_day(cycles, day, day, None)["expected"].sum() < 8 * 12 * 20_000
    market = cycles.query("market_list").row(0, named=True)
    assert market_figures(cycles, market, day).band["expected"].sum() == pytest.approx(12 * 30_000, rel=0.1)


def test_of_an_incident_since_days_the_band_has_the_day_s_own_share(cycles: Snapshot) -> None:
    day = datetime(2025, 2, 12, tzinfo=SEOUL)
    level, since_days = day_level(cycles, day, day), day_level(cycles, day, day - timedelta(hours=38))
    assert level is not None and since_days is not None
    assert (since_days.start, since_days.expected) == (level.start, level.expected)


def test_an_incident_that_nobody_ends_has_figures_after_months_too(tmp_path: Path) -> None:
    onset = datetime(2025, 1, 27, 15, 0, tzinfo=SEOUL)
    folder = publish_incident(tmp_path, onset, None, kind="declared", declared_by="운영", peak_failure_rate=None)
    with open_snapshot(folder) as opened:
        found = incident_figures(opened, known_incidents(opened)[0])
    at = found.steps["at"]
    assert (at.min(), at.max()) == (onset - timedelta(hours=2), found.end - timedelta(minutes=10))
    assert found.end - found.start > timedelta(days=32)
    assert at.n_unique() == len(at)
    assert found.steps["expected"].null_count() == 0


def test_an_incident_that_ends_at_midnight_has_not_touched_the_next_day(snapshot: Snapshot) -> None:
    midnight = datetime(2025, 3, 2, tzinfo=SEOUL)
    ended = snapshot.query("incidents_newest_first").head(1).with_columns(onset_at=pl.lit(midnight - timedelta(hours=8)), ended_at=pl.lit(midnight))
    assert _hit_days(ended, midnight + timedelta(hours=1)) == [date(2025, 3, 1)]
