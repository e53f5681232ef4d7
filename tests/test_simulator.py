"""The simulated country: the same for a seed, true to the contract, and honest about what was lost."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from streams.events import CONTRACT, MAX_RECORD_BYTES, Failure, Payment
from streams.simulator import Scenario, Slice, Tally, commands, country, gross_shortfall, load_scenario, net_shortfall, pent_up, play, truth, write_truth
from streams.simulator.korean_days import day_level, is_market_day
from streams.simulator.places import regions


@pytest.fixture(scope="module")
def smoke() -> Scenario:
    return load_scenario("smoke")


@pytest.fixture(scope="module")
def slices(smoke: Scenario) -> list[Slice]:
    return list(play(smoke))


@pytest.fixture(scope="module")
def cells(smoke: Scenario) -> pl.DataFrame:
    return truth(smoke)


def flat(slices: list[Slice]) -> dict[str, list[tuple[bytes, bytes, int]]]:
    """Every record of each topic, in the order of sending."""
    records: dict[str, list[tuple[bytes, bytes, int]]] = {}
    for one in slices:
        for topic, part in one.records.items():
            records.setdefault(topic, []).extend(zip(part.keys, part.values, part.send_times_ms, strict=True))
    return records


def events(slices: list[Slice], topic: str) -> list:
    return [msgspec.json.decode(value, type=CONTRACT[topic], strict=True) for _, value, _ in flat(slices)[topic]]


def minute_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 60_000 * 60, UTC).replace(tzinfo=None)


def test_the_same_seed_gives_the_same_bytes(smoke, slices):
    assert flat(list(play(load_scenario("smoke")))) == flat(slices)


@pytest.mark.parametrize(("name", "scale", "threads"), [("smoke", 1.0, "1"), ("smoke", 1.0, "2"), ("holiday-rush", 0.01, "1")])
def test_another_process_makes_the_same_bytes(name, scale, threads):
    program = f"""
import hashlib
from streams.simulator import load_scenario, play
digest = hashlib.sha256()
for one in play(load_scenario("{name}", scale={scale}, history_days=2)):
    for topic in sorted(one.records):
        digest.update(b"".join(one.records[topic].values))
print(digest.hexdigest())
"""
    digest = hashlib.sha256()
    for one in play(load_scenario(name, scale=scale, history_days=2)):
        for topic in sorted(one.records):
            digest.update(b"".join(one.records[topic].values))
    given = {**os.environ, "PYTHONHASHSEED": threads, "POLARS_MAX_THREADS": threads}
    made = subprocess.run([sys.executable, "-c", program], env=given, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == digest.hexdigest()


def test_a_day_is_the_same_whatever_days_are_played_before_it():
    def last_day(history_days: int) -> list[bytes]:
        scenario = load_scenario("ordinary-week", history_days=history_days, scale=0.02)
        opens = scenario.opens(scenario.days[-1])
        return [value for one in play(scenario) if one.until > opens and "payments" in one.records for value in one.records["payments"].values]

    assert last_day(1) == last_day(3) != []


def test_another_seed_gives_other_events(slices):
    assert flat(list(play(load_scenario("smoke", seed=8))))["payments"] != flat(slices)["payments"]


@pytest.mark.parametrize("seconds", [10, 47.5, 3600])
def test_the_length_of_slices_changes_no_record(smoke, slices, seconds):
    assert flat(list(play(smoke, slice_seconds=seconds))) == flat(slices)


def test_everything_that_occurred_before_the_end_of_a_slice_is_sent_with_it(slices):
    for one, following in pairwise(slices):
        for topic, part in following.records.items():
            if topic != "commands":
                assert all(msgspec.json.decode(value)["occurred_at"] >= one.until.timestamp() * 1000 for value in part.values)


def test_records_are_sent_in_order_and_after_they_occurred(slices):
    for topic, records in flat(slices).items():
        sent = [at for _, _, at in records]
        assert sent == sorted(sent)
        if topic != "commands":
            assert all(0 <= at - msgspec.json.decode(value)["occurred_at"] <= 5_000 for _, value, at in records)


def test_the_timeline_ends_with_the_scenario_and_has_no_gap_above_ten_minutes(smoke, slices):
    moments = [smoke.start, *(one.until for one in slices)]
    assert moments[-1] == smoke.end
    assert all(timedelta(0) < after - before <= timedelta(minutes=10) for before, after in pairwise(moments))


def test_every_record_is_read_strictly_by_the_contract_and_its_key_fits(slices):
    for topic in ("payments", "errors", "service_load", "commands"):
        for (key, value, _), event in zip(flat(slices)[topic], events(slices, topic), strict=True):
            assert len(value) < MAX_RECORD_BYTES
            names = ("command_id",) if topic == "commands" else ("service",) if topic == "service_load" else ("market_id", "user_id")
            assert key.decode() == next(getattr(event, name) for name in names if getattr(event, name, None))


def test_event_ids_are_unique(slices):
    ids = [event.event_id for topic in ("payments", "errors") for event in events(slices, topic)]
    assert len(set(ids)) == len(ids)


def test_a_wanted_purchase_is_sold_made_up_later_or_lost_in_every_cell(cells):
    for suffix in ("", "_amount"):
        parts = {name: pl.col(name + suffix) for name in ("wanted", "sold", "made_up_later", "failed", "unseen", "lost")}
        assert cells.select((parts["wanted"] == parts["sold"] + parts["made_up_later"] + parts["lost"]).all()).item()
        assert cells.select((parts["lost"] == parts["failed"] + parts["unseen"]).all()).item()
    assert cells["unseen"].sum() > 0 < cells["made_up_later"].sum()


def test_what_is_sold_and_made_up_later_is_what_is_approved_and_not_taken_back_by_the_network(cells):
    assert cells["approved_amount"].sum() - cells["cancelled_amount"].sum() == cells["sold_amount"].sum() + cells["made_up_later_amount"].sum()
    assert cells["cancelled_amount"].sum() > 0


def test_the_topic_holds_what_the_truth_says_in_every_market_channel_and_minute(slices, cells):
    sent: Counter[tuple[str, str, datetime]] = Counter()
    for payment in events(slices, "payments"):
        if payment.status == "approved":
            sent[payment.market_id, payment.channel, minute_of(payment.occurred_at)] += payment.amount
    approved = cells.filter(pl.col("approved") > 0).select("market_id", "channel", "minute_at", "approved_amount")
    assert sent == {(market, channel, minute): amount for market, channel, minute, amount in approved.iter_rows()}


def test_the_tally_of_the_columns_is_what_the_bytes_hold(slices):
    tally = sum((one.tally for one in slices), Tally())
    payments, errors = events(slices, "payments"), events(slices, "errors")
    by_status = {status: sum(payment.amount for payment in payments if payment.status == status) for status in ("approved", "declined", "reversed")}
    assert (tally.approved, tally.declined, tally.reversed) == tuple(by_status.values())
    assert tally.failed == sum(error.amount for error in errors if error.service == "payment")
    assert tally.events == sum(map(len, flat(slices).values()))
    failed = {(error.purchase_id, error.attempt) for error in errors if error.service == "payment"}
    assert tally.approved_after_all == sum(p.amount for p in payments if p.status == "approved" and (p.purchase_id, p.attempt) in failed)


def test_some_timeouts_are_approved_after_all_under_the_same_attempt(slices):
    approved = {(p.purchase_id, p.attempt): p for p in events(slices, "payments") if p.status == "approved"}
    late = [(error, approved[error.purchase_id, error.attempt]) for error in events(slices, "errors") if (error.purchase_id, error.attempt) in approved]
    assert late
    assert all(error.code == "timeout" and payment.occurred_at > error.occurred_at and payment.amount == error.amount for error, payment in late)


def test_a_purchase_is_approved_once_unless_taken_back_and_its_attempts_count_from_one(slices):
    payments: list[Payment] = events(slices, "payments")
    errors: list[Failure] = [error for error in events(slices, "errors") if error.service == "payment"]
    taken_back = {p.reverses for p in payments if p.status == "reversed"}
    assert max(Counter(p.purchase_id for p in payments if p.status == "approved" and p.event_id not in taken_back).values()) == 1
    attempts: dict[str, set[int]] = {}
    for event in [*payments, *errors]:
        attempts.setdefault(event.purchase_id, set()).add(event.attempt)
    assert all(numbers == set(range(1, len(numbers) + 1)) for numbers in attempts.values())
    assert max(map(len, attempts.values())) > 2


def test_a_reversal_takes_back_at_most_its_approval():
    payments: list[Payment] = events(list(play(load_scenario("smoke", scale=3))), "payments")
    approved = {p.event_id: p for p in payments if p.status == "approved"}
    reversals = [p for p in payments if p.status == "reversed"]
    assert reversals
    assert all(r.amount <= approved[r.reverses].amount and r.occurred_at > approved[r.reverses].occurred_at for r in reversals)
    assert {r.amount == approved[r.reverses].amount for r in reversals} == {True, False}


def test_other_services_report_the_user_alone(slices):
    others = [error for error in events(slices, "errors") if error.service != "payment"]
    assert {error.service for error in others} == {"queue", "login", "registration"}
    assert all(error.user_id and error.market_id is error.purchase_id is error.amount is None for error in others)


def test_every_service_reports_each_minute_of_the_history_and_every_ten_seconds_afterwards(smoke, slices):
    loads, since = events(slices, "service_load"), smoke.live_from.timestamp() * 1000
    by_service = Counter((load.service, load.occurred_at >= since) for load in loads)
    services = ("login", "queue", "payment", "registration", "top_up", "refund")
    assert by_service == {(service, live): 360 * (6 if live else 1) for service in services for live in (False, True)}
    assert all(load.attempts >= load.succeeded + load.failed for load in loads)
    assert all(sum(load.attempts for load in loads if load.service == service) > 0 for service in services)


def test_the_load_of_payment_is_what_the_topics_hold_minute_by_minute(slices):
    failed = Counter(minute_of(e.occurred_at) for e in events(slices, "errors") if e.service == "payment")
    reported: Counter[datetime] = Counter()
    for load in events(slices, "service_load"):
        if load.service == "payment":
            reported[minute_of(load.occurred_at)] += load.failed
    assert +reported == failed


def test_the_platform_works_until_ten_and_is_not_restored(cells, smoke):
    onset = smoke.incident[0].starts_at
    before, during = gross_shortfall(cells, smoke.live_from, onset), gross_shortfall(cells, onset, smoke.end)
    wanted = cells.filter(pl.col("minute_at") >= onset.astimezone(UTC).replace(tzinfo=None))["wanted_amount"].sum()
    assert before == 0
    assert 0.3 * wanted < during < wanted
    last_hour = gross_shortfall(cells, smoke.end - timedelta(hours=1), smoke.end)
    assert last_hour > 0


def test_net_is_gross_less_what_is_made_up_after_the_window(cells, smoke):
    onset, noon = smoke.incident[0].starts_at, smoke.incident[0].starts_at + timedelta(hours=1)

    # What the network took back was approved, and is no sale.
    def taken_back(start: datetime, end: datetime) -> int:
        first, last = (moment.astimezone(UTC).replace(tzinfo=None) for moment in (start, end))
        part = cells.filter(pl.col("minute_at").is_between(first, last, closed="left"))
        return part["cancelled_amount"].sum() - part["ordinary_cancelled_amount"].sum()

    assert net_shortfall(cells, onset, noon) < gross_shortfall(cells, onset, noon) + taken_back(onset, noon)
    whole = smoke.start, smoke.end
    assert net_shortfall(cells, *whole) == gross_shortfall(cells, *whole) + taken_back(*whole)


def test_nothing_happens_while_both_services_are_closed(smoke, slices):
    closed = [one for one in slices if smoke.closed and smoke.closed[0] < one.until <= smoke.live_from]
    assert len(closed) > 100
    assert not any(one.records for one in closed)


def test_the_closure_is_announced_before_it_begins(smoke):
    announced = [command for command in commands(smoke) if command.kind == "maintenance_announced"]
    assert len(announced) == 1
    assert announced[0].occurred_at < smoke.start.timestamp() * 1000
    assert datetime.fromisoformat(announced[0].payload["starts_at"]) == smoke.closed[0]
    assert datetime.fromisoformat(announced[0].payload["ends_at"]) == smoke.closed[1]


def test_the_first_slice_brings_all_markets(smoke, slices):
    imported = [c for c in commands(smoke) if c.kind == "markets_imported"]
    assert [market["market_id"] for c in imported for market in c.payload["markets"]] == country(smoke)["market_id"].to_list()
    assert len(slices[0].records["commands"]) == len(commands(smoke))


def test_dirt_is_counted_and_leaves_the_rest_as_it_was(smoke, slices):
    soiled = list(play(smoke, dirty=0.1))
    clean, dirty = (Counter(value for topic in ("payments", "errors") for _, value, _ in flat(part)[topic]) for part in (slices, soiled))
    tally = sum((one.tally for one in soiled), Tally())
    assert clean <= dirty
    extra = dirty - clean
    assert sum(count for value, count in extra.items() if value in clean) == tally.duplicates > 10
    assert sum(count for value, count in extra.items() if value not in clean) == tally.malformed > 10
    assert min(tally.foreign, tally.malformed - tally.foreign, tally.late, tally.out_of_order) > 10
    for value in extra.keys() - clean.keys():
        with pytest.raises((msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError)):
            msgspec.json.decode(value, type=Payment if b'"status"' in value else Failure, strict=True)
    without = sum((one.tally for one in slices), Tally())
    assert (tally.events, tally.approved, tally.failed) == (without.events, without.approved, without.failed)


def test_late_and_disordered_events_are_counted_by_how_long_after_their_turn_they_come(smoke):
    soiled = list(play(smoke, dirty=0.1))
    tally = sum((one.tally for one in soiled), Tally())
    seen: set[bytes] = set()
    delays = []
    for topic in ("payments", "errors"):
        for _, value, sent_at in sorted(flat(soiled)[topic], key=lambda record: record[2]):
            if found := re.search(rb'^\{"event_id":"[^"]+".*"occurred_at":(\d+),.*\}$', value):
                delays += [] if value in seen else [sent_at - int(found[1])]
                seen.add(value)
    assert 0 < sum(delay > 300_000 for delay in delays) <= tally.late
    assert sum(delay > 5_000 for delay in delays) > 0.8 * (tally.late + tally.out_of_order)


def test_an_ordinary_day_carries_about_two_billion_won_in_76000_payments():
    slices = list(play(load_scenario("ordinary-week")))
    total = sum((one.tally for one in slices), Tally())
    payments_and_errors = sum(len(one.records[topic]) for one in slices for topic in ("payments", "errors") if topic in one.records)
    assert total.approved / 7 == pytest.approx(1.9e9, rel=0.06)
    assert payments_and_errors / 7 == pytest.approx(80_000, rel=0.06)
    assert total.declined / (total.approved + total.declined) == pytest.approx(0.03, abs=0.004)
    assert total.failed / total.approved == pytest.approx(0.005, abs=0.001)
    assert total.reversed / total.approved == pytest.approx(0.006, abs=0.0015)


def test_the_scale_multiplies_purchases():
    one, three = (sum((s.tally for s in play(load_scenario("smoke", scale=scale))), Tally()).approved for scale in (1, 3))
    assert three / one == pytest.approx(3, rel=0.2)


def test_the_country_is_korea_in_its_proportions():
    markets = country(load_scenario("launch-day"))
    assert len(markets) == 1400
    assert markets["market_id"].n_unique() == markets["name"].n_unique() == 1400
    assert set(markets["region"]) == {region.name for region in regions()}
    assert len(regions()) == 17
    assert markets["share"].sum() == pytest.approx(1)
    by_region = dict(markets.group_by("region").agg(pl.col("share").sum()).iter_rows())
    assert by_region["서울특별시"] == pytest.approx(1 / 3, abs=0.02)
    largest = markets.sort("share", descending=True)
    assert largest["region"][:2].to_list() == ["대구광역시", "대구광역시"]
    assert largest["share"][:2].sum() == pytest.approx(0.15, abs=0.01)
    assert largest["share"][1] > 3 * largest["share"][2]
    assert markets["cycle"].is_not_null().mean() == pytest.approx(0.3)
    assert markets["merchants"].sum() == pytest.approx(200_000, rel=0.05)


def test_market_days_follow_the_last_digit_and_carry_several_times_another_day():
    assert is_market_day("2,7", date(2025, 2, 12)) and is_market_day("5,0", date(2025, 2, 20))
    assert not is_market_day("2,7", date(2025, 2, 13)) and not is_market_day(None, date(2025, 2, 12))
    scenario = load_scenario("ordinary-week").with_(history_days=5)
    cyclic = country(scenario).filter(pl.col("cycle").is_not_null()).select("market_id", "cycle")
    day = pl.col("minute_at").dt.offset_by("9h").dt.date()
    sold = truth(scenario).join(cyclic, on="market_id").group_by("cycle", day.alias("day")).agg(pl.col("wanted").sum())
    for cycle, part in sold.partition_by("cycle", as_dict=True).items():
        held = pl.Series([is_market_day(cycle[0], day) for day in part["day"]])
        assert part.filter(held)["wanted"].mean() > 2.5 * part.filter(~held)["wanted"].mean()


def test_sundays_and_public_holidays_are_lower():
    assert day_level(date(2025, 2, 9)) < 0.85 < day_level(date(2025, 2, 10))
    assert day_level(date(2025, 3, 1)) < day_level(date(2025, 2, 22))
    assert day_level(date(2025, 3, 3)) < day_level(date(2025, 3, 10))


def test_the_truth_is_written_with_its_factor_and_its_losses(tmp_path, smoke, cells):
    folder = write_truth(smoke, tmp_path / "truth")
    assert pl.read_parquet(folder / "truth.parquet").equals(cells)
    summary = msgspec.json.decode((folder / "truth.json").read_bytes())
    assert summary["pent_up"] == pent_up(smoke) == 2.0
    assert summary["incidents"][0]["gross_shortfall"] == gross_shortfall(cells, smoke.incident[0].starts_at, smoke.end)
    assert set(summary["columns"]) == set(cells.columns)


def test_every_market_lies_near_a_real_market_of_its_region():
    file = Path(os.environ.get("ONNURI_DATA", Path(__file__).parents[2] / "shared" / "data")) / "kr_markets" / "standard_markets_20241104.csv"
    if not file.is_file():
        pytest.skip(f"the list of real markets is not there: {file}; set ONNURI_DATA to the folder that holds kr_markets")
    region = pl.coalesce("소재지지번주소", "소재지도로명주소").str.split(" ").list.first().alias("region")
    real = pl.read_csv(file).select(region, x=pl.col("경도"), y=pl.col("위도")).drop_nulls()
    ours = country(load_scenario("launch-day"))
    for (name,), part in ours.partition_by("region", as_dict=True).items():
        near = real.filter(region=name)
        apart = np.hypot(part["longitude"].to_numpy()[:, None] - near["x"].to_numpy(), part["latitude"].to_numpy()[:, None] - near["y"].to_numpy()).min(axis=1)
        assert apart.max() < 0.25, (name, part["name"][int(apart.argmax())])
