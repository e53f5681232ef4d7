"""What viewers share, and when it is made anew."""

import json
import threading
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from dashboard import store
from dashboard.store import _Newest, incident_list, incident_page
from tests.dashboard_data import EARLIER, LAUNCH, ONSET, publish_launch_day, replace_table


def state(sequence: int) -> SimpleNamespace:
    return SimpleNamespace(sequence=sequence)


def test_a_state_is_worked_out_once_for_all_viewers() -> None:
    newest, worked = _Newest(), []
    for _ in range(3):
        newest.of(state(1), lambda: worked.append(1))
    assert worked == [1]


def test_while_one_viewer_works_out_a_new_state_the_others_see_the_one_before() -> None:
    newest, begun, end = _Newest(), threading.Event(), threading.Event()
    newest.of(state(1), lambda: "first")

    def slowly() -> str:
        begun.set()
        end.wait(30)
        return "second"

    one = threading.Thread(target=newest.of, args=(state(2), slowly))
    one.start()
    begun.wait(30)
    shown, figures = newest.of(state(2), lambda: "nobody asks for this")
    assert (shown.sequence, figures) == (1, "first")
    end.set()
    one.join()
    assert newest.of(state(2), lambda: "nor for this")[1] == "second"


def test_a_state_that_cannot_be_read_does_not_hold_up_the_next() -> None:
    newest = _Newest()

    def broken() -> str:
        raise OSError("gone")

    for _ in range(2):
        try:
            newest.of(state(1), broken)
        except OSError:
            continue
    assert newest.of(state(2), lambda: "next")[1] == "next"


def test_what_is_said_about_an_ended_incident_shows_with_the_state_that_has_it(tmp_path: Path) -> None:
    def shown(**said: object) -> tuple[int, object, datetime]:
        publish_launch_day(tmp_path, **said)  # type: ignore[arg-type]
        listed = incident_list(tmp_path)
        page = incident_page(tmp_path, listed, next(one for one in listed.incidents if one.incident_id == LAUNCH))
        return len(page.claims), page.survey and page.survey["label"], page.incident.ended_at  # type: ignore[return-value]

    end = ONSET + timedelta(hours=8)
    assert shown(ended_at=end) == (0, None, end)
    claims = [{"source": "신문", "incident_id": LAUNCH, "amount": 10**10, "claimed_at": datetime(2025, 3, 2), "note": ""}]
    surveys = [{"label": "조사", "incident_id": LAUNCH, "substitution": 0.3, "low": 0.1, "high": 0.5, "note": ""}]
    assert shown(ended_at=end, sequence=2, claims=claims, surveys=surveys) == (1, "조사", end)
    # In the same window, but corrected.
    corrected = end - timedelta(minutes=1)
    assert shown(ended_at=corrected, sequence=3, claims=claims, surveys=surveys) == (1, "조사", corrected)


def test_a_claim_about_what_is_merged_into_an_ended_incident_shows_with_the_state_that_has_it(tmp_path: Path) -> None:
    claims = [{"source": "신문", "incident_id": EARLIER, "amount": 10**10, "claimed_at": datetime(2025, 3, 2), "note": ""}]
    publish_launch_day(tmp_path, ended_at=ONSET + timedelta(hours=8), claims=claims)

    def claimed() -> int:
        listed = incident_list(tmp_path)
        return len(incident_page(tmp_path, listed, next(one for one in listed.incidents if one.incident_id == LAUNCH)).claims)

    assert claimed() == 0
    merge_earlier(tmp_path)
    assert claimed() == 1


def test_what_another_incident_makes_of_one_that_has_ended_shows_with_the_state_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    figures = store.incident_figures
    monkeypatch.setattr(store, "incident_figures", lambda *given: made.append(given[1].incident_id) or figures(*given))
    publish_launch_day(tmp_path, ended_at=ONSET + timedelta(hours=8))

    def shown() -> None:
        listed = incident_list(tmp_path)
        incident_page(tmp_path, listed, next(one for one in listed.incidents if one.incident_id == LAUNCH))

    shown()
    next_state(tmp_path)
    shown()
    assert made == [LAUNCH]
    known = pl.read_parquet(tmp_path / "incident-v1.parquet")
    later = known.filter(incident_id=EARLIER).with_columns(incident_id=pl.lit("later"), onset_at=pl.col("onset_at") + timedelta(days=1))
    replace_table(tmp_path, "incident", pl.concat([known, later]))
    next_state(tmp_path)
    shown()
    assert made == [LAUNCH, LAUNCH]


def merge_earlier(published: Path) -> None:
    """Publish the next state, in which the earlier incident is part of the launch day's and nothing else is new."""
    known = pl.read_parquet(published / "incident-v1.parquet")
    replace_table(published, "incident", known.with_columns(merged_into=pl.when(incident_id=EARLIER).then(pl.lit(LAUNCH))))
    next_state(published)


def next_state(published: Path) -> None:
    """Publish what there is once more."""
    manifest = json.loads((published / "manifest.json").read_text())
    (published / "manifest.json").write_text(json.dumps({**manifest, "sequence": manifest["sequence"] + 1}))
