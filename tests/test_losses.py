"""What an incident cost by every method there is, from what is published."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from dashboard.figures.methods import methods_of
from streams.estimating import SHARES, estimate_from_warehouse, tables_for_people
from streams.output import Format, show
from tests.dashboard_data import EARLIER, LAUNCH, ONSET, SEOUL, count_until, publish_incident, publish_launch_day, replace_table
from warehouse.analysis import AnalysisError, HistoryError
from warehouse.beside import remarks_beside
from warehouse.ladder import Scenario, ladder_of
from warehouse.losses import (
    HISTORY,
    account_between,
    estimated_window,
    exclusions,
    incident_account,
    incident_window,
    launch_between,
    loss_between,
    opened_before,
)
from warehouse.reading import open_snapshot
from warehouse.taking_back import taken_back

END = datetime(2025, 3, 1, 18, 0, tzinfo=SEOUL)


def utc(moment: datetime) -> datetime:
    return moment.astimezone(SEOUL).replace(tzinfo=None) - timedelta(hours=9)


def add(folder: Path, table: str, frame: pl.DataFrame) -> None:
    """Publish one more table, in place of the one that was there."""
    frame.write_parquet(folder / f"{table}-more.parquet")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][table] = [f"{table}-more.parquet"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def purchases(*, later: int, never: int) -> pl.DataFrame:
    """Purchases of 10,000 KRW that failed at the onset: some succeeded after the incident, the others never."""
    count = later + never
    return pl.DataFrame(
        {
            "purchase_id": [f"00000000-0000-0000-0000-{n:012d}" for n in range(count)],
            "user_key": pl.Series([None] * count, dtype=pl.String),
            "market_id": "m001",
            "channel": "card",
            "first_failure_at": utc(ONSET + timedelta(minutes=9)),
            "last_failure_at": utc(ONSET + timedelta(minutes=9)),
            "failures": 2,
            "amount": 10_000,
            "recovered_at": pl.Series([utc(END + timedelta(minutes=30))] * later + [None] * never, dtype=pl.Datetime("us")),
            "recovered_amount": pl.Series([10_000] * later + [None] * never, dtype=pl.Int64),
        }
    )


@pytest.fixture
def published(tmp_path: Path) -> Path:
    publish_launch_day(tmp_path, ended_at=END)
    add(tmp_path, "failed_purchase", purchases(later=30, never=70))
    return tmp_path


def test_an_incident_has_gross_net_merchants_loss_attempts_and_their_reconciliation(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        found = incident_account(snapshot, LAUNCH)
        window = incident_window(snapshot, LAUNCH)
        assert found.gross.lost == account_between(snapshot, *window).gross.lost
    assert (found.attempts.purchases, found.attempts.lost, found.attempts.never) == (100, 1_000_000, 700_000)
    assert found.attempts.incomplete
    assert found.net is not None
    assert found.net.made_up.share == pytest.approx(0.3)
    assert found.net.value == pytest.approx(0.7 * found.gross.lost)
    assert found.net.low < found.net.value < found.net.high
    assert found.merchants is not None and found.merchants["lost"][0] == found.net.value
    assert found.reconciliation.table["method"].to_list() == ["counterfactual", "attempts", "unseen", "net", "merchants_loss"]


@pytest.mark.parametrize(
    ("end", "watermark", "counted"), [((18, 0), (15, 3), (15, 0)), ((18, 0), (17, 59), (17, 50)), ((17, 57), (17, 59), (17, 50)), ((17, 57), (18, 0), None)]
)
def test_of_an_incident_that_is_not_all_counted_the_estimate_says_that_it_was_cut(
    tmp_path: Path, end: tuple[int, int], watermark: tuple[int, int], counted: tuple[int, int] | None
) -> None:
    publish_incident(tmp_path, ONSET, ONSET.replace(hour=end[0], minute=end[1]))
    count_until(tmp_path, ONSET.replace(hour=watermark[0], minute=watermark[1]))
    with open_snapshot(tmp_path) as snapshot:
        found = incident_account(snapshot, "i").gross
        start, reached = estimated_window(found)
        of_the_span = loss_between(snapshot, start, reached)
    row, told = estimate_from_warehouse(tmp_path, "i", None, None, 0.9, (1.0, 4.0))
    cut = [warning for warning in found.warnings if warning.code == "window_cut"]
    assert ([warning.values["until"] for warning in cut], [warning in told for warning in cut]) == (
        ([ONSET.replace(hour=counted[0], minute=counted[1], tzinfo=None)], [True]) if counted else ([], [])
    )
    assert (found.lost, found.low, found.high) == (of_the_span.lost, of_the_span.low, of_the_span.high)
    assert ("window_cut" in row["warnings"].item()) == bool(counted)


def test_without_ids_of_purchases_there_is_no_net_and_that_is_said(published: Path) -> None:
    add(published, "failed_purchase", purchases(later=30, never=70).with_columns(purchase_id=pl.lit(None, pl.String)))
    with open_snapshot(published) as snapshot:
        found = incident_account(snapshot, LAUNCH)
    assert found.net is None
    assert "net_unknown" in [remark.code for figure in found.reconciliation.figures for remark in figure.remarks]


def test_where_no_failed_purchase_has_an_amount_net_and_attempts_are_not_available(published: Path) -> None:
    nothing = pl.lit(None, pl.Int64)
    add(published, "failed_purchase", purchases(later=30, never=70).with_columns(amount=nothing, recovered_amount=nothing))
    with open_snapshot(published) as snapshot:
        start, end = incident_window(snapshot, LAUNCH)
        found = account_between(snapshot, start, end)
        span = {"start": start, "end": end, "scope": "nation", "scope_name": ""}
        counted, people = (snapshot.query(query, **span).row(0, named=True) for query in ("failed_purchases_in_span", "people_in_span"))
        nobody = snapshot.query("people_in_span", **{**span, "start": end}).row(0, named=True)
    assert found.net is None
    assert "net_unknown" in [remark.code for figure in found.reconciliation.figures for remark in figure.remarks]
    for figure in found.reconciliation.figures[1:3]:
        assert (figure.method in {"attempts", "unseen"}, figure.value, figure.low, figure.high) == (True, None, None, None)
    assert (counted["purchases"], counted["amount"], counted["unrecovered_amount"], people["lost_amount"]) == (100, None, None, None)
    assert nobody["lost_amount"] == 0


def test_what_was_paid_in_the_end_tells_what_a_purchase_without_an_amount_was_worth(published: Path) -> None:
    add(published, "failed_purchase", purchases(later=30, never=70).with_columns(amount=pl.lit(None, pl.Int64)))
    with open_snapshot(published) as snapshot:
        found = incident_account(snapshot, LAUNCH)
    assert found.net is not None
    assert found.net.made_up.share == pytest.approx(0.3)
    assert (found.attempts.lost, found.attempts.low) == (1_000_000, 300_000)


def test_claims_and_surveys_about_the_incident_are_compared(published: Path) -> None:
    said_at = datetime(2025, 3, 3)
    add(
        published,
        "claim",
        pl.DataFrame({"source": ["언론 보도", "다른 사건"], "incident_id": [LAUNCH, "x"], "amount": [10**13, 1], "claimed_at": said_at, "note": ""}),
    )
    add(published, "survey", pl.DataFrame({"label": ["조사"], "incident_id": [LAUNCH], "substitution": [0.5], "low": [0.4], "high": [0.6], "note": [""]}))
    with open_snapshot(published) as snapshot:
        found = incident_account(snapshot, LAUNCH)
    assert found.net is not None
    merchants, claim = found.reconciliation.figures[-2:]
    assert merchants.value == pytest.approx(found.net.value / 2)
    assert claim.value == 10**13
    assert [remark.code for remark in found.reconciliation.disagreements][-1] == "claim_above"


def test_a_platform_that_reports_no_load_has_no_figure_for_those_kept_out(tmp_path: Path) -> None:
    publish_launch_day(tmp_path, ended_at=END, load_reports=False)
    with open_snapshot(tmp_path) as snapshot:
        assert incident_account(snapshot, LAUNCH).attempts.unseen is None


def test_load_of_the_whole_platform_says_nothing_of_a_region(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        start, end = incident_window(snapshot, LAUNCH)
        assert account_between(snapshot, start, end).attempts.unseen is not None
        assert account_between(snapshot, start, end, scope="region", scope_name="부산광역시").attempts.unseen is None


def test_a_net_that_is_young_says_so_and_an_open_incident_has_none(published: Path, tmp_path: Path) -> None:
    with open_snapshot(published) as snapshot:
        net = incident_account(snapshot, LAUNCH).net
        assert net is not None
        assert net.remarks[-1].code == "net_so_far"
    publish_launch_day(tmp_path / "open")
    add(tmp_path / "open", "failed_purchase", purchases(later=30, never=70))
    with open_snapshot(tmp_path / "open") as snapshot:
        assert incident_account(snapshot, LAUNCH).net is None


def test_after_a_long_closure_the_account_holds_the_loss_as_a_function_of_demand(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        found = incident_account(snapshot, LAUNCH, factors=(1.0, 2.0))
        assert opened_before(snapshot, ONSET) == datetime(2025, 3, 1, tzinfo=SEOUL)
        assert opened_before(snapshot, datetime(2025, 2, 13, tzinfo=SEOUL)) is None
        ordinary = account_between(snapshot, datetime(2025, 2, 13, 11, tzinfo=SEOUL), datetime(2025, 2, 13, 13, tzinfo=SEOUL))
    assert found.launch is not None
    assert (found.launch.factor_low, found.launch.factor_high) == (1.0, 2.0)
    assert ordinary.launch is None


def test_on_a_launch_the_command_leads_with_the_range_and_ends_at_the_merchants_loss_of_the_page(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        found = incident_account(snapshot, LAUNCH)
        shown = methods_of(found, None)
    assert found.launch is not None
    row, warnings = estimate_from_warehouse(published, LAUNCH, None, None, 0.9, (0.5, 4.0))
    assert row.columns[:4] == ["from", "to", "launch_low", "launch_high"]
    told = row.row(0, named=True)
    assert (told["launch_low"], told["launch_high"], told["demand_low"], told["demand_high"]) == (round(found.launch.low), round(found.launch.high), 0.5, 4.0)
    assert (told["lost"], told["merchants_loss"]) == (round(found.gross.lost), None)
    ladder = ladder_of(found, Scenario())
    for name, step in (("net", ladder.net), ("merchants_loss", ladder.merchants)):
        assert (told[f"{name}_low"], told[f"{name}_high"]) == (round(step.low), round(step.high))
    assert [(method["method"], method["value"]) for method in told["methods"]] == [(method.name, method.value) for method in shown]
    assert told["methods"][0]["method"] == "launch"
    assert warnings[0] == found.launch.warnings[0]


def taken_back_more(folder: Path, share: float) -> None:
    """Publish the same sales, but so much of what was approved on the launch day was taken back in its minute."""
    with open_snapshot(folder) as snapshot:
        minutes = snapshot.sql("SELECT * FROM market_minute")
    today = pl.col("minute_at") >= utc(ONSET) - timedelta(minutes=4)
    taken = (pl.col("approved_amount") * share).cast(pl.Int64)
    replace_table(
        folder,
        "market_minute",
        minutes.with_columns(
            reversed=pl.when(today).then(pl.col("approved")).otherwise("reversed"), reversed_amount=pl.when(today).then(taken).otherwise("reversed_amount")
        ),
    )


def test_an_account_tells_what_was_taken_back_and_where_it_is_more_than_ordinary_that_the_gross_is_too_small(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        before = incident_account(snapshot, LAUNCH)
    assert before.taken_back.share == pytest.approx(0.004, abs=0.001)
    assert before.taken_back.usual == pytest.approx(0.004, abs=0.001)
    assert "taken_back" not in [warning.code for warning in before.gross.warnings]
    taken_back_more(published, 0.05)
    with open_snapshot(published) as snapshot:
        found = incident_account(snapshot, LAUNCH)
    assert found.taken_back.share == pytest.approx(0.05, abs=0.001)
    assert found.taken_back.amount == pytest.approx(0.05 * found.gross.observed, rel=0.01)
    assert found.taken_back.excess == pytest.approx(found.taken_back.amount - (found.taken_back.usual or 0) * found.gross.observed)
    assert found.gross.warnings[-1].code == "taken_back"
    assert found.gross.warnings[-1].values["amount"] == found.taken_back.excess
    assert (found.gross.lost, found.gross.observed) == (before.gross.lost, before.gross.observed)
    told, warnings = estimate_from_warehouse(published, LAUNCH, None, None, 0.9, (0.5, 4.0))
    assert told.row(0, named=True)["taken_back"] == found.taken_back.amount
    assert (told["taken_back_share"][0], told["taken_back_usual"][0]) == (found.taken_back.share, found.taken_back.usual)
    assert found.gross.warnings[-1] in warnings


def test_tables_for_people_say_the_coverage_the_currency_and_small_shares(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # on a launch the net is made of the ends of a range
    for asked, nets in (((LAUNCH, None, None), ["net"]), ((None, "2025-02-13T11:00", "2025-02-13T13:00"), [])):
        row, _ = estimate_from_warehouse(published, *asked, 0.5, (0.5, 4.0))
        assert (row["level"].item(), row["currency"].item()) == (0.5, "KRW")
        for table in tables_for_people(row):
            show(table, Format.table, shares=SHARES)
        printed = capsys.readouterr().out
        assert printed.count("50.0%") == 1 + sum(not method["ranged"] and method["low"] is not None for method in row["methods"][0])
        assert [method["method"] for method in row["methods"][0] if method["ranged"]] == ["attempts", "unseen", *nets, "merchants_loss"]
        assert "low (KRW)" in printed and "taken_back (KRW)" in printed
        assert 0.001 < row["taken_back_share"].item() < 0.005
        assert f"{row['taken_back_share'].item():.1%}" in printed


def test_claims_are_told_with_who_made_them(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources, amounts = ["언론 보도", "상인회"], [900_000_000, 90_000_000]
    add(
        published,
        "claim",
        pl.DataFrame({"source": sources, "incident_id": LAUNCH, "amount": amounts, "claimed_at": [datetime(2025, 3, 3), datetime(2025, 3, 5)], "note": ""}),
    )
    row, _ = estimate_from_warehouse(published, LAUNCH, None, None, 0.9, (0.5, 4.0))
    claims = [(method["source"], method["value"]) for method in row["methods"][0] if method["method"] == "claim"]
    assert claims == list(zip(sources, amounts, strict=True))
    show(tables_for_people(row)[1], Format.table, shares=SHARES)
    told = [line.split() for line in capsys.readouterr().out.splitlines() if "claim" in line]
    assert [("900,000,000" in words, "90,000,000" in words, "언론" in words, "상인회" in words) for words in told] == [
        (True, False, True, False),
        (False, True, False, True),
    ]
    spanned, _ = estimate_from_warehouse(published, None, "2025-02-13T11:00", "2025-02-13T13:00", 0.9, (0.5, 4.0))
    assert "source" not in tables_for_people(spanned)[1].columns, "nobody claims anything of it"


def test_a_few_reversals_in_one_market_and_a_history_without_sales_say_nothing(published: Path, tmp_path: Path) -> None:
    taken_back_more(published, 0.05)
    start = datetime(2025, 3, 1, 12, tzinfo=SEOUL)
    with open_snapshot(published) as snapshot:
        one = taken_back(snapshot, start - HISTORY, start, start + timedelta(minutes=10), scope="market", scope_name="M001")
    assert one.excess is not None
    assert (one.amount > 0, one.excess > 0, one.remarks) == (True, True, [])
    publish_launch_day(tmp_path / "new", ended_at=END, history=False)
    with open_snapshot(tmp_path / "new") as snapshot:
        new = taken_back(snapshot, datetime(2025, 3, 1, tzinfo=SEOUL) - HISTORY, datetime(2025, 3, 1, tzinfo=SEOUL), END)
    assert (new.share is not None, new.usual, new.excess, new.remarks) == (True, None, None, [])


def test_the_launch_is_a_function_of_demand(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        start, end = incident_window(snapshot, LAUNCH)
        found = launch_between(snapshot, start, end, factor_low=1.0, factor_high=3.0)
        observed = account_between(snapshot, start, end).gross.observed
    assert found.observed == observed
    assert found.factors["lost"].is_sorted()
    assert found.morning is not None


def test_a_channel_that_began_with_the_launch_has_no_range_and_the_figure_s_condition_is_said(tmp_path: Path) -> None:
    publish_incident(tmp_path, datetime(2025, 3, 1, 12, 5, tzinfo=SEOUL), datetime(2025, 3, 1, 14, tzinfo=SEOUL), scope="channel", scope_name="mobile")
    before = pl.read_parquet(tmp_path / "market_minute-history.parquet")
    today = pl.read_parquet(tmp_path / "market_minute-v1.parquet")
    # opened a day earlier, so that there is a day to expect something from, and none of the channel before the launch
    opened = pl.read_parquet(tmp_path / "maintenance-v1.parquet").with_columns(pl.col("ends_at") - timedelta(days=1))
    replace_table(tmp_path, "maintenance", opened)
    day_before = today.with_columns(pl.col("minute_at") - timedelta(days=1))
    replace_table(tmp_path, "market_minute", pl.concat([before.filter(pl.col("channel") != "mobile"), day_before, today]))
    with open_snapshot(tmp_path) as snapshot:
        found = incident_account(snapshot, "i")
    assert found.launch is None
    assert "launch_as_before" in [remark.code for remark in found.gross.warnings]


def test_announced_maintenance_in_a_window_is_said_with_its_hours(tmp_path: Path) -> None:
    publish_incident(tmp_path, datetime(2025, 2, 12, 10, tzinfo=SEOUL), datetime(2025, 2, 12, 16, tzinfo=SEOUL), kind="declared", declared_by="김")
    planned = {
        "label": "점검",
        "service": "payment",
        "starts_at": datetime(2025, 2, 12, 3),
        "ends_at": datetime(2025, 2, 12, 8),
        "announced_at": datetime(2025, 2, 10),
    }
    unplanned = {**planned, "starts_at": datetime(2025, 2, 12, 2), "announced_at": datetime(2025, 2, 12, 2)}
    other = {**planned, "service": "login"}
    replace_table(tmp_path, "maintenance", pl.DataFrame([planned, unplanned, other]))
    with open_snapshot(tmp_path) as snapshot:
        found = incident_account(snapshot, "i").gross.warnings
    said = [remark for remark in found if remark.code == "maintenance_within"]
    assert [dict(remark.values) for remark in said] == [{"start": datetime(2025, 2, 12, 12), "end": datetime(2025, 2, 12, 16)}]
    _, warnings = estimate_from_warehouse(tmp_path, None, "2025-02-12T10:00", "2025-02-12T16:00", 0.9, (0.5, 4.0))
    assert said[0] in warnings
    _, warnings = estimate_from_warehouse(tmp_path, None, "2025-02-12T10:00", "2025-02-12T12:00", 0.9, (0.5, 4.0))
    assert not [remark for remark in warnings if remark.code == "maintenance_within"]


def test_incidents_that_count_the_same_sales_name_each_other(tmp_path: Path) -> None:
    publish_launch_day(tmp_path)
    begun, over = datetime(2025, 2, 12, 2), datetime(2025, 2, 12, 4)
    like = {
        "kind": "failure_rate",
        "peak_failure_rate": 0.5,
        "evidence": "{}",
        "version": 1,
        "onset_at": begun,
        "detected_at": begun,
        "last_seen_at": over,
        "ended_at": over,
    }
    named = {
        "n": ("nation", ""),
        "r": ("region", "부산광역시"),
        "s": ("region", "서울특별시"),
        "m": ("market", "M001"),
        "c": ("channel", "card"),
        "d": ("channel", "mobile"),
    }
    rows = [{**like, "incident_id": key, "scope": scope, "scope_name": name} for key, (scope, name) in named.items()]
    later = {"incident_id": "l", "scope": "nation", "scope_name": "", "onset_at": over, "ended_at": over + timedelta(hours=1)}
    replace_table(tmp_path, "incident", pl.DataFrame([*rows, {**like, **later}]))
    with open_snapshot(tmp_path) as snapshot:
        start, end = incident_window(snapshot, "n")
        found = {key: remarks_beside(snapshot, start, end, scope=scope, scope_name=name, incident_id=key) for key, (scope, name) in named.items()}
        account = incident_account(snapshot, "r")
        span = remarks_beside(snapshot, start, end)
    others = {"n": "c, d, m, r, s", "r": "c, d, m, n", "s": "c, d, n", "m": "c, d, n, r", "c": "m, n, r, s", "d": "m, n, r, s"}
    assert {key: [dict(remark.values) for remark in remarks] for key, remarks in found.items()} == {
        key: [{"count": len(names.split(", ")), "incidents": names}] for key, names in others.items()
    }
    assert found["r"][0] in account.gross.warnings
    assert span == []


def test_hours_that_have_not_been_are_not_lost_and_the_cut_is_said(published: Path) -> None:
    known = datetime(2025, 3, 1, 19, 50, tzinfo=SEOUL)
    with open_snapshot(published) as snapshot:
        until_now, until_tomorrow = (account_between(snapshot, ONSET, end) for end in (known, datetime(2025, 3, 2, 18, 0, tzinfo=SEOUL)))
    assert (until_tomorrow.gross.lost, until_tomorrow.gross.high) == (until_now.gross.lost, until_now.gross.high)
    assert until_tomorrow.attempts == until_now.attempts
    assert estimated_window(until_tomorrow.gross) == (datetime(2025, 3, 1, 10, 0, tzinfo=SEOUL), known)
    assert [remark.code for remark in until_tomorrow.gross.warnings][:2] == ["window_widened", "window_cut"]


def test_a_span_of_which_nothing_is_known_yet_is_refused_with_what_is(published: Path) -> None:
    tomorrow = datetime(2025, 3, 2, 9, 0, tzinfo=SEOUL)
    with open_snapshot(published) as snapshot, pytest.raises(AnalysisError, match="before 2025-03-01 19:50:00"):
        loss_between(snapshot, tomorrow, tomorrow + timedelta(hours=1))


@pytest.mark.parametrize(("minutes", "last"), [((5, 25), 30), ((5, 5.5), 10), ((0, 20), 20), ((0, 20.5), 30)])
def test_a_span_between_steps_is_rounded_outwards_and_every_figure_is_of_the_window_that_was_estimated(
    published: Path, minutes: tuple[float, float], last: int
) -> None:
    start, end, low, high = (datetime(2025, 2, 13, 12, tzinfo=SEOUL) + timedelta(minutes=minute) for minute in (*minutes, 0, last))
    with open_snapshot(published) as snapshot:
        found, whole = (account_between(snapshot, *span) for span in ((start, end), (low, high)))
        sold = snapshot.query("totals_in_span", start=low, end=high)["sales"].item()
    assert estimated_window(found.gross) == (low, high)
    assert (found.gross.observed, found.gross.lost, found.attempts) == (sold, whole.gross.lost, whole.attempts)
    row, _ = estimate_from_warehouse(published, None, start.isoformat(), end.isoformat(), 0.9, (0.5, 4.0))
    said = [datetime.fromisoformat(row[name].item()) for name in ("from", "to")]
    assert (said, row["observed"].item()) == ([low, high], sold)
    assert ("window_widened" in row["warnings"].item().split()) == ((start, end) != (low, high))


def test_a_region_s_incident_takes_the_examples_of_its_own_markets_and_of_no_others(published: Path) -> None:
    with open_snapshot(published) as snapshot:
        region = snapshot.query("incident_by_id", incident_id=EARLIER)["scope_name"].item()
        markets = snapshot.query("market_list").filter(pl.col("region") == region)["market_id"]
        spans = exclusions(snapshot)
    assert len(markets) > 0
    assert sorted(spans.filter(label=EARLIER)["market_id"]) == sorted(markets)
    assert spans.filter(label=LAUNCH)["market_id"].to_list() == [None]


def test_markets_in_no_list_are_a_region_that_is_asked_about_like_any_other(tmp_path: Path) -> None:
    """Taken off the list, the markets of one region are the region ``unknown``: whatever is asked has the same answer under that name."""
    start, end = datetime(2025, 2, 12, 13, tzinfo=SEOUL), datetime(2025, 2, 12, 15, tzinfo=SEOUL)
    queries = {
        "sales_by_step": {"start": start, "end": end, "minutes": 60},
        "failed_attempts_in_span": {"start": start, "end": end},
        "outcomes_by_place": {"start": start, "end": end},
        "failed_purchases_in_span": {"start": ONSET, "end": END},
        "failed_purchases_with_buyers": {"start": ONSET, "end": END},
        "failed_purchases_with_id": {"start": ONSET, "end": END},
        "people_in_span": {"start": ONSET, "end": END},
        "merchants_by_failed_amount": {"first": ONSET.date(), "last": END.date(), "rows": 9},
    }

    def answers(region: str) -> dict[str, list[dict[str, object]]]:
        within = {"scope": "region", "scope_name": region}
        with open_snapshot(tmp_path) as snapshot:
            found = {name: snapshot.query(name, **asked, **within).drop("region", "market", strict=False) for name, asked in queries.items()}
            loss = loss_between(snapshot, start, end, **within).by_market.select("market_id", pl.col("expected", "observed").round())
            spans = exclusions(snapshot).filter(label=EARLIER).drop("region")
        return {name: frame.sort(frame.columns).to_dicts() for name, frame in (found | {"loss": loss, "spans": spans}).items()}

    publish_launch_day(tmp_path, ended_at=END)
    listed = answers("부산광역시")
    with open_snapshot(tmp_path) as snapshot:
        markets, incidents = snapshot.sql("FROM market"), snapshot.sql("FROM incident")
    replace_table(tmp_path, "market", markets.filter(pl.col("region") != "부산광역시"))
    replace_table(tmp_path, "incident", incidents.with_columns(pl.col("scope_name").replace("부산광역시", "unknown")))
    assert answers("unknown") == listed
    assert {len(rows) > 0 for rows in listed.values()} == {True}


def test_a_market_that_sells_on_its_market_days_alone_has_a_loss_when_one_of_them_fails(tmp_path: Path) -> None:
    publish_launch_day(tmp_path)
    day = (pl.col("minute_at") + pl.duration(hours=9)).dt.day()
    failed = pl.col("minute_at").is_between(datetime(2025, 2, 12), datetime(2025, 2, 12, 15))
    closed = (pl.col("market_id") == "M003") & (~day.mod(10).is_in([2, 7]) | failed)
    replace_table(tmp_path, "market_minute", pl.read_parquet(tmp_path / "market_minute-history.parquet").filter(~closed))
    start, end = (datetime(2025, 2, 12, hour, tzinfo=SEOUL) for hour in (9, 16))
    with open_snapshot(tmp_path) as snapshot:
        found = loss_between(snapshot, start, end, scope="market", scope_name="M003")
        next_day = loss_between(snapshot, start + timedelta(days=1), end + timedelta(days=1), scope="market", scope_name="M003")
    assert found.observed == 0
    assert found.lost > found.low > 0
    assert "no_rows_after" not in [warning.code for warning in found.warnings]
    assert (next_day.expected, next_day.lost) == (0, 0)


@pytest.mark.parametrize(("scope", "name", "hit"), [("market", "M004", pl.col("market_id") == "M004"), ("region", "경기도", pl.col("region") == "경기도")])
def test_what_the_others_sell_in_the_same_hours_tells_what_a_market_or_a_region_lost(tmp_path: Path, scope: str, name: str, hit: pl.Expr) -> None:
    """Everybody sells twice as much from ten to two, and those of the scope cannot sell at all."""
    publish_launch_day(tmp_path)
    history = pl.read_parquet(tmp_path / "market_minute-history.parquet")
    with open_snapshot(tmp_path) as snapshot:
        mine = snapshot.sql("FROM market").filter(hit)["market_id"].implode()
    inside, is_hit = pl.col("minute_at").is_between(datetime(2025, 2, 12, 1), datetime(2025, 2, 12, 5), closed="left"), pl.col("market_id").is_in(mine)
    true = 2 * history.filter(inside & is_hit)["approved_amount"].sum()
    amount = pl.col("approved_amount") * pl.when(inside & is_hit).then(0).when(inside).then(2).otherwise(1)
    replace_table(tmp_path, "market_minute", history.with_columns(approved_amount=amount))
    start, end = (datetime(2025, 2, 12, hour, tzinfo=SEOUL) for hour in (10, 14))
    with open_snapshot(tmp_path) as snapshot:
        found = loss_between(snapshot, start, end, scope=scope, scope_name=name)
    assert found.by_market["market_id"].is_in(mine).all()
    assert found.lost == pytest.approx(true, rel=0.15)
    assert "controls_used" in [warning.code for warning in found.warnings]


def test_where_all_markets_fail_none_of_them_tells_what_another_lost(published: Path) -> None:
    start, end = (datetime(2025, 3, 1, hour, tzinfo=SEOUL) for hour in (10, 16))
    with open_snapshot(published) as snapshot:
        nation, found = loss_between(snapshot, start, end), loss_between(snapshot, start, end, scope="market", scope_name="M004")
    of_nation = nation.by_market.filter(market_id="M004")["lost"].item()
    assert found.lost == pytest.approx(of_nation, rel=0.1)
    assert "controls_not_used" in [warning.code for warning in found.warnings]


def test_a_scope_that_never_sold_has_no_estimate_and_is_named(published: Path) -> None:
    start, end = (datetime(2025, 2, 12, hour, tzinfo=SEOUL) for hour in (10, 14))
    with open_snapshot(published) as snapshot, pytest.raises(HistoryError, match="some of 'M999'"):
        loss_between(snapshot, start, end, scope="market", scope_name="M999")


def test_an_hour_that_is_summed_whole_does_not_end_where_its_first_step_does(published: Path) -> None:
    start, end = (datetime(2025, 3, 1, hour, tzinfo=SEOUL) for hour in (10, 18))
    with open_snapshot(published) as snapshot:
        assert "no_rows_after" not in [warning.code for warning in loss_between(snapshot, start, end).warnings]


def test_who_knows_that_nothing_more_will_come_has_the_loss_to_the_end_without_a_word_of_missing_rows(published: Path) -> None:
    start, end = (datetime(2025, 3, 1, hour, tzinfo=SEOUL) for hour in (10, 20))
    with open_snapshot(published) as snapshot:
        assert snapshot.manifest.watermark < end
        cut, whole = (loss_between(snapshot, start, end, known_until=known) for known in (None, end))
    assert [estimated_window(one)[1] for one in (cut, whole)] == [end - timedelta(minutes=10), end]
    said = [{warning.code for warning in one.warnings} & {"window_cut", "no_rows_after"} for one in (cut, whole)]
    assert said == [{"window_cut"}, set()]


def test_what_a_market_day_carries_is_known_of_one_market_or_region_too(tmp_path: Path) -> None:
    publish_launch_day(tmp_path)
    some = [f"M{number:03d}" for number in range(3, 30, 2)]
    with open_snapshot(tmp_path) as snapshot:
        listed = snapshot.sql("FROM market")
    replace_table(tmp_path, "market", listed.with_columns(cycle=pl.when(pl.col("market_id").is_in(some)).then(pl.lit("2,7"))))
    held = (pl.col("minute_at") + pl.duration(hours=9)).dt.day().mod(10).is_in([2, 7]) & pl.col("market_id").is_in(some)
    history = pl.read_parquet(tmp_path / "market_minute-history.parquet")
    replace_table(tmp_path, "market_minute", history.with_columns(approved_amount=pl.col("approved_amount") * pl.when(held).then(4).otherwise(1)))
    start, end = (datetime(2025, 2, 12, hour, tzinfo=SEOUL) for hour in (8, 12))
    with open_snapshot(tmp_path) as snapshot:
        for scope, name in (("market", "M003"), ("region", "광주광역시")):
            found = loss_between(snapshot, start, end, scope=scope, scope_name=name)
            assert "market_days_not_used" not in [warning.code for warning in found.warnings]
            assert found.expected == pytest.approx(found.observed, rel=0.2)


def long_incident(scope: str, name: str) -> pl.DataFrame:
    """One incident of three days and an hour, two weeks before the switch-off."""
    onset = datetime(2025, 2, 4)
    row = {"incident_id": "old", "kind": "failure_rate", "scope": scope, "scope_name": name, "onset_at": onset, "ended_at": onset + timedelta(days=3, hours=1)}
    return pl.DataFrame([{**row, "detected_at": onset, "last_seen_at": row["ended_at"], "peak_failure_rate": 0.5, "evidence": "{}", "version": 1}])


@pytest.mark.parametrize(
    ("scope", "name", "markets"),
    [
        ("nation", "", [None]),
        ("issuer", "나래은행", [None]),
        ("service", "payment", [None]),
        ("service", "login", [None]),
        ("service", "refund", []),
        ("market", "M003", ["M003"]),
        ("market", "gone", ["gone"]),
        ("region", "없는 지역", []),
    ],
)
def test_an_incident_takes_no_examples_but_of_what_it_touched_and_is_no_opening_of_the_service(
    published: Path, scope: str, name: str, markets: list[str | None]
) -> None:
    replace_table(published, "incident", long_incident(scope, name))
    with open_snapshot(published) as snapshot:
        assert exclusions(snapshot).filter(label="old")["market_id"].to_list() == markets
        assert opened_before(snapshot, datetime(2025, 2, 12, tzinfo=SEOUL)) is None


@pytest.mark.parametrize(("scope", "name", "days"), [("issuer", "나래은행", 2), ("nation", "", 3)])
def test_an_issuer_that_is_away_for_good_leaves_examples_of_ordinary_sales(published: Path, scope: str, name: str, days: int) -> None:
    replace_table(published, "incident", long_incident(scope, name))
    with open_snapshot(published) as snapshot:
        span = exclusions(snapshot).row(by_predicate=pl.col("label") == "old", named=True)
    assert (span["ends_at"] - span["starts_at"]).days == days


@pytest.mark.parametrize(("service", "counts"), [("refund", False), ("payment", True), ("all", True), (None, True)])
def test_only_maintenance_that_takes_payments_away_is_a_time_without_ordinary_sales(published: Path, service: str | None, counts: bool) -> None:  # noqa: FBT001
    ends = datetime(2025, 2, 8)
    row = {"label": "점검", "service": service, "starts_at": datetime(2025, 2, 4), "ends_at": ends, "announced_at": datetime(2025, 1, 30)}
    replace_table(published, "maintenance", pl.DataFrame([row], schema_overrides={"service": pl.String}))
    with open_snapshot(published) as snapshot:
        assert len(exclusions(snapshot).filter(label="점검")) == counts
        assert opened_before(snapshot, datetime(2025, 2, 12, tzinfo=SEOUL)) == (ends.replace(tzinfo=UTC) if counts else None)
