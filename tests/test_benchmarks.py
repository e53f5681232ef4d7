"""The measurements run, and refuse to count what is not right."""

import csv
from pathlib import Path

import pytest

from benchmarks import ingest, live
from benchmarks.__main__ import MEASUREMENTS, main


def test_without_a_name_every_measurement_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out
    folder = Path(ingest.__file__).parent
    assert set(MEASUREMENTS) == {file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")}
    assert all(name in listed for name in MEASUREMENTS)


def test_an_unknown_measurement_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    assert "ingest" in capsys.readouterr().err


def test_results_are_appended_under_one_line_of_names(tmp_path: Path) -> None:
    row: dict[str, object] = dict.fromkeys(ingest.COLUMNS, 1)
    ingest.keep(row, tmp_path / "results.csv")
    ingest.keep(row, tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2


@pytest.mark.slow
def test_ingest_publishes_what_was_sent_and_keeps_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.csv"
    assert main(["ingest", "--events", "4000", "--turns", "1", "--failures", "--results", str(results)]) == 0
    with results.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    (failures,) = [int(row["failures"]) for row in rows]
    assert failures
    assert [row["events"] for row in rows] == [str(4000 + failures)]
    assert float(rows[0]["worker_per_second"]) > 0
    assert "agree to the won" in capsys.readouterr().out


@pytest.mark.long
def test_ingest_fails_where_the_totals_are_not_those_that_were_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = ingest.fill

    async def one_won_more(*given: object, **more: object) -> ingest.Filled:
        filled = await whole(*given, **more)  # type: ignore[arg-type]
        return ingest.Filled(filled.events, {**filled.krw, "approved": filled.krw["approved"] + 1})

    monkeypatch.setattr(ingest, "fill", one_won_more)
    assert main(["ingest", "--events", "2000", "--turns", "1", "--results", str(tmp_path / "results.csv")]) == 1
    assert "published KRW" in capsys.readouterr().err
    assert not (tmp_path / "results.csv").exists()


def test_the_simulators_rate_is_measured_both_ways_and_a_rate_too_low_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulator", "--scenario", "smoke", "--turns", "1", "--least", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()
    made = {line.split()[0]: line.split()[1] for line in printed[:2]}
    assert set(made) == {"columns", "lists"}
    assert main(["simulator", "--scenario", "smoke", "--turns", "1", "--least", "1e12"]) == 1


@pytest.mark.slow
def test_every_tenth_message_is_refused_with_the_rest_exact_and_each_once_among_the_dead_letters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["poison", "--events", "4000", "--turns", "1"]) == 0
    assert "of the clean speed" in capsys.readouterr().out


def test_the_stages_of_a_payment_are_told_with_the_statements_that_write_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stages", "--events", "3000", "--rows", "1000", "--duplicates", "0.1"]) == 0
    printed = capsys.readouterr().out
    assert [line.split("µs")[1].strip() for line in printed.splitlines()[:5]] == ["unpacking", "decoding", "hiding buyers", "writing", "together"]
    assert "CREATE OR REPLACE TEMP TABLE" in printed


@pytest.mark.long
def test_every_payment_of_a_live_stream_is_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(live, "WARM_UP", 1.0)
    assert main(["live", "--rate", "400", "--seconds", "2"]) == 0
    assert capsys.readouterr().out.startswith("800 payments")


@pytest.mark.long
def test_a_history_is_published_restarted_asked_and_written_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--days", "2", "--payments", "3000", "--outage", "1000"]) == 0
    printed = capsys.readouterr().out
    assert "2 days: 6,000 payments" in printed
    for line in (
        "until a restart is ready",
        "the nation's minutes of a month",
        "a batch of 150,000 payments",
        "a batch of 2,500 payments after 1,000 failures",
    ):
        assert line in printed
