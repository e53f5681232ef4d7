"""The model of what a lake costs: what breaks first follows from what was measured and from nothing else."""

import json
from dataclasses import asdict, replace

import pytest

from benchmarks.__main__ import main
from benchmarks.costs import Measured, Place, minute_rows, parts, workers

MEASURED = Measured(
    core_rate=100_000,
    commits=10,
    event_bytes=50,
    minute_bytes=5,
    files_a_commit=10,
    catalog_file_bytes=1_000,
    compaction_bytes=1e8,
    filter_bytes=12,
)


def part(name, measured=MEASURED, place=None):
    return next(part for part in parts(measured, place or Place()) if part.name == name)


def test_each_part_breaks_where_its_need_meets_its_supply():
    for one in parts(MEASURED, Place()):
        if one.breaks_at() < float("inf"):
            assert one.need(one.breaks_at() * 0.999) <= one.supply < one.need(one.breaks_at() * 1.001), one.name
    assert part("partitions").breaks_at() == pytest.approx(100 * 100_000)
    assert part("commits at the catalog").breaks_at() == pytest.approx(10 * 10 * 100_000)
    assert part("filters against duplicates").breaks_at() == pytest.approx(64e9 / (36 * 86_400 * 12))


def test_what_a_part_is_given_more_of_breaks_later_and_the_others_as_before():
    before, after = ({one.name: one.breaks_at() for one in parts(MEASURED, replace(Place(), memory=memory))} for memory in (64e9, 128e9))
    assert after.pop("filters against duplicates") == pytest.approx(2 * before.pop("filters against duplicates"))
    assert after == before


def test_the_first_part_is_the_one_that_breaks_first():
    at = [one.breaks_at() for one in parts(MEASURED, Place())]
    assert at == sorted(at)
    generous = replace(Place(), memory=1e18, disk=1e21, compaction_cores=1e6)
    assert parts(MEASURED, generous)[0].name == "partitions"


def test_minutes_of_ten_years_do_not_grow_with_events():
    assert minute_rows(Place()) == pytest.approx(1_400 * 2 * 1_440 * 3_652.5)
    assert part("minute tables").breaks_at() == float("inf")


def test_one_worker_is_the_least():
    assert workers(MEASURED, Place(), 1) == 1
    assert workers(MEASURED, Place(), 1e6) == 10


def test_the_command_names_what_breaks_first_and_says_where_nothing_was_measured(tmp_path, capsys):
    kept = tmp_path / "lake.json"
    assert main(["costs", "--measured", str(kept)]) == 2
    kept.write_text(json.dumps(asdict(MEASURED)))
    assert main(["costs", "--measured", str(kept), "--events", "1e7", "--memory", "1e18", "--disk", "1e21", "--compaction-cores", "1e6"]) == 0
    assert "First to break: partitions, at 10 Mevents/s" in capsys.readouterr().out
