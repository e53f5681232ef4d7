"""Closing minutes: the watermark only rises, each minute is judged once whatever happens in between, and old events go only after it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from faust.types import TP

from streams.letters import Letters
from streams.line import Line
from streams.records import Records
from streams.settings import Settings
from streams.transport import Fetched
from tests.events_data import NOON, chunk, encoded, failure, ms, payment
from tests.line_process import published_cells, recount
from warehouse import closing
from warehouse.closing import Closing
from warehouse.ingest import MARGIN, Writer
from warehouse.reading import Snapshot
from warehouse.telling import forget, noted

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MARK = NOON.replace(tzinfo=None)
"""Noon as the warehouse keeps it: naive UTC."""

Spans = list[tuple[datetime, datetime]]
Open = Callable[[], tuple[Writer, Closing]]


@pytest.fixture
def again(tmp_path: Path) -> Iterator[Open]:
    """Start the process anew: the file is let go, and everything in memory forgotten."""
    held: list[Writer] = []

    def start() -> tuple[Writer, Closing]:
        while held:
            held.pop().close()
        held.append(Writer(tmp_path / "w.duckdb", NOON))
        return held[0], Closing(held[0], MINUTE, raw_days=35)

    yield start
    held[0].close()


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """The spans that detection ran over, in order."""
    spans: Spans = []

    def detect(*frames: pl.DataFrame, since: datetime, until: datetime, **more: pl.DataFrame) -> pl.DataFrame:
        spans.append((since, until))
        return original(*frames, since=since, until=until, **more)

    original = closing.detect
    monkeypatch.setattr(closing, "detect", detect)
    return spans


def write(writer: Writer, topic: str, *events: Mapping[str, Any]) -> None:
    source = writer.sources().get((topic, 0))
    now = datetime.fromtimestamp(max(event["occurred_at"] for event in events) / 1000, UTC)
    writer.apply([chunk(topic, events, first_offset=source.next_offset if source else 0, now=now)], now, lambda _: None)


def outage(writer: Writer) -> None:
    """Half an hour of ten payments a minute, then twenty minutes in which four of five fail, then fifty as before."""
    number, payments, failures = 0, [], []
    for minute in range(100):
        for n in range(10):
            number += 1
            at = ms(NOON + minute * MINUTE)
            if 30 <= minute < 50 and n % 5:
                failures.append(failure(number, occurred_at=at))
            else:
                payments.append(payment(number, occurred_at=at))
    write(writer, "payments", *payments)
    write(writer, "errors", *failures)


def incidents(writer: Writer) -> list[dict[str, Any]]:
    return writer.connection.sql("SELECT * EXCLUDE version FROM incident ORDER BY incident_id").pl().to_dicts()


def told(writer: Writer) -> list[dict[str, object]]:
    """What the topic of incidents is told now."""
    through, sent = noted(writer.connection)
    forget(writer.connection, through)
    return sent


def test_the_watermark_never_goes_back(again: Open) -> None:
    writer, made = again()
    write(writer, "payments", payment(1))
    made.close(MARK + 10 * MINUTE)
    for earlier in (MARK + 10 * MINUTE, MARK + 9 * MINUTE, MARK - DAY):
        made.close(earlier)
        assert writer.line().watermark == MARK + 10 * MINUTE
    writer, made = again()
    made.close(MARK)
    assert writer.line().watermark == MARK + 10 * MINUTE


def test_only_whole_minutes_are_closed(again: Open, judged: Spans) -> None:
    writer, made = again()
    write(writer, "payments", payment(1))
    made.close(MARK + 2 * MINUTE + timedelta(seconds=59))
    made.close(MARK + 3 * MINUTE)
    assert judged == [(MARK, MARK + 2 * MINUTE), (MARK + 2 * MINUTE, MARK + 3 * MINUTE)]


def test_every_minute_is_judged_once_and_in_order_across_restarts(again: Open, judged: Spans) -> None:
    writer, made = again()
    outage(writer)
    for minute in (1, 7, 31, 32, 45, 80):
        made.close(MARK + minute * MINUTE)
        writer, made = again()
        # Told the same again, a new process has nothing to do.
        made.close(MARK + minute * MINUTE)
    assert judged[0][0] == MARK
    assert judged[-1][1] == MARK + 80 * MINUTE
    assert all(before[1] == after[0] for before, after in pairwise(judged))


def test_minutes_whose_transaction_did_not_end_are_judged_by_the_next_process(again: Open, judged: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, made = again()
    outage(writer)
    made.close(MARK + 20 * MINUTE)

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Closing, "_keep", power_cut)
        with pytest.raises(KeyboardInterrupt):
            made.close(MARK + 45 * MINUTE)
    assert writer.line().detected_through == MARK + 20 * MINUTE
    assert incidents(writer) == []
    writer, made = again()
    made.close(MARK + 45 * MINUTE)
    assert [change["action"] for change in told(writer)] == ["opened", "updated"]
    assert judged[-1] == (MARK + 20 * MINUTE, MARK + 45 * MINUTE)


def test_incidents_are_the_same_whether_the_process_restarts_all_the_time_or_never(again: Open, tmp_path: Path) -> None:
    whole = Writer(tmp_path / "other.duckdb", NOON)
    outage(whole)
    Closing(whole, MINUTE, raw_days=35).close(MARK + 100 * MINUTE)
    writer, _ = again()
    outage(writer)
    for minute in range(4, 101, 4):
        writer, made = again()
        made.close(MARK + minute * MINUTE)
    assert incidents(writer) == incidents(whole)
    (incident,) = incidents(whole)
    assert (incident["kind"], incident["scope"], incident["onset_at"]) == ("failure_rate", "nation", MARK + 30 * MINUTE)
    assert MARK + 49 * MINUTE <= incident["ended_at"] <= MARK + 60 * MINUTE
    whole.close()


def test_each_day_in_seoul_is_judged_by_an_expectation_of_its_own(again: Open, judged: Spans) -> None:
    writer, made = again()
    write(writer, "payments", payment(1))
    made.close(MARK + 2 * DAY)
    # Midnight in Seoul is 15:00 UTC, twelve hours after its noon.
    midnight = MARK + timedelta(hours=12)
    assert judged == [(MARK, midnight), (midnight, midnight + DAY), (midnight + DAY, MARK + 2 * DAY)]


def test_a_line_without_sales_has_nothing_to_judge(again: Open, judged: Spans) -> None:
    writer, made = again()
    made.close(MARK)
    assert judged == []
    assert writer.line().watermark == MARK


def test_old_events_go_and_what_they_were_counted_into_stays(again: Open) -> None:
    writer, made = again()
    write(writer, "payments", payment(1))
    write(writer, "errors", failure(2))
    write(writer, "payments", payment(3, occurred_at=ms(NOON + 36 * DAY)))
    counted = published_cells(Snapshot(manifest=None, connection=writer.connection))
    assert made.retire(MARK + 36 * DAY, NOON + 36 * DAY) == MARK + DAY
    # Refused from here on, but kept for a margin: what was decoded before may still be on its way.
    assert writer.connection.sql("SELECT count(*) FROM payment").fetchall() == [(2,)]
    later = 35 * DAY + MARGIN
    made.retire(MARK + later, NOON + later)
    assert writer.connection.sql("SELECT count(*) FROM payment").fetchall() == [(2,)]
    assert made.retire(MARK + later + HOUR, NOON + later + HOUR) == MARK + MARGIN + HOUR
    assert writer.connection.sql("SELECT count(*) FROM payment").fetchall() == [(1,)]
    assert writer.connection.sql("SELECT count(*) FROM failure").fetchall() == [(0,)]
    assert published_cells(Snapshot(manifest=None, connection=writer.connection)) == counted
    assert writer.line().deleted_before == MARK + HOUR


def test_a_failed_purchase_whose_events_are_gone_stays_when_its_buyer_fails_again(again: Open) -> None:
    writer, made = again()
    first, second = (failure(n, purchase_id=None, attempt=None, user_id="b", occurred_at=ms(NOON) + n * 40 * 86_400_000) for n in (0, 1))
    write(writer, "errors", first)
    made.retire(MARK + 40 * DAY, NOON + 40 * DAY)
    write(writer, "errors", second)
    assert writer.connection.sql("SELECT first_failure_at FROM failed_purchase ORDER BY 1").fetchall() == [(MARK,), (MARK + 40 * DAY,)]


def test_incidents_are_told_after_a_crash_that_came_before_the_message(again: Open) -> None:
    writer, made = again()
    outage(writer)
    made.close(MARK + 45 * MINUTE)
    writer, made = again()
    assert noted(writer.connection)[1] != []
    writer, made = again()
    assert [(change["action"], change["version"]) for change in told(writer)] == [("opened", 1), ("updated", 2)]
    assert told(writer) == []


def test_the_watermark_holds_retention_back_however_late_it_is(again: Open) -> None:
    writer, made = again()
    write(writer, "payments", payment(1))
    # A worker that was away for a year reads on where it stood.
    assert made.retire(MARK, NOON + 365 * DAY) == MARK - 35 * DAY
    assert writer.connection.sql("SELECT count(*) FROM payment").fetchall() == [(1,)]


def test_retention_never_goes_back(again: Open) -> None:
    _, made = again()
    made.retire(MARK, NOON)
    assert made.retire(MARK - 10 * DAY, NOON) == MARK - 35 * DAY
    _, made = again()
    assert made.retire(MARK - 10 * DAY, NOON) == MARK - 35 * DAY


def test_an_event_older_than_what_is_kept_is_refused_because_it_may_be_a_duplicate(again: Open, tmp_path: Path) -> None:
    writer, made = again()
    write(writer, "payments", payment(1))
    made.retire(MARK + 36 * DAY, NOON + 36 * DAY)
    settings = Settings(warehouse=tmp_path / "w.duckdb", clock="replay")
    line = Line(settings, writer, Letters(settings))
    sent = [payment(1), payment(2, occurred_at=ms(NOON + DAY)), payment(3, occurred_at=ms(NOON + DAY) - 1)]
    records = [SimpleNamespace(offset=n, key=b"m", value=encoded(event), timestamp=ms(NOON + 36 * DAY)) for n, event in enumerate(sent, start=1)]
    (decoded,) = line._on_decoder([Fetched.of(TP("payments", 0), 1, 1, Records.of(records))])
    assert [(refused.offset, refused.reason) for refused in decoded.refused] == [(1, "too_old"), (3, "too_old")]
    writer.apply([decoded], NOON + 36 * DAY, lambda _: None)
    assert published_cells(Snapshot(manifest=None, connection=writer.connection)) == recount([payment(1), sent[1]], [])


@pytest.mark.parametrize("clock", ["wall", "replay"])
def test_in_a_new_warehouse_events_are_judged_by_when_they_were_sent_and_odd_times_make_no_cell(again: Open, tmp_path: Path, clock: str) -> None:
    writer, _ = again()
    settings = Settings(warehouse=tmp_path / "w.duckdb", clock=clock)
    line = Line(settings, writer, Letters(settings))
    # Sent at their own time, however long ago; ten years late; in seconds; a record without a time of its own.
    occurred = [NOON, NOON - 34 * DAY, NOON - 36 * DAY, NOON - 3_650 * DAY]
    sent = [payment(n, occurred_at=ms(at)) for n, at in enumerate(occurred)] + [payment(8, occurred_at=ms(NOON) // 1000)]
    records = [SimpleNamespace(offset=n, key=b"m", value=encoded(event), timestamp=ms(NOON)) for n, event in enumerate(sent)]
    records.append(SimpleNamespace(offset=5, key=b"m", value=encoded(payment(9, occurred_at=ms(NOON + 36_500 * DAY))), timestamp=None))
    (decoded,) = line._on_decoder([Fetched.of(TP("payments", 0), 1, 1, Records.of(records))])
    assert [(refused.offset, refused.reason) for refused in decoded.refused] == [(2, "too_old"), (3, "too_old"), (4, "implausible_time"), (5, "in_future")]
    writer.apply([decoded], NOON, lambda _: None)
    assert published_cells(Snapshot(manifest=None, connection=writer.connection)) == recount(sent[:2], [])


def test_one_event_from_years_ago_does_not_have_every_day_since_then_judged(again: Open, judged: Spans) -> None:
    writer, made = again()
    write(writer, "payments", payment(1, occurred_at=ms(NOON - 4_000 * DAY)), payment(2))
    made.close(MARK + MINUTE)
    assert len(judged) <= 36
    assert judged[0][0] >= MARK - 36 * DAY


def test_in_a_replay_a_record_that_tells_no_time_may_be_of_any_time_that_was(again: Open, tmp_path: Path) -> None:
    writer, _ = again()
    settings = Settings(warehouse=tmp_path / "w.duckdb", clock="replay")
    line = Line(settings, writer, Letters(settings))
    events = [payment(1, occurred_at=ms(NOON)), payment(2, occurred_at=ms(datetime.now(UTC) + timedelta(hours=2)))]
    records = [SimpleNamespace(offset=n, key=b"m", value=encoded(event), timestamp=None) for n, event in enumerate(events)]
    (decoded,) = line._on_decoder([Fetched.of(TP("payments", 0), 1, 1, Records.of(records))])
    assert decoded.frame["offset_at"].to_list() == [0]
    assert [(refused.offset, refused.reason) for refused in decoded.refused] == [(1, "in_future")]


def test_what_a_record_may_say_is_judged_by_when_it_was_sent_however_late_it_is_read(again: Open, tmp_path: Path) -> None:
    writer, _ = again()
    settings = Settings(warehouse=tmp_path / "w.duckdb", clock="wall")
    line = Line(settings, writer, Letters(settings))
    now = datetime.now(UTC)
    # A clock that is an hour fast, of a record that is read three hours later; in time; producers whose clock is a year ahead, never was set, or is none.
    sent = [now - timedelta(hours=3), now - timedelta(hours=3), now + timedelta(days=365), datetime(1970, 1, 1, 0, 1, tzinfo=UTC), None]
    events = [payment(n, occurred_at=ms(at)) for n, at in enumerate([now - timedelta(hours=2), now - timedelta(hours=3), now, now, now])]
    records = [
        SimpleNamespace(offset=n, key=b"m", value=encoded(event), timestamp=at and ms(at)) for n, (at, event) in enumerate(zip(sent, events, strict=True))
    ]
    (decoded,) = line._on_decoder([Fetched.of(TP("payments", 0), 1, 1, Records.of(records))])
    assert [(refused.offset, refused.reason) for refused in decoded.refused] == [(0, "in_future")]
    assert "when it was sent" in decoded.refused[0].detail
    assert decoded.frame["offset_at"].to_list() == [1, 2, 3, 4]


def weeks_of_sales(writer: Writer, until: datetime) -> None:
    """Four weeks of three payments a minute, all day, in one market."""
    made = "SELECT unnest(generate_series($until - INTERVAL 28 DAY, $until - INTERVAL 1 MINUTE, INTERVAL 1 MINUTE)) AS minute_at"
    writer.connection.execute(
        "INSERT INTO market_minute (minute_at, market_id, channel, approved, approved_amount, declined, reversed, reversed_amount, failed, failed_amount) "
        f"SELECT minute_at, 'm1', 'card', 3, 3000, 0, 0, 0, 0, 0 FROM ({made})",
        {"until": until},
    )


@pytest.mark.parametrize(("service", "blind"), [("refund", False), ("registration", False), ("payment", True), ("all", True), (None, True)])
def test_sales_are_no_example_while_payments_were_switched_off_and_are_one_while_another_service_was(again: Open, service: str | None, *, blind: bool) -> None:
    writer, made = again()
    midnight = MARK + 12 * HOUR
    weeks_of_sales(writer, midnight)
    span = [midnight - 30 * DAY, midnight + 7 * DAY, midnight - 40 * DAY]
    writer.connection.execute("INSERT INTO maintenance (label, service, starts_at, ends_at, announced_at) VALUES ('off', ?, ?, ?, ?)", [service, *span])
    assert (made._usual((midnight + 9 * HOUR).date()).expected["expected"].sum() == pytest.approx(3 * 1440, rel=0.05)) is not blind


@pytest.mark.parametrize(("scope", "name"), [("issuer", "i1"), ("region", "서울특별시"), ("service", "refund")])
def test_a_part_that_is_away_for_good_does_not_leave_the_nation_without_an_example(again: Open, scope: str, name: str) -> None:
    writer, made = again()
    midnight = MARK + 12 * HOUR
    weeks_of_sales(writer, midnight)
    incident = ["i", "missing_sales", scope, name, midnight - 29 * DAY, midnight - 29 * DAY, midnight - MINUTE]
    writer.connection.execute(
        "INSERT INTO incident (incident_id, kind, scope, scope_name, onset_at, detected_at, last_seen_at) VALUES (?, ?, ?, ?, ?, ?, ?)", incident
    )
    assert made._usual((midnight + 9 * HOUR).date()).expected["expected"].sum() == pytest.approx(3 * 1440, rel=0.05)


def test_late_is_what_comes_after_its_minute_has_closed_and_nothing_else(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "w.duckdb", NOON)
    closing = Closing(writer, timedelta(minutes=1), 35)
    writer.apply([chunk("payments", [payment(1)])], NOON, lambda _: None)
    # The watermark lies in a minute which is open until it has passed it.
    closing.close(MARK + timedelta(minutes=1, seconds=50))
    at = (ms(NOON) + seconds * 1000 for seconds in (10, 59, 60, 75, 110, 130))
    writer.apply([chunk("payments", [payment(n, occurred_at=time) for n, time in enumerate(at, 2)], first_offset=1)], NOON, lambda _: None)
    assert writer.connection.execute("SELECT accepted, late FROM source_offset").fetchall() == [(7, 2)]
    writer.close()
