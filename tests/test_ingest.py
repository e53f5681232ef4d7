"""The one writer, on a real DuckDB file: exact counts whatever the order, batching, repetition and crashes."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.events import MAX_COUNT
from tests.events_data import KEY, NOON, chunk, failure, ms, payment
from tests.line_process import COLUMNS, recount
from tests.recounting import TABLES, counted, failed_purchases
from warehouse.commands import KEPT_IN, NOT_SAID, parse
from warehouse.ingest import Chunk, Refused, Writer

Letters = list[tuple[str, int, Refused]]


@pytest.fixture
def writer(tmp_path: Path) -> Iterable[Writer]:
    made = Writer(tmp_path / "w.duckdb", NOON)
    yield made
    made.close()


def ignore(_: Letters) -> None:
    """Nobody looks at the dead letters here."""


def write(writer: Writer, *chunks: Chunk, letters: Callable[[Letters], None] = ignore) -> None:
    writer.apply(chunks, NOON, letters)


def rows(writer: Writer, sql: str) -> list[tuple[Any, ...]]:
    return writer.connection.execute(sql).fetchall()


def cells(writer: Writer) -> dict[tuple[Any, ...], tuple[int, ...]]:
    found = rows(writer, f"SELECT minute_at, market_id, channel, {', '.join(COLUMNS)} FROM market_minute")
    return {row[:3]: row[3:] for row in found}


def test_payments_are_counted_by_minute_market_and_channel(writer: Writer) -> None:
    events = [
        payment(1),
        payment(2, amount=1_000),
        payment(3, status="declined", response_code="51"),
        payment(4, channel=None),
        payment(5, occurred_at=ms(NOON) + 60_000),
    ]
    write(writer, chunk("payments", events))
    assert cells(writer) == recount(events, [])
    assert len(cells(writer)) == 3


def test_a_minute_without_payments_is_absent(writer: Writer) -> None:
    write(writer, chunk("payments", [payment(1), payment(2, occurred_at=ms(NOON) + 300_000)]))
    assert len(cells(writer)) == 2


def test_duplicates_count_once_within_a_batch_across_batches_and_partitions(writer: Writer) -> None:
    write(writer, chunk("payments", [payment(1), payment(1), payment(2)]))
    write(writer, chunk("payments", [payment(1)], first_offset=3), chunk("payments", [payment(2), payment(3)], partition=1))
    assert cells(writer) == recount([payment(1), payment(2), payment(3)], [])
    assert rows(writer, "SELECT sum(accepted), sum(duplicate) FROM source_offset") == [(3, 3)]


def test_offsets_below_the_warehouse_s_are_dropped(writer: Writer) -> None:
    first = chunk("payments", [payment(1), payment(2)])
    write(writer, first)
    write(writer, chunk("payments", [payment(1), payment(2), payment(3)]))
    assert rows(writer, "SELECT next_offset, accepted, duplicate FROM source_offset") == [(3, 3, 0)]
    write(writer, first)
    assert rows(writer, "SELECT next_offset, accepted, duplicate FROM source_offset") == [(3, 3, 0)]


def test_a_reversal_counts_in_its_own_minute_as_a_line_of_its_own(writer: Writer) -> None:
    write(writer, chunk("payments", [payment(2, status="reversed", amount=5_000, reverses=payment(1)["event_id"], occurred_at=ms(NOON) + 120_000), payment(1)]))
    assert sorted(v[:5] for v in cells(writer).values()) == [(0, 0, 0, 1, 5_000), (1, 25_000, 0, 0, 0)]


@pytest.mark.parametrize("approval_first", [True, False])
def test_a_timeout_that_was_approved_after_all_counts_once_as_approved(writer: Writer, approval_first: bool) -> None:  # noqa: FBT001
    both = [chunk("payments", [payment(1, occurred_at=ms(NOON) + 90_000)]), chunk("errors", [failure(1)])]
    for one in both if approval_first else reversed(both):
        write(writer, one)
    assert [v[0] for v in cells(writer).values()] == [1]
    assert [v[5] for v in cells(writer).values()] == [0]
    assert rows(writer, "FROM failed_purchase") == []


def test_a_purchase_that_fails_and_then_succeeds_is_recovered(writer: Writer) -> None:
    write(writer, chunk("errors", [failure(1), failure(2, event_id="again", purchase_id="purchase-1", attempt=2, occurred_at=ms(NOON) + 60_000)]))
    write(writer, chunk("payments", [payment(1, attempt=3, occurred_at=ms(NOON) + 120_000)]))
    assert rows(writer, "SELECT failures, amount, recovered_amount, recovered_at - last_failure_at FROM failed_purchase") == [
        (2, 25_000, 25_000, timedelta(minutes=1))
    ]


def test_several_errors_of_one_attempt_are_one_failure(writer: Writer) -> None:
    write(writer, chunk("errors", [failure(1), failure(1, event_id="seen by the terminal too")]))
    assert [v[5] for v in cells(writer).values()] == [1]
    assert rows(writer, "SELECT sum(errors) FROM service_minute") == [(2,)]


def test_without_purchase_id_failures_of_a_buyer_in_a_market_are_episodes_with_a_gap_of_ten_minutes(writer: Writer) -> None:
    def at(minutes: int) -> int:
        return ms(NOON) - 3_600_000 + minutes * 60_000

    fails = [failure(n, purchase_id=None, attempt=None, user_id="b", occurred_at=at(m)) for n, m in enumerate([0, 4, 30])]
    pays = [payment(9, purchase_id=None, attempt=None, user_id="b", occurred_at=at(12))]
    write(writer, chunk("payments", pays))
    write(writer, chunk("errors", fails))
    assert sorted(rows(writer, "SELECT failures, recovered_amount FROM failed_purchase"), key=str) == [(1, None), (2, 25_000)]


@pytest.mark.parametrize("seed", range(3))
def test_what_many_buyers_share_makes_no_episodes_on_days_that_are_no_persons_whatever_the_order(tmp_path: Path, seed: int) -> None:
    """A limit of six: some days lie above it and some below, and episodes go on over midnight in Seoul."""
    chance = random.Random(seed)
    midnight = ms(NOON) - 12 * 3_600_000
    fields = {"purchase_id": None, "attempt": None}
    payments, failures = [], []
    for n in range(1, 61):
        at = midnight + chance.randrange(-90, 90) * 60_000
        shared = {**fields, "user_id": chance.choice(["guest", "kim"]), "market_id": chance.choice(["m1", "m1", "m2"]), "occurred_at": at, "channel": None}
        if chance.random() < 0.4:
            failures.append(failure(n, **shared))
        else:
            payments.append(payment(n, **shared, status=chance.choice(["approved", "approved", "declined"])))
    arrivals = [("payments", p) for p in payments] + [("errors", f) for f in failures]
    states, crowds = [], []
    for round_ in range(3):
        made = Writer(tmp_path / f"{round_}.duckdb", NOON)
        made.connection.execute("CREATE OR REPLACE TEMP MACRO most_of_a_person() AS 6")
        offsets = Counter[str]()
        for some in [arrivals[i::6] for i in range(6)] if round_ else [arrivals]:
            for topic in ("payments", "errors"):
                events = [event for name, event in some if name == topic]
                if events:
                    write(made, chunk(topic, events, first_offset=offsets[topic]))
                    offsets[topic] += len(events)
        states.append(Counter(rows(made, f"SELECT {TABLES['failed_purchase']} FROM failed_purchase")))
        crowds.append(sorted(rows(made, "FROM crowd"), key=str))
        made.close()
        chance.shuffle(arrivals)
    assert states[0] == states[1] == states[2]
    assert states[0]
    assert crowds[0]
    assert states[0] == Counter(failed_purchases(payments, failures, counted(payments, failures), KEY, most=6))


def test_what_comes_of_a_day_that_is_no_persons_looks_at_nothing_that_is_kept_of_it(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    renew = Writer._renew_purchases

    def looked_at(self: Writer) -> None:
        seen.append(self.connection.execute("SELECT count(*) FROM touched_happened").fetchall()[0][0])
        renew(self)

    monkeypatch.setattr(Writer, "_renew_purchases", looked_at)
    writer.connection.execute("CREATE OR REPLACE TEMP MACRO most_of_a_person() AS 6")
    fields = {"purchase_id": None, "attempt": None, "user_id": "guest"}
    write(writer, chunk("errors", [failure(n, **fields) for n in range(1, 9)]))
    write(writer, chunk("payments", [payment(9, **fields)]))
    write(writer, chunk("errors", [failure(10, **fields)], first_offset=8))
    assert seen == [8, 0, 0]


def test_errors_of_other_services_are_no_failed_payments(writer: Writer) -> None:
    write(writer, chunk("errors", [failure(1, service="login", market_id=None)]))
    assert cells(writer) == {}
    assert rows(writer, "SELECT service, code, errors FROM service_minute") == [("login", "timeout", 1)]


def test_a_purchase_that_only_failed_at_another_service_is_no_failed_purchase(writer: Writer) -> None:
    write(writer, chunk("errors", [failure(1, service="login")]))
    write(writer, chunk("payments", [payment(1, status="declined", attempt=2)]))
    assert writer.connection.execute("SELECT count(*) FROM failed_purchase").fetchall() == [(0,)]
    assert writer.connection.execute("SELECT sum(declined), sum(failed) FROM market_minute").fetchall() == [(1, 0)]


def test_nothing_of_a_batch_is_held_after_it(writer: Writer) -> None:
    before = rows(writer, "SELECT view_name FROM duckdb_views() WHERE temporary AND NOT internal ORDER BY ALL")
    write(writer, chunk("payments", [payment(1)]), chunk("errors", [failure(2)]))
    assert rows(writer, "SELECT view_name FROM duckdb_views() WHERE temporary AND NOT internal ORDER BY ALL") == before
    assert rows(writer, "SELECT table_name FROM duckdb_tables() WHERE temporary") == [("crowd",)]


def test_user_ids_are_kept_as_hmac_only(writer: Writer) -> None:
    write(writer, chunk("payments", [payment(1, user_id="kim-1"), payment(2, user_id="kim-1")]))
    ((key,),) = rows(writer, "SELECT DISTINCT user_key::VARCHAR FROM payment")
    assert "kim" not in key


def test_merchants_days_are_days_in_seoul(writer: Writer) -> None:
    write(
        writer,
        chunk("payments", [payment(1, occurred_at=ms(NOON) + 11 * 3_600_000), payment(2, occurred_at=ms(NOON) + 12 * 3_600_000)], now=NOON + timedelta(days=1)),
    )
    assert rows(writer, "SELECT day::VARCHAR, amount FROM merchant_day ORDER BY 1") == [("2025-03-01", 25_000), ("2025-03-02", 25_000)]


def test_a_merchants_day_goes_on_in_the_next_batch_also_before_nine_in_the_morning(writer: Writer) -> None:
    early = ms(NOON) - 9 * 3_600_000
    for number in (1, 2):
        write(writer, chunk("payments", [payment(number, occurred_at=early + number * 3_600_000)], first_offset=number))
    assert rows(writer, "SELECT day, approved, amount FROM merchant_day") == [(NOON.date(), 2, 50_000)]


def test_service_load_is_counted_once_a_service_and_time(writer: Writer) -> None:
    report = {"occurred_at": ms(NOON), "service": "login", "attempts": 10, "succeeded": 9, "failed": 1, "queue_length": 5}
    later = {**report, "occurred_at": ms(NOON) + 10_000, "queue_length": 7}
    write(writer, chunk("service_load", [report, report]))
    write(writer, chunk("service_load", [report, later], first_offset=2))
    assert rows(writer, "SELECT attempts, failed, queue_length FROM load_minute") == [(20, 2, 7)]
    assert rows(writer, "SELECT accepted, duplicate FROM source_offset") == [(2, 2)]


def test_no_reports_of_load_add_up_to_more_than_a_minute_holds(writer: Writer) -> None:
    counts = dict.fromkeys(("attempts", "succeeded", "failed", "abandoned", "queue_length"), MAX_COUNT)
    reports = [{"occurred_at": ms(NOON) + n, "service": "login", **counts, "wait_ms_p50": 2**53, "wait_ms_p95": 2**53} for n in range(60_000)]
    write(writer, chunk("service_load", reports))
    assert rows(writer, "SELECT attempts, abandoned FROM load_minute") == [(60_000 * MAX_COUNT,) * 2]
    assert rows(writer, "SELECT accepted, refused FROM source_offset") == [(60_000, 0)]
    beyond = [{**reports[0], "service": "queue", name: MAX_COUNT + 1} for name in counts]
    write(writer, chunk("service_load", beyond, first_offset=60_000))
    assert rows(writer, "SELECT accepted, refused FROM source_offset") == [(60_000, len(counts))]


def test_refusals_go_out_before_the_commit_with_their_bytes(writer: Writer) -> None:
    bad = b'{"amount": "100"}'
    seen: Letters = []

    def letters(sent: Letters) -> None:
        seen.extend(sent)
        assert rows(writer, "SELECT count(*) FROM rejected") == [(1,)]

    write(writer, chunk("payments", [payment(1), bad]), letters=letters)
    assert [(t, p, r.offset, r.reason, r.value) for t, p, r in seen] == [("payments", 0, 1, "invalid", bad)]
    assert rows(writer, "SELECT accepted, refused, next_offset FROM source_offset") == [(1, 1, 2)]


def test_where_dead_letters_cannot_be_sent_nothing_is_committed(writer: Writer) -> None:
    def broken(_: Letters) -> None:
        raise OSError("no broker")

    with pytest.raises(OSError, match="no broker"):
        write(writer, chunk("payments", [payment(1), b"?"]), letters=broken)
    assert cells(writer) == {}
    assert writer.sources() == {}
    write(writer, chunk("payments", [payment(1), b"?"]))
    assert rows(writer, "SELECT accepted, refused FROM source_offset") == [(1, 1)]


def test_commands_are_applied_once_and_kept(writer: Writer) -> None:
    markets = [{"market_id": "m0001", "name": "서문 시장", "region": "대구광역시", "cycle": "2,7"}]
    command = {"command_id": "c1", "occurred_at": ms(NOON), "actor": "ops", "kind": "markets_imported", "payload": {"markets": markets}}
    write(writer, chunk("commands", [command, command]))
    assert rows(writer, "SELECT market_id, region, cycle FROM market") == [("m0001", "대구광역시", "2,7")]
    assert rows(writer, "SELECT actor, kind, outcome FROM command") == [("ops", "markets_imported", "1 markets")]


@pytest.mark.parametrize(("kind", "payload"), [("nonsense", {}), ("promotion", {"label": "x"}), ("markets_imported", {"markets": [{"name": "no id"}]})])
def test_a_command_that_cannot_be_applied_is_refused_with_the_reason(writer: Writer, kind: str, payload: dict[str, Any]) -> None:
    seen: Letters = []
    sent = b' {"payload": %s, "command_id": "c1", "occurred_at": %d, "actor": "ops", "kind": "%s"}' % (json.dumps(payload).encode(), ms(NOON), kind.encode())
    write(writer, chunk("commands", [b"?", sent, command("span_excluded", SPAN, 2)]), letters=seen.extend)
    assert [r.reason for _, _, r in seen] == ["malformed", "bad_payload"]
    assert seen[1][2].value == sent, "the whole record as it came, as of any other refusal"
    assert rows(writer, "SELECT kind FROM command") == [("span_excluded",)]


def command(kind: str, payload: object, number: int = 1) -> dict[str, Any]:
    return {"command_id": f"c{number}", "occurred_at": ms(NOON), "actor": "ops", "kind": kind, "payload": payload}


SPAN = {"label": "x", "starts_at": "2025-03-01T10:00+09:00", "ends_at": "2025-03-01T11:00+09:00"}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("claim_entered", {"source": "s", "amount": 10**19, "incident_id": "i"}),
        ("claim_entered", {"source": "s", "amount": 1, "note": "n" * 10_000, "incident_id": "i"}),
        ("claim_entered", {"source": "a\u0000b", "amount": 1, "incident_id": "i"}),
        ("markets_imported", {"markets": []}),
        ("markets_imported", {"markets": [{"market_id": "m", "name": "n", "region": "r", "merchants": 3_000_000_000}]}),
        ("span_excluded", SPAN | {"starts_at": "0001-01-01T00:00+09:00"}),
        ("span_excluded", SPAN | {"ends_at": "9999-12-31T23:59:59-12:00"}),
        ("span_excluded", SPAN | {"ends_at": SPAN["starts_at"]}),
        ("promotion", SPAN | {"factor": 1e308}),
        ("survey_entered", {"label": "l", "substitution": 0.5, "low": 0.9, "high": 0.1}),
        ("survey_entered", {"label": "l", "substitution": 0.5, "low": 0.6, "high": 0.7}),
        ("survey_entered", {"label": "l", "substitution": 0.5, "low": 0.2, "high": 0.4}),
    ],
)
def test_a_command_beyond_what_the_tables_hold_is_refused_and_the_line_goes_on(writer: Writer, kind: str, payload: dict[str, Any]) -> None:
    seen: Letters = []
    write(writer, chunk("commands", [command(kind, payload), command("span_excluded", SPAN, 2)]), letters=seen.extend)
    assert len(seen) == 1
    assert rows(writer, "SELECT kind, outcome FROM command") == [("span_excluded", "applied")]


def test_the_newest_word_on_when_an_operator_began_holds(writer: Writer) -> None:
    said = [("옛 운영사", "2020-01-01T00:00+09:00"), ("새 운영", "2025-03-01T00:00+09:00"), ("새 운영사", "2025-02-28T15:00+00:00")]
    write(writer, chunk("commands", [command("operator_period", {"name": name, "starts_at": at}, number) for number, (name, at) in enumerate(said)]))
    assert rows(writer, "SELECT name FROM operator_period ORDER BY starts_at") == [("옛 운영사",), ("새 운영사",)]
    assert rows(writer, "SELECT count(*) FROM command") == [(3,)]


KEPT_WORDS = {
    "operator_period": {"name": "운영사", "starts_at": "2025-03-01T00:00+09:00"},
    "promotion": SPAN | {"factor": 1.1},
    "span_excluded": SPAN,
    "maintenance_announced": SPAN | {"service": "app"},
    "claim_entered": {"source": "신문", "amount": 10**10, "note": "1면", "incident_id": "i"},
    "survey_entered": {"label": "조사", "substitution": 0.3, "low": 0.1, "high": 0.7},
}


@pytest.mark.parametrize("kind", KEPT_WORDS)
def test_what_was_said_in_error_is_withdrawn_word_for_word_and_once(writer: Writer, kind: str) -> None:
    writer.connection.execute("INSERT INTO incident (incident_id) VALUES ('i')")
    words = KEPT_WORDS[kind]
    table = KEPT_IN[type(parse(kind, json.dumps(words), NOON))][0]
    text = next(name for name in ("name", "label", "source") if name in words)
    # With the time in another zone and its defaults said, as a page reads them from the table.
    again = {name: value.replace("10:00+09:00", "01:00:00+00:00") if isinstance(value, str) else value for name, value in words.items()}
    said = [(kind, words), (kind, words), (kind, words | {text: "another"}), *[("withdrawn", {"said": kind, "words": again})] * 3]
    if kind == "operator_period":
        said[2] = kind, {"name": "another", "starts_at": "2024-03-01T00:00+09:00"}
    write(writer, chunk("commands", [command(*one, number) for number, one in enumerate(said)]))
    assert rows(writer, f"SELECT {text} FROM {table}") == [("another",)]
    outcomes = [outcome for (outcome,) in rows(writer, "SELECT outcome FROM command WHERE kind = 'withdrawn'")]
    # The newest word on a start of an operator holds, so that was kept once.
    assert outcomes == ["applied", *["applied"] * (kind != "operator_period"), *[NOT_SAID] * (1 + (kind == "operator_period"))]


@pytest.mark.parametrize(("words", "reason"), [({"source": "s"}, "amount"), ({"source": "s", "amount": 1}, "incident_id is missing")])
def test_what_could_never_have_been_said_is_not_withdrawn(writer: Writer, words: dict[str, Any], reason: str) -> None:
    seen: Letters = []
    write(writer, chunk("commands", [command("withdrawn", {"said": "claim_entered", "words": words})]), letters=seen.extend)
    assert [(r.reason, reason in r.detail) for _, _, r in seen] == [("bad_payload", True)]


MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)).map(datetime.isoformat) | st.just(SPAN["starts_at"])
ANYTHING = st.text(max_size=300) | st.integers() | st.floats() | st.none() | st.booleans() | MOMENTS
FIELDS = ["label", "name", "source", "starts_at", "ends_at", "onset_at", "ended_at", "amount", "factor", "note", "incident_id", "into", "scope", "scope_name"]
FIELDS += ["market_id", "service", "substitution", "low", "high"]
KINDS = ["operator_period", "promotion", "span_excluded", "maintenance_announced", "claim_entered", "survey_entered", "incident_declared", "incident_corrected"]
KINDS += ["incident_merged", "markets_imported", "withdrawn"]


WORDS = st.dictionaries(st.sampled_from(FIELDS), ANYTHING)
PAYLOADS = (
    WORDS
    | st.fixed_dictionaries({"said": st.sampled_from(KINDS), "words": WORDS})
    | st.dictionaries(st.just("markets"), st.lists(st.dictionaries(st.text(), ANYTHING)))
)


@pytest.mark.slow
@settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(st.tuples(st.sampled_from(KINDS), PAYLOADS), min_size=4, max_size=4))
def test_whatever_a_command_holds_it_is_applied_or_refused(writer: Writer, said: list[tuple[str, dict[str, Any]]]) -> None:
    offset = writer.sources()[("commands", 0)].next_offset if writer.sources() else 0
    write(writer, chunk("commands", [command(*one, offset + number) for number, one in enumerate(said)], first_offset=offset))
    assert writer.sources()["commands", 0].next_offset == offset + len(said)


def test_a_correction_that_turns_an_incident_around_is_kept_with_the_reason_and_changes_nothing(writer: Writer) -> None:
    declared = command("incident_declared", {"scope": "nation", "scope_name": "", "onset_at": "2025-03-01T10:00+09:00"})
    write(writer, chunk("commands", [declared]))
    (incident_id,) = rows(writer, "SELECT incident_id FROM incident")[0]
    wrong = command("incident_corrected", {"incident_id": incident_id, "ended_at": "2025-03-01T09:00+09:00"}, 2)
    into = command("incident_merged", {"incident_id": incident_id, "into": "nothing"}, 3)
    write(writer, chunk("commands", [wrong, into], first_offset=1))
    assert rows(writer, "SELECT ended_at, merged_into, version FROM incident") == [(None, None, 1)]
    assert {outcome for (outcome,) in rows(writer, "SELECT outcome FROM command")} == {
        "applied",
        "the end would not be after the onset",
        "no such incident to merge into",
    }


def test_a_failure_is_taken_back_in_the_region_it_was_counted_in(writer: Writer) -> None:
    write(writer, chunk("errors", [failure(1), failure(2)]))
    market = {"market_id": "m0001", "name": "서문시장", "region": "대구광역시"}
    write(writer, chunk("commands", [command("markets_imported", {"markets": [market]})]))
    write(writer, chunk("payments", [payment(1)]))
    found = rows(writer, "SELECT region, outcome, count FROM issuer_minute ORDER BY ALL")
    assert found == [("unknown", "failed", 1), ("대구광역시", "approved", 1)]
    write(writer, chunk("errors", [failure(3)], first_offset=2))
    assert rows(writer, "SELECT count FROM issuer_minute WHERE region = '대구광역시' AND outcome = 'failed'") == [(1,)]
    write(writer, chunk("payments", [payment(3)], first_offset=1))
    assert rows(writer, "SELECT count FROM issuer_minute WHERE region = '대구광역시' ORDER BY ALL") == [(2,)]


def test_lost_offsets_are_kept_as_a_range(writer: Writer) -> None:
    gone = chunk("payments", [payment(1)], first_offset=10)
    write(writer, Chunk(gone.topic, 0, 10, 11, gone.frame, [], (0, 10)))
    assert rows(writer, "SELECT topic, partition, from_offset, to_offset FROM lost_range") == [("payments", 0, 0, 10)]
    assert rows(writer, "SELECT lost, next_offset FROM source_offset") == [(10, 11)]


def test_a_batch_that_is_tried_again_after_its_commit_changes_nothing(writer: Writer) -> None:
    # The answer to a COMMIT may get lost; what is tried again then has been written.
    batch = [replace(chunk("payments", [payment(1), b"bad"], first_offset=20), lost=(10, 20))]
    writer.apply(batch, NOON, lambda _: None)
    before = [writer.connection.execute(f"FROM {table}").fetchall() for table in ("market_minute", "source_offset", "rejected", "lost_range")]
    writer.apply(batch, NOON, lambda _: None)
    assert [writer.connection.execute(f"FROM {table}").fetchall() for table in ("market_minute", "source_offset", "rejected", "lost_range")] == before


def history(seed: int, size: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Purchases that are tried up to four times, time out, are approved after all, declined, reversed; some without ids."""
    chance = random.Random(seed)
    payments, failures, number = [], [], 0
    for purchase in range(size):
        known, at = chance.random() < 0.8, ms(NOON) - chance.randrange(5_400_000)
        ids = {"purchase_id": f"p{purchase}" if known else None, "user_id": f"u{purchase % 7}" if chance.random() < 0.8 else None}
        place = {"market_id": f"m{chance.randrange(3)}", "channel": chance.choice(["card", "mobile", None]), "merchant_id": chance.choice(["s1", None])}
        for attempt in range(1, chance.randint(1, 4) + 1):
            number += 1
            at += chance.randrange(120_000)
            fields = {**ids, **place, "attempt": attempt if known else None, "occurred_at": at, "amount": chance.randint(1, 90_000)}
            fate = chance.random()
            if fate < 0.6:
                failures.append(failure(number, **fields))
            if fate < 0.1 or fate >= 0.6:
                payments.append(payment(number, **fields, status=chance.choice(["approved", "approved", "declined"])))
            if fate > 0.95:
                payments.append(payment(number + 1_000_000, **fields, status="reversed"))
    return payments, failures


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), size=st.integers(1, 40), cuts=st.integers(1, 6))
def test_the_tables_are_the_same_whatever_the_order_batching_repetition_and_restarts(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int, cuts: int
) -> None:
    payments, failures = history(seed, size)
    chance = random.Random(seed + 1)
    states = []
    for round_ in range(2):
        folder = tmp_path_factory.mktemp("w")
        made = Writer(folder / "w.duckdb", NOON)
        arrivals = [("payments", p) for p in payments] + [("errors", f) for f in failures]
        if round_:
            arrivals += chance.sample(arrivals, len(arrivals) // 3)
            chance.shuffle(arrivals)
        offsets = Counter[str]()
        for some in [arrivals[i::cuts] for i in range(cuts)] if round_ else [arrivals]:
            batch = []
            for topic in ("payments", "errors"):
                events = [event for name, event in some if name == topic]
                batch.append(chunk(topic, events, first_offset=offsets[topic]))
                offsets[topic] += len(events)
            write(made, *(c for c in batch if c.next_offset > c.first_offset))
            if round_ and chance.random() < 0.2:
                made.close()
                made = Writer(folder / "w.duckdb", NOON)
        states.append(
            (
                cells(made),
                sorted(rows(made, "FROM failed_purchase"), key=str),
                sorted(rows(made, "FROM merchant_day"), key=str),
                sorted(rows(made, "FROM issuer_minute"), key=str),
            )
        )
        made.close()
    assert states[0] == states[1]
    assert states[0][0] == recount(payments, failures)
