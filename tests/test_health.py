"""What /health and /metrics say of a published state."""

from datetime import UTC, datetime, timedelta
from typing import Any

from streams.health import health, metrics

NOON = datetime(2025, 3, 1, 3, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)


def manifest(**said: Any) -> dict[str, Any]:
    """A state published at noon, complete until a minute before."""
    return {
        "published_at": NOON.isoformat(),
        "now": NOON.isoformat(),
        "watermark": (NOON - timedelta(minutes=1)).isoformat(),
        "lag": 0,
        "totals": dict.fromkeys(("accepted", "duplicate", "late", "refused", "lost"), 0),
        "sources": [],
        "refusals": {},
        "unknown_names": {},
        "lost_ranges": [],
        "lost_range_count": 0,
        **said,
    }


def test_the_data_grow_old_whether_or_not_anything_is_published() -> None:
    assert health("running", manifest(), None, NOON)["data_age_seconds"] == 60
    # The worker publishes no more.
    assert health("running", manifest(), None, LATER)["data_age_seconds"] == 60 + 300
    # It does, but no broker answers, so nothing new is complete.
    again = manifest(published_at=LATER.isoformat(), now=LATER.isoformat())
    assert health("running", again, None, LATER)["data_age_seconds"] == 60 + 300
    assert b"onnuri_data_age_seconds 360.0" in metrics("running", again, 0, LATER)


def test_in_a_replay_the_age_is_that_of_the_scenario_s_clock() -> None:
    then = datetime(2024, 9, 17, 2, 0, tzinfo=UTC)
    replayed = manifest(now=then.isoformat(), watermark=(then - timedelta(seconds=20)).isoformat())
    assert health("running", replayed, None, NOON)["data_age_seconds"] == 20


def test_before_the_first_watermark_the_data_have_no_age() -> None:
    assert health("running", manifest(watermark=None), None, NOON)["data_age_seconds"] is None
    assert health("starting", None, None, NOON)["data_age_seconds"] is None
    assert b"onnuri_data_age_seconds" not in metrics("running", manifest(watermark=None), 0, NOON)


def test_each_lost_range_has_a_line_with_its_offsets() -> None:
    gone = {"topic": "payments", "partition": 3, "from_offset": 10, "to_offset": 25, "cause": "gone before they were read", "found_at": NOON.isoformat()}
    anew = {**gone, "topic": "errors", "from_offset": 40, "to_offset": 0, "cause": "topic made anew"}
    said = metrics("running", manifest(lost_ranges=[gone, anew], lost_range_count=104), 0, NOON).decode()
    assert "onnuri_lost_ranges 104.0" in said
    (payments,) = [line for line in said.splitlines() if line.startswith("onnuri_lost_range_records{") and 'topic="payments"' in line]
    assert 'from="10"' in payments and 'to="25"' in payments and payments.endswith(" 15.0")
    # How much the old topic still held, nobody knows; that it is gone, is said.
    (errors,) = [line for line in said.splitlines() if line.startswith("onnuri_lost_range_records{") and 'topic="errors"' in line]
    assert 'cause="topic made anew"' in errors and errors.endswith(" 0.0")
