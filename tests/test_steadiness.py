"""A wall clock that was wrong for a moment closes nothing and lets nothing go."""

import asyncio
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from streams import tending
from streams.letters import Letters
from streams.line import Line
from streams.settings import Settings
from streams.sharing import Standing
from streams.steadiness import CLOSES_AFTER, DELETES_AFTER, Steadiness
from streams.tending import Tending
from tests.events_data import NOON, chunk, payment
from tests.test_ingest import ignore
from warehouse.ingest import Writer

DAY = 86_400.0


def test_a_clock_that_goes_with_the_other_is_steady_and_a_jump_either_way_is_remembered() -> None:
    clock = Steadiness()
    assert clock.look(1_000, 5) == (0, math.inf)
    assert clock.look(1_065, 20) == (0, math.inf)
    assert clock.look(1_065 + 7_200, 30) == (7_190, 0)
    assert clock.look(1_075 + 7_200, 40) == (0, 10)
    assert clock.look(1_085, 50) == (-7_200, 0)
    assert clock.look(1_085 + 700, 750) == (0, 700)


class Clocks:
    """A wall clock and a monotonic one for a ``Tending``."""

    def __init__(self) -> None:
        self.wall, self.monotonic = NOON.timestamp() + 120, 500.0

    def pass_by(self, seconds: float) -> None:
        self.wall, self.monotonic = self.wall + seconds, self.monotonic + seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(tending, "time", SimpleNamespace(monotonic=lambda: made.monotonic))
    monkeypatch.setattr(Line, "now", lambda _: datetime.fromtimestamp(made.wall, UTC))
    return made


@pytest.fixture
def tended(tmp_path: Path, clocks: Clocks) -> Iterable[Tending]:
    settings = Settings(warehouse=tmp_path / "w.duckdb", raw_days=1)
    line = Line(settings, Writer(settings.warehouse, NOON), Letters(settings))
    line.writer.apply([chunk("payments", [payment(1)])], NOON, ignore)
    made = Tending(settings, line.writer, line)
    yield made
    made.close()
    line.close()


def round_of(tended: Tending) -> tuple[int, datetime | None]:
    """One round with everything read to its end; payments that are kept, and the watermark."""
    now, steady = tended._believed()
    tended._on_database(Standing([("payments", 0)], {("payments", 0): 1}, {("payments", 0)}), now, steady)
    (payments,) = tended.writer.connection.execute("SELECT count(*) FROM payment").fetchall()[0]
    return payments, tended.writer.line().watermark


def test_a_clock_that_was_days_ahead_for_a_moment_closes_and_deletes_nothing(tended: Tending, clocks: Clocks) -> None:
    noon = NOON.astimezone(UTC).replace(tzinfo=None)
    kept, before = round_of(tended)
    assert kept == 1
    assert before is not None
    clocks.pass_by(10)
    clocks.wall += 60 * DAY
    assert round_of(tended) == (1, before)
    clocks.pass_by(10)
    clocks.wall -= 60 * DAY
    assert round_of(tended) == (1, before)
    clocks.pass_by(CLOSES_AFTER)
    kept, after = round_of(tended)
    assert kept == 1
    assert after is not None
    assert before < after < noon + timedelta(hours=1)


def test_a_clock_that_stays_where_it_jumped_is_believed_and_deletes_a_day_later(tended: Tending, clocks: Clocks) -> None:
    round_of(tended)
    clocks.wall += 5 * DAY
    assert round_of(tended)[0] == 1
    clocks.pass_by(CLOSES_AFTER)
    kept, mark = round_of(tended)
    assert kept == 1
    assert mark is not None
    assert mark > NOON.astimezone(UTC).replace(tzinfo=None) + timedelta(days=4)
    clocks.pass_by(DELETES_AFTER)
    assert round_of(tended)[0] == 0


def test_a_machine_that_was_started_just_now_publishes_at_once_however_seldom_it_is_to(tended: Tending, clocks: Clocks) -> None:
    clocks.monotonic, tended.publish_seconds = 5.0, 3600
    asyncio.run(tended._tend(Standing([("payments", 0)], {("payments", 0): 1}, {("payments", 0)}), tended.line.now(), math.inf))
    assert tended.manifest is not None
    assert tended.published_at == 5.0
