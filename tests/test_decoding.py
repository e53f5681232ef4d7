"""Decoding: exact or refused with a reason, the same whether a record is looked at by itself or with its whole chunk."""

import hmac
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import decoding
from streams.decoding import DEEPEST, EARLIEST_MS, Decoded, Layout, Span, decode
from streams.events import CONTRACT, MAX_COMMAND_BYTES, ClockTick, Command, Failure, Payment
from streams.keying import hider, keyed
from tests.events_data import NOON, encoded, failure, ms, payment

PAYMENTS = Layout(Payment)
THOROUGH = Layout(Payment)
THOROUGH.countable = False  # every record is looked at by itself
SPAN = Span(EARLIEST_MS, ms(NOON))


@pytest.fixture(scope="module", autouse=True)
def scanned_whatever_it_costs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "DOUBTED_SHARE", 1.0)
        yield


def decoded_alike(values: Sequence[bytes | None], span: Span = SPAN) -> Decoded:
    """What a look at each record by itself gives; looking at whole columns, and reading straight into columns, must give the same."""
    exact = decode(values, THOROUGH, span)
    for layout in (PAYMENTS, Layout(Payment, scanned_from=1)):
        other = decode(values, layout, span)
        assert other.frame.equals(exact.frame)
        assert other.frame.schema == exact.frame.schema
        assert other.refusals == exact.refusals
    return exact


def reason(value: bytes | None) -> str | None:
    decoded = decoded_alike([value])
    assert len(decoded.frame) + len(decoded.refusals) == 1
    return decoded.refusals[0].reason if decoded.refusals else None


def test_a_sound_record_becomes_columns() -> None:
    frame = decode([encoded(payment(7, amount=123))], PAYMENTS, SPAN).frame
    assert frame.select("row", "amount", "market_id", "status").rows() == [(0, 123, "m0001", "approved")]


def test_one_bad_record_does_not_spoil_its_neighbours() -> None:
    values = [encoded(payment(n)) for n in range(1, 6)]
    values[2] = b'{"amount": "100"}'
    decoded = decoded_alike(values)
    assert decoded.frame["row"].to_list() == [0, 1, 3, 4]
    assert [(r.row, r.reason) for r in decoded.refusals] == [(2, "invalid")]


@pytest.mark.parametrize("amount", [0, -1, 100_000_001, 1.5, "100", True, None, [1], 10**22, float("nan"), float("inf")])
def test_money_is_never_coerced(amount: object) -> None:
    assert reason(json.dumps({**payment(), "amount": amount}).encode()) in {"invalid", "malformed"}


@pytest.mark.parametrize("field", ["event_id", "market_id", "channel", "merchant_id", "purchase_id", "user_id", "issuer"])
@pytest.mark.parametrize("value", [5, True, "", "x" * 65, "x" * 10_000, ["a"], {"a": 1}, "a\x00b"])
def test_ids_and_names_are_texts_of_1_to_64_characters(field: str, value: object) -> None:
    assert reason(encoded({**payment(), field: value})) in {"invalid", "malformed"}


def test_64_characters_may_have_more_than_64_bytes() -> None:
    assert reason(encoded(payment(market_id="시" * 64))) is None
    assert reason(encoded(payment(market_id="시" * 65))) == "invalid"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "empty"),
        (b"", "malformed"),
        (b"null", "invalid"),
        (b"[]", "invalid"),
        (b"\xff\xfe", "malformed"),
        (encoded(payment()) + encoded(payment()), "malformed"),
        (encoded(payment()) + b"\n" + encoded(payment()), "malformed"),
        (encoded(payment())[:-1] + b',"amount":1}', "malformed"),
        (encoded(payment())[:-1] + b',"am\\u006funt":1}', "malformed"),
        (encoded(payment())[:-1] + b',"amount" : 1}', "malformed"),
        (encoded(payment())[:-1], "malformed"),
        (b'{"a":' * 100_000, "too_large"),
        (b"[" * 10_000 + b"]" * 6_000, "invalid"),
        (encoded(payment(note="x" * 20_000)), "too_large"),
        (encoded(payment(status="paid")), "invalid"),
        (encoded(payment(amount=None)), "invalid"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(value: bytes | None, expected: str) -> None:
    decoded = decoded_alike([value])
    assert len(decoded.frame) == 0
    assert decoded.refusals[0].reason == expected
    assert decoded.refusals[0].detail


@pytest.mark.parametrize(
    ("occurred_at", "expected"),
    [
        (ms(NOON), None),
        (ms(NOON) + 600_000, None),
        (ms(NOON) + 600_001, "in_future"),
        (ms(NOON) // 1000, "implausible_time"),
        (ms(NOON) * 1000, "invalid"),
        (-5, "invalid"),
    ],
)
def test_times_are_judged_against_now(occurred_at: int, expected: str | None) -> None:
    assert reason(encoded(payment(occurred_at=occurred_at))) == expected


def test_events_older_than_what_is_kept_are_refused_as_too_old() -> None:
    span = Span(ms(NOON), ms(NOON))
    assert decode([encoded(payment(occurred_at=ms(NOON) - 1))], PAYMENTS, span).refusals[0].reason == "too_old"


def test_before_anything_is_retained_each_record_has_its_own_earliest_time() -> None:
    values = [encoded(payment(1)), encoded(payment(2)), encoded(payment(3, occurred_at=ms(NOON) - 1))]
    decoded = decoded_alike(values, Span(np.array([ms(NOON), ms(NOON) + 1, ms(NOON) - 1]), ms(NOON)))
    assert decoded.frame["row"].to_list() == [0, 2]
    assert [(r.row, r.reason) for r in decoded.refusals] == [(1, "too_old")]


def test_a_command_is_no_longer_than_a_record_of_kafka_may_be() -> None:
    command = {"command_id": "c", "occurred_at": ms(NOON), "actor": "a", "kind": "k", "payload": {"note": "x" * MAX_COMMAND_BYTES}}
    (refusal,) = decode([encoded(command)], Layout(Command), SPAN).refusals
    assert refusal.reason == "too_large"


@pytest.mark.parametrize(
    ("occurred_at", "expected"),
    [
        (ms(NOON) + 600_000, None),
        (ms(NOON) + 600_001, "in_future"),
        (253_402_300_799_999, "in_future"),
        (ms(NOON) // 1000, "implausible_time"),
        (EARLIEST_MS, None),  # what was said is kept for ever, and read again by a warehouse that is made anew
    ],
)
def test_a_command_was_said_at_a_plausible_time(occurred_at: int, expected: str | None) -> None:
    said = {"command_id": "c", "occurred_at": occurred_at, "actor": "a", "kind": "k", "payload": {}}
    decoded = decode([encoded(said)], Layout(Command), Span(ms(NOON), ms(NOON)))
    assert [r.reason for r in decoded.refusals] == [expected] * (expected is not None)
    assert decoded.refusals == [] or f"occurred_at {occurred_at} is" in decoded.refusals[0].detail


def with_payload(payload: str) -> bytes:
    """A command with this JSON as its payload."""
    return b'{"command_id":"c","occurred_at":%d,"actor":"a","kind":"k","payload":%s}' % (ms(NOON), payload.encode())


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_a_command_is_refused_from_a_depth_on_and_ends_nothing_at_any(opens: str, closes: str) -> None:
    for depth in (1, DEEPEST - 2, DEEPEST - 1, 500, *range(960, 1_000), 5_000, 150_000):
        nested = opens * depth + ("1" if closes == "}" else "") + closes * depth
        decoded = decode([with_payload('{"x":"]}"}'), with_payload(f'{{"x":{nested}}}')], Layout(Command), SPAN)
        assert decoded.frame["row"].to_list() == ([0, 1] if depth < DEEPEST - 1 else [0])
        assert [r.reason for r in decoded.refusals] == ["malformed"] * (depth >= DEEPEST - 1)
        assert all("nested" in r.detail for r in decoded.refusals)


ODD = ["1e400", "-0.0", "9" * 5_000, "-" + "9" * 600, "1e-400", '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', "null", "NaN", "1" * 4_301, '"\\u1100\\u1161"']


@settings(max_examples=200, deadline=None)
@given(st.recursive(st.sampled_from(ODD), lambda inner: st.lists(inner, max_size=3).map(lambda some: f"[{','.join(some)}]"), max_leaves=5))
def test_whatever_a_payload_holds_the_command_is_accepted_or_refused(payload: str) -> None:
    decoded = decode([with_payload(f'{{"x":{payload}}}'), with_payload(payload)], Layout(Command), SPAN)
    assert len(decoded.frame) + len(decoded.refusals) == 2
    assert 1 in [r.row for r in decoded.refusals], "a payload is an object"


def test_in_a_replay_each_record_has_its_own_now() -> None:
    values = [encoded(payment(1)), encoded(payment(2))]
    decoded = decoded_alike(values, Span(EARLIEST_MS, np.array([ms(NOON), ms(NOON) - 3_600_000])))
    assert decoded.frame["row"].to_list() == [0]
    assert [(r.row, r.reason) for r in decoded.refusals] == [(1, "in_future")]


def test_unknown_fields_are_ignored_and_unknown_names_kept() -> None:
    frame = decoded_alike([encoded(payment(channel="kiosk", issuer="x-pay", weather={"amount": 5}))]).frame
    assert frame.select("channel", "issuer", "amount").rows() == [("kiosk", "x-pay", 25_000)]


def test_ids_are_compared_in_nfc() -> None:
    composed, decomposed = "\uac00", "\u1100\u1161"
    frame = decoded_alike([encoded(payment(1, market_id=composed)), encoded(payment(2, market_id=decomposed))]).frame
    assert frame["market_id"].n_unique() == 1


def test_an_error_needs_no_market_and_keeps_an_unknown_service() -> None:
    decoded = decode([encoded(failure(market_id=None, service="kiosk", code="odd"))], Layout(Failure), SPAN)
    assert decoded.frame.select("service", "code", "market_id").rows() == [("kiosk", "odd", None)]


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
nearly = st.fixed_dictionaries({}, optional={f: anything | st.just(v) for f, v in payment(1, latency_ms=5, reverses="r", note="n").items()}).map(
    lambda d: {**payment(2), **d}
)


POISON: list[bytes | None] = [
    None,
    b"\xff\xfe",
    b"",
    b"null",
    b"[" * 10_000,
    encoded(payment(1))[:-1],
    encoded(payment(1)) * 2,
    encoded(payment(1)) + b"\n" + encoded(payment(1)),
    encoded(payment(1))[:-1] + b',"amount":1}',
    encoded(payment(1, amount=0)),
    encoded(payment(1, amount=1.5)),
    encoded(payment(1, status="paid")),
    encoded(payment(1, market_id=None)),
    encoded(payment(1, market_id="x" * 65)),
    encoded(payment(1, note="x" * 20_000)),
    encoded(payment(1, note="note")).replace(b"note", b"n\xffte", 1),
    encoded(payment(1, note="NOTE")).replace(b"NOTE", b"\xed\xa0\x80"),
    encoded(payment(1)).replace(b'"issuer"', b'"is\xffsuer"'),
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.binary(max_size=60)
        | nearly.map(lambda d: json.dumps(d).encode())
        | nearly.map(lambda d: encoded(payment(**{k: v for k, v in d.items() if k == "market_id" and isinstance(v, str)}))),
        max_size=6,
    )
)
def test_any_bytes_at_all_are_accepted_or_refused(values: list[bytes]) -> None:
    for struct in CONTRACT.values():
        for layout in (Layout(struct), Layout(struct, scanned_from=1)):
            decoded = decode(values, layout, SPAN)
            rows = decoded.frame["row"].to_list() + [r.row for r in decoded.refusals]
            assert sorted(rows) == list(range(len(values)))


@settings(max_examples=200, deadline=None)
@given(st.lists(nearly, min_size=1, max_size=5), st.sampled_from([(",", ":"), (", ", ": ")]), st.booleans())
def test_whole_columns_tell_what_a_look_at_each_record_tells(events: list[dict[str, Any]], separators: tuple[str, str], ascii_only: bool) -> None:  # noqa: FBT001
    values = [json.dumps(event, separators=separators, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for event in events]
    decoded_alike(values)


EDITS = {
    "unquoted": (b'"m0001"', b"12345"),
    "a nested object": (b'"m0001"', b'{"a":1}'),
    "a blank": (b":", b": "),
    "blanks": (b",", b" ,  "),
    "a key twice": (b'"channel":', b'"channel":"card","channel":'),
    "a key more": (b'"channel":', b'"":1,"channel":'),
    "a text that looks like blanks": (b'"card"', b'"a, "'),
    "null": (b'"card"', b"null"),
    "a fraction": (b"25000", b"25000.0"),
    "a quoted number": (b"25000", b'"25000"'),
    "a truth": (b'"s1"', b"true"),
    "a list": (b'"m0001"', b'["m0001"]'),
    "an empty list": (b'"s1"', b"[]"),
    "an empty object": (b'"s1"', b"{}"),
    "a line break": (b",", b",\n"),
    "a carriage return": (b",", b"\r,"),
    "an escape": (b'"card"', b'"c\\u0061rd"'),
    "another case": (b'"channel"', b'"Channel"'),
    "too much": (b"25000", b"99999999999999999999"),
    "below": (b"25000", b"-25000"),
    "wide": (b'"bc"', '"비씨"'.encode()),
    "decomposed": (b'"bc"', '"\u1100\u1161"'.encode()),
    "minus nought": (b'"attempt":1', b'"attempt":-0'),
    "a blank before a colon": (b'":', b'" :'),
    "a tab before a colon": (b'":', b'"\t:'),
    "an escaped key": (b'"channel":', b'"ch\\u0061nnel":"card","channel":'),
    "a text that looks like a key": (b'"card"', b'"a\\":b"'),
    "a key more, twice": (b'"channel":', b'"x":1,"x":2,"channel":'),
}
"""What a text may be changed in, so that the numbers of keys and fields might agree by chance."""


@settings(max_examples=600, deadline=None)
@given(st.lists(st.lists(st.sampled_from(sorted(EDITS)), max_size=4), min_size=1, max_size=6), st.booleans())
def test_no_mix_of_odd_texts_slips_through(edits: list[list[str]], blanks: bool) -> None:  # noqa: FBT001
    values = []
    for number, some in enumerate(edits, start=1):
        value = json.dumps(payment(number)).encode() if blanks else encoded(payment(number))
        for edit in some:
            value = value.replace(*EDITS[edit], 1)
        values.append(value)
    decoded_alike(values)


BITS = st.sampled_from(
    [*(bytes([byte]) for byte in b'":,{}[]\\ \n\r\t\x00\x7f\xff019-.e'), b"\xed\xa0\x80", b"\xef\xbb\xbf", b"null", b"9" * 30, b"\\ud800", b',"x":1', b'"",']
)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3), BITS), max_size=3), min_size=1, max_size=6))
def test_bytes_that_are_cut_out_or_put_in_anywhere_do_not_slip_through(edits: list[list[tuple[int, int, bytes]]]) -> None:
    values = []
    for number, some in enumerate(edits, start=1):
        value = encoded(payment(number, note="note"))
        for place, cut, bits in some:
            value = value[:place] + bits + value[place + cut :]
        values.append(value)
    decoded_alike(values)


@pytest.mark.parametrize("topic", ["errors", "service_load", "commands"])
@pytest.mark.parametrize("bits", [b"\xff", b"\xed\xa0\x80"])
def test_an_ignored_field_that_is_not_utf_8_ends_nothing(topic: str, bits: bytes) -> None:
    value = b'{"' + bits + b'":"' + bits + b'","now":1}'
    assert [r.reason for r in decode([value], Layout(CONTRACT[topic]), SPAN).refusals] == ["invalid"]
    honest = encoded(failure(1, note="note")).replace(b"note", bits, 1)
    assert [r.reason for r in decode([honest], Layout(Failure), SPAN).refusals] == ["malformed"]


@given(key=st.binary(max_size=200), users=st.lists(st.text(max_size=64).map(lambda user: user.encode("utf-8", "replace").decode()) | st.none()))
def test_users_are_hidden_as_rfc_2104_says(key: bytes, users: list[str | None]) -> None:
    hidden = [None if user is None else hmac.digest(key, user.encode(), "sha256")[:16] for user in users]
    made = keyed(pl.DataFrame({"user_id": users}, schema={"user_id": pl.String}), hider(key))
    assert made.to_dict(as_series=False) == {"user_id": hidden}
    assert made.schema == {"user_id": pl.Binary}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(POISON) | nearly.map(encoded), min_size=1, max_size=8), st.integers(0, 2**32))
def test_a_chunk_with_some_bad_records_gives_what_each_gives_by_itself(bad: list[bytes | None], seed: int) -> None:
    values = [encoded(payment(n, latency_ms=n, note="unknown")) for n in range(1, 20)] + bad
    random.Random(seed).shuffle(values)
    decoded_alike(values)


def test_a_large_chunk_is_read_straight_into_columns_and_only_what_is_odd_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [encoded(payment(n, issuer="온마루카드")) for n in range(1, 30)]
    values[3], values[20] = encoded(payment(3, amount=0)), encoded(payment(20, note=1))
    again: list[int] = []
    by_msgspec = decoding._decode
    monkeypatch.setattr(decoding, "_decode", lambda values, *given: again.append(len(values)) or by_msgspec(values, *given))
    layout = Layout(Payment, scanned_from=29)
    decoded = decode(values, layout, SPAN)
    assert again == [2]
    assert decoded.frame["row"].to_list() == [row for row in range(29) if row != 3]
    assert [(r.row, r.reason) for r in decoded.refusals] == [(3, "invalid")]
    decode(values[1:], layout, SPAN)
    assert again == [2, 28], "a smaller chunk is not"


@pytest.mark.parametrize(("opens", "closes"), [(b"[", b"]"), (b'{"":', b"}")])
@pytest.mark.parametrize("field", [b'"m0001"', b'"note"'])
def test_depth_in_a_record_of_a_large_chunk_ends_nothing(opens: bytes, closes: bytes, field: bytes) -> None:
    value, deep = encoded(payment(1, note="note")), 15_000 // len(opens + closes)
    values = [*(encoded(payment(n)) for n in range(2, 20)), value.replace(field, opens * deep + b"1" + closes * deep)]
    assert [r.row for r in decoded_alike(values).refusals] == [18]


@pytest.mark.parametrize("blank", [b"", b" ", None, b"{}"])
def test_a_value_of_two_lines_does_not_make_up_for_one_without_any(blank: bytes | None) -> None:
    one, two, three = (encoded(payment(n)) for n in (1, 2, 3))
    decoded = decoded_alike([blank, one, two + b"\n" + three])
    assert decoded.frame["row"].to_list() == [1]
    assert [r.row for r in decoded.refusals] == [0, 2]
    assert decoded_alike([one, two[:-1] + b"\n}"]).frame["row"].to_list() == [0, 1]


def test_where_much_is_odd_chunks_are_not_scanned_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "DOUBTED_SHARE", 0.1)
    layout = Layout(Payment, scanned_from=1)
    odd, even = [encoded(payment(n, note=1)) for n in range(1, 20)], [encoded(payment(n)) for n in range(1, 20)]
    scanned: list[bool] = []
    scan = layout.scan
    monkeypatch.setattr(layout, "scan", lambda values: scanned.append((found := scan(values)) is not None) or found)
    for values in [even, odd, *[even] * (decoding.PAUSE + 1), [*even, b"{"], even]:
        assert len(decode(values, layout, SPAN).frame) == 19
    assert scanned == [True, False, *[False] * decoding.PAUSE, True, False, False]


def doubted(values: list[bytes]) -> list[bool]:
    return decoding._checked(decode(values, PAYMENTS, SPAN).frame, values, PAYMENTS, SPAN)[0].to_list()


def test_honest_records_need_no_look_by_themselves() -> None:
    event = payment(1, issuer="온마루카드")
    assert doubted([encoded(event), json.dumps(event).encode(), json.dumps(event, ensure_ascii=False).encode()]) == [False] * 3
    assert doubted([encoded({**event, "note": 1}), encoded({**event, "latency_ms": None}), encoded({**event, "issuer": "a:b"})]) == [True] * 3


@pytest.mark.parametrize(
    "extra",
    [b"1e400", b"9" * 5_000, b'{"amount":1,"amount":2}', b"[" * 900 + b"]" * 900, b'{"a":{"a":' * 50 + b"[]" + b"}" * 100, b'"a\\"amount\\":"', b'{"a":1e400}'],
)
@pytest.mark.parametrize("key", [b"extra", b"a:b", b'\\"amount\\":', b"amoun\\u0074s"])
def test_an_unknown_field_is_ignored_whatever_it_holds(extra: bytes, key: bytes) -> None:
    first, last = b'{"%s":%s,' % (key, extra) + encoded(payment(1))[1:], encoded(payment(2))[:-1] + b',"%s":%s}' % (key, extra)
    assert decoded_alike([first, last]).frame["amount"].to_list() == [25_000, 25_000]
    for twice in (first[:-1] + b',"amount":1}', last[:-1] + b',"am\\u006funt":1}'):
        assert [r.detail for r in decoded_alike([twice]).refusals] == ["the key 'amount' stands twice"]


def test_in_a_payload_no_key_stands_twice_at_any_depth() -> None:
    values = [
        with_payload('{"markets":[{"name":"a"},{"name":"b"}],"x":"{\\"name\\":1,\\"name\\":2}"}'),
        with_payload('{"markets":[{"name":"a","n\\u0061me":"b"}]}'),
    ]
    assert [(r.row, r.detail) for r in decode(values, Layout(Command), SPAN).refusals] == [(1, "the key 'name' stands twice")]


@pytest.mark.parametrize(("now", "read"), [(4_102_444_800_000, True), (4_102_444_800_001, False), (253_402_300_799_999, False)])
def test_a_tick_of_the_far_future_is_refused_where_nothing_could_be_reckoned_from_it(now: int, read: bool) -> None:  # noqa: FBT001
    found = decode([encoded({"now": now})], Layout(ClockTick), SPAN)
    assert (len(found.frame), [refusal.reason for refusal in found.refusals]) == ((1, []) if read else (0, ["invalid"]))
