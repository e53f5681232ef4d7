"""Incidents declared, corrected and merged by people: applied once, refused with a reason, never undone by detection."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.events import Command
from tests.events_data import NOON, chunk, failure, ms, payment
from warehouse.closing import Closing
from warehouse.commands import PayloadError, parse, record
from warehouse.connection import frame
from warehouse.ingest import Writer
from warehouse.telling import forget, noted

MARK, MINUTE = NOON.replace(tzinfo=None), timedelta(minutes=1)
SAID = NOON + 60 * MINUTE


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    made = Writer(tmp_path / "w.duckdb", NOON)
    yield made
    made.close()


class Ops:
    """A person at the command line."""

    def __init__(self, writer: Writer, at: datetime = SAID) -> None:
        self.writer, self.at, self.said = writer, at, 0

    def say(self, kind: str, **payload: Any) -> str:
        number = self.said
        self.said += 1
        said = {"command_id": f"c{number}", "occurred_at": ms(self.at) + number, "actor": "ops", "kind": kind, "payload": payload}
        self.writer.apply([chunk("commands", [said], first_offset=number, now=self.at)], self.at, lambda _: None)
        return str(self.writer.connection.sql("SELECT outcome FROM command ORDER BY occurred_at").fetchall()[-1][0])

    def declare(self, onset: str, ended: str | None = None, **more: Any) -> str:
        self.say("incident_declared", **{"scope": "nation", "onset_at": onset, "ended_at": ended, **more})
        return str(self.writer.connection.sql("SELECT incident_id FROM incident WHERE kind = 'declared' ORDER BY rowid").fetchall()[-1][0])

    def incident(self, incident_id: str) -> dict[str, Any]:
        return frame(self.writer.connection, "SELECT * FROM incident WHERE incident_id = $id", {"id": incident_id}).row(0, named=True)


def outage(writer: Writer) -> None:
    """Half an hour of ten payments a minute, then half an hour in which four of five fail, then as before."""
    payments, failures = [], []
    for number in range(1000):
        at = number // 10
        (failures if 30 <= at < 60 and number % 5 else payments).append(
            (payment, failure)[30 <= at < 60 and bool(number % 5)](number, occurred_at=ms(NOON + at * MINUTE))
        )
    writer.apply(
        [chunk("payments", payments, now=NOON + 100 * MINUTE), chunk("errors", failures, now=NOON + 100 * MINUTE)], NOON + 100 * MINUTE, lambda _: None
    )


def test_a_declared_incident_keeps_who_said_it_its_scope_and_note(writer: Writer) -> None:
    ops = Ops(writer)
    name = ops.declare("2025-03-01T10:00+09:00", scope="region", scope_name="대구광역시", note="전화 문의 폭주")
    found = ops.incident(name)
    assert (found["kind"], found["scope"], found["scope_name"], found["onset_at"]) == ("declared", "region", "대구광역시", datetime(2025, 3, 1, 1))
    assert found["declared_by"]
    assert "전화 문의 폭주" in found["evidence"]


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("incident_declared", {"scope": "planet", "onset_at": "2025-03-01T10:00+09:00"}, "scope"),
        ("incident_declared", {"scope": "region", "onset_at": "2025-03-01T10:00+09:00"}, "scope_name is ''"),
        ("incident_declared", {"scope": "nation", "scope_name": "x", "onset_at": "2025-03-01T10:00+09:00"}, "scope_name is 'x'"),
        ("incident_corrected", {"incident_id": "i", "scope": "issuer"}, "scope_name is ''"),
        ("incident_corrected", {"incident_id": "i"}, "changes nothing"),
        ("incident_merged", {"incident_id": "i"}, "into"),
        # More than a BIGINT holds would be read again and again by a worker that cannot write it.
        ("report_issued", {"incident_id": "i", "stage": "final", "manifest_sequence": 2**63, "inputs": "0" * 64, "document": "0" * 64}, "manifest_sequence"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(kind: str, payload: dict[str, Any], said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        parse(kind, json.dumps(payload), NOON)


@pytest.mark.parametrize(
    ("kind", "more"), [("incident_declared", {"scope": "nation", "onset_at": (SAID - 60 * MINUTE).isoformat()}), ("incident_corrected", {"incident_id": "i"})]
)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("onset_at", r"expected an incident that has begun"),
        ("ended_at", r"expected an end that has come\. Leave ended_at empty until it is over"),
    ],
)
def test_what_has_not_come_is_refused_of_an_incident_wherever_it_is_said(writer: Writer, kind: str, more: dict[str, Any], name: str, expected: str) -> None:
    ahead = {**more, name: (SAID + 2 * MINUTE).isoformat()}
    with pytest.raises(PayloadError, match=rf"{name} is 2025.*after this was said at .*{expected}"):
        record(kind, ahead, "ops", SAID)
    letters: list[Any] = []
    said = {"command_id": "c", "occurred_at": ms(SAID), "actor": "ops", "kind": kind, "payload": ahead}
    writer.apply([chunk("commands", [said], now=SAID)], SAID, letters.extend)
    assert [(refused.reason, bool(re.search(expected, refused.detail))) for _, _, refused in letters] == [("bad_payload", True)]
    assert writer.connection.sql("FROM incident").fetchall() == []
    # to the minute, and rounded
    record(kind, {**more, name: (SAID + MINUTE).isoformat()}, "ops", SAID)


def test_a_correction_changes_what_it_says_and_nothing_else(writer: Writer) -> None:
    ops = Ops(writer)
    name = ops.declare("2025-03-01T10:00+09:00", "2025-03-01T12:00+09:00", note="first")
    assert ops.say("incident_corrected", incident_id=name, onset_at="2025-03-01T09:40+09:00", scope="channel", scope_name="card", note="logs") == "applied"
    found = ops.incident(name)
    assert (found["onset_at"], found["ended_at"]) == (datetime(2025, 3, 1, 0, 40), datetime(2025, 3, 1, 3))
    assert (found["scope"], found["scope_name"], found["version"]) == ("channel", "card", 2)
    assert "logs" in found["evidence"]


def test_a_claim_is_about_an_incident_that_is_known(writer: Writer) -> None:
    ops = Ops(writer)
    with pytest.raises(PayloadError, match=r"incident_id is missing.*onnuri incidents"):
        parse("claim_entered", json.dumps({"source": "press", "amount": 10**10}), NOON)
    assert ops.say("claim_entered", source="press", amount=10**10, incident_id="nothing") == "no such incident"
    name = ops.declare("2025-03-01T10:00+09:00")
    assert ops.say("claim_entered", source="press", amount=10**10, incident_id=name) == "applied"
    assert writer.connection.sql("SELECT incident_id FROM claim").fetchall() == [(name,)]


def test_a_command_that_comes_to_nothing_is_in_the_log(writer: Writer, caplog: pytest.LogCaptureFixture) -> None:
    ops = Ops(writer)
    assert ops.say("survey_entered", label="survey", substitution=0.3, low=0.2, high=0.4, incident_id="nothing") == "no such incident"
    assert writer.connection.sql("SELECT count(*) FROM survey").fetchall() == [(0,)]
    assert ops.say("incident_corrected", incident_id="nothing", note="?") == "no such incident"
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warned == ["The command c0 (survey_entered): no such incident", "The command c1 (incident_corrected): no such incident"]


def test_who_gave_a_corrected_time_stays_with_the_incident(writer: Writer) -> None:
    ops = Ops(writer)
    name = ops.declare("2025-03-01T10:00+09:00", "2025-03-01T12:00+09:00", note="first")
    ops.say("incident_corrected", incident_id=name, onset_at="2025-03-01T09:40+09:00")
    ops.say("incident_corrected", incident_id=name, note="only a note")
    evidence = json.loads(ops.incident(name)["evidence"])
    assert evidence == {"note": "only a note", "corrected": {"onset_at": "ops"}}


def test_a_merged_incident_is_part_of_the_other_which_lasts_as_long_as_both(writer: Writer) -> None:
    ops = Ops(writer)
    first = ops.declare("2025-03-01T10:00+09:00", "2025-03-01T11:00+09:00")
    second = ops.declare("2025-03-01T10:30+09:00", "2025-03-01T13:00+09:00")
    assert ops.say("incident_merged", incident_id=second, into=first) == "applied"
    assert ops.incident(second)["merged_into"] == first
    assert (ops.incident(first)["onset_at"], ops.incident(first)["ended_at"]) == (datetime(2025, 3, 1, 1), datetime(2025, 3, 1, 4))
    assert [change["action"] for change in noted(writer.connection)[1]] == ["declared", "declared", "merged", "corrected"]


def test_incidents_cannot_vanish_into_each_other(writer: Writer) -> None:
    ops = Ops(writer)
    first, second, third = (ops.declare(f"2025-03-01T1{n}:00+09:00", f"2025-03-01T1{n}:30+09:00") for n in range(3))
    ops.say("incident_merged", incident_id=second, into=first)
    assert ops.say("incident_merged", incident_id=first, into=second).startswith("that one is merged into")
    assert ops.say("incident_merged", incident_id=second, into=third).startswith("it is merged into")
    ops.say("incident_merged", incident_id=first, into=third)
    assert ops.incident(second)["merged_into"] == third
    assert writer.connection.sql("SELECT count(*) FROM incident WHERE merged_into IS NULL").fetchall() == [(1,)]


def test_detection_goes_on_from_a_correction_and_does_not_open_what_was_merged_again(writer: Writer) -> None:
    outage(writer)
    closing = Closing(writer, MINUTE, raw_days=35)
    closing.close(MARK + 45 * MINUTE)
    ((found,),) = writer.connection.sql("SELECT incident_id FROM incident").fetchall()
    ops = Ops(writer)
    ops.say("incident_corrected", incident_id=found, onset_at=(NOON + 25 * MINUTE).isoformat())
    mine = ops.declare((NOON + 20 * MINUTE).isoformat())
    ops.say("incident_merged", incident_id=found, into=mine)
    closing.close(MARK + 99 * MINUTE)
    assert {row[0] for row in writer.connection.sql("SELECT incident_id FROM incident").fetchall()} == {found, mine}
    detected = ops.incident(found)
    assert (detected["onset_at"], detected["merged_into"]) == (MARK + 25 * MINUTE, mine)
    assert MARK + 55 * MINUTE <= detected["ended_at"] <= MARK + 70 * MINUTE


def test_an_end_that_a_person_gave_stands_again_once_what_was_merged_is_over(writer: Writer) -> None:
    outage(writer)
    closing = Closing(writer, MINUTE, raw_days=35)
    closing.close(MARK + 45 * MINUTE)
    ((found,),) = writer.connection.sql("SELECT incident_id FROM incident").fetchall()
    ops = Ops(writer, NOON + 100 * MINUTE)
    mine = ops.declare((NOON + 20 * MINUTE).isoformat(), (NOON + 90 * MINUTE).isoformat())
    ops.say("incident_merged", incident_id=found, into=mine)
    assert ops.incident(mine)["ended_at"] is None
    # The last that was said holds.
    ops.say("incident_corrected", incident_id=mine, ended_at=(NOON + 95 * MINUTE).isoformat())
    closing.close(MARK + 99 * MINUTE)
    assert ops.incident(found)["ended_at"] < MARK + 70 * MINUTE
    assert ops.incident(mine)["ended_at"] == MARK + 95 * MINUTE


def test_an_outage_that_is_over_lasts_on_with_the_later_one_that_is_merged_into_it(writer: Writer) -> None:
    failing = [at in range(30, 60) or at in range(180, 240) for at in range(300)]
    events: dict[str, list[Any]] = {"payments": [], "errors": []}
    for number in range(3000):
        fails = failing[number // 10] and number % 5
        events["errors" if fails else "payments"].append((failure if fails else payment)(number, occurred_at=ms(NOON + number // 10 * MINUTE)))
    writer.apply([chunk(topic, rows, now=NOON + 300 * MINUTE) for topic, rows in events.items()], NOON + 300 * MINUTE, lambda _: None)
    closing = Closing(writer, MINUTE, raw_days=35)
    closing.close(MARK + 200 * MINUTE)
    (first, ended), (second, _) = writer.connection.sql("SELECT incident_id, ended_at FROM incident ORDER BY onset_at").fetchall()
    assert ended < MARK + 70 * MINUTE
    ops = Ops(writer, NOON + 300 * MINUTE)
    ops.say("incident_merged", incident_id=second, into=first)
    forget(writer.connection, noted(writer.connection)[0])
    for minute in (201, 230):
        closing.close(MARK + minute * MINUTE)
        assert ops.incident(first)["ended_at"] is None
    closing.close(MARK + 299 * MINUTE)
    assert ops.incident(first)["onset_at"] < MARK + 40 * MINUTE
    assert ops.incident(first)["ended_at"] == ops.incident(second)["ended_at"] > MARK + 235 * MINUTE
    told = noted(writer.connection)[1]
    assert [change["incident_id"] for change in told if change["action"] == "closed"] == [second, first]
    # Meanwhile nothing was told of it again and again: its own outage is over.
    assert [change["action"] for change in told if change["incident_id"] == first] == ["closed"]
    # And what becomes a part has its own end again.
    third = ops.declare((NOON + 20 * MINUTE).isoformat(), (NOON + 260 * MINUTE).isoformat())
    ops.say("incident_merged", incident_id=first, into=third)
    assert ops.incident(first)["ended_at"] == ended
    assert ops.incident(third)["ended_at"] == MARK + 260 * MINUTE


def test_what_was_merged_into_a_part_goes_over_to_the_whole_that_detection_finds(writer: Writer) -> None:
    closing = Closing(writer, MINUTE, raw_days=35)
    ops = Ops(writer)
    earlier = ops.declare((NOON - 60 * MINUTE).isoformat(), NOON.isoformat(), scope="region", scope_name="대구광역시")
    part = ops.declare((NOON + 30 * MINUTE).isoformat(), scope="region", scope_name="서울특별시")
    whole = ops.declare((NOON + 30 * MINUTE).isoformat())
    ops.say("incident_merged", incident_id=earlier, into=part)
    row = frame(writer.connection, "SELECT * EXCLUDE (declared_by, version) FROM incident WHERE incident_id = $id", {"id": part}).row(0, named=True)
    closing._keep({**row, "action": "merged", "ended_at": MARK + 40 * MINUTE, "merged_into": whole})
    assert {name: ops.incident(name)["merged_into"] for name in (earlier, part, whole)} == {earlier: whole, part: whole, whole: None}


EXCLUDED = {"label": "훈련", "starts_at": "2025-03-01T10:00+09:00", "ends_at": "2025-03-01T11:00+09:00"}


@pytest.mark.parametrize("actor", ["", "a" * 65, "가" * 65, "a\x00b", "\udcff"], ids=ascii)
def test_a_name_that_the_worker_would_refuse_is_refused_before_it_is_sent(actor: str) -> None:
    with pytest.raises(PayloadError, match="actor"):
        record("span_excluded", EXCLUDED, actor, NOON)


@pytest.mark.parametrize("actor", ["a", "가" * 64], ids=ascii)
def test_what_is_sent_keeps_the_wire_contract(actor: str) -> None:
    _, value = record("span_excluded", EXCLUDED, actor, NOON)
    assert msgspec.json.decode(json.dumps(value, ensure_ascii=False).encode(), type=Command).actor == actor


def test_a_whole_lasts_as_long_as_its_parts_whoever_corrects_which(writer: Writer) -> None:
    ops = Ops(writer, NOON + 300 * MINUTE)
    whole = ops.declare("2025-03-01T10:00+09:00", "2025-03-01T11:00+09:00")
    part = ops.declare("2025-03-01T10:30+09:00", scope="region", scope_name="대구광역시")
    ops.say("incident_merged", incident_id=part, into=whole)
    # One part goes on, so the whole does, whatever end it is given.
    ops.say("incident_corrected", incident_id=whole, ended_at="2025-03-01T11:30+09:00")
    assert ops.incident(whole)["ended_at"] is None
    forget(writer.connection, noted(writer.connection)[0])
    version = ops.incident(whole)["version"]
    ops.say("incident_corrected", incident_id=part, onset_at="2025-03-01T09:00+09:00", ended_at="2025-03-01T14:00+09:00")
    assert (ops.incident(whole)["onset_at"], ops.incident(whole)["ended_at"]) == (datetime(2025, 3, 1), datetime(2025, 3, 1, 5))
    assert ops.incident(whole)["version"] > version
    assert [(change["incident_id"], change["action"]) for change in noted(writer.connection)[1]] == [(part, "corrected"), (whole, "closed")]
    ops.say("incident_corrected", incident_id=part, ended_at="2025-03-01T11:10+09:00")
    assert ops.incident(whole)["ended_at"] == datetime(2025, 3, 1, 2, 30)
