"""How long a loss report takes on a published state: figures, the document, and each form; in seconds of the clock and of the processor."""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from dashboard.report.author import AuthorFiles
from dashboard.report.composing import compose
from dashboard.report.gathering import gather
from dashboard.report.writing import WRITERS
from warehouse.reading import open_snapshot

Made = TypeVar("Made")


def main(arguments: list[str]) -> int:
    """Write one report and print what each step took."""
    options = argparse.ArgumentParser(prog="python -m benchmarks report", description=__doc__)
    options.add_argument(
        "--published", type=Path, default=Path("data/demo/published"), help="a published state, e.g. of onnuri demo --headless (default: %(default)s)"
    )
    options.add_argument("--lang", default="ko", choices=("ko", "en"))
    given = options.parse_args(arguments)
    began, worked = time.monotonic(), time.process_time()
    with open_snapshot(given.published) as snapshot:
        incident = snapshot.query("incidents_newest_first")["incident_id"][0]
        markets = snapshot.sql("SELECT count(*) FROM market").item()
        print(f"{incident}, {markets} markets")
        report = timed("figures", lambda: gather(snapshot, given.published, incident, AuthorFiles()))
    document = timed("document", lambda: compose(report, given.lang))
    for form, write in WRITERS.items():
        content = timed(form, partial(write, document))
        print(f"{'':10} {len(content) / 1000:8,.0f} kB")
    print(f"{'all':10} {time.monotonic() - began:8.2f} s {time.process_time() - worked:8.2f} s of the processor")
    return 0


def timed(name: str, make: Callable[[], Made]) -> Made:
    """Make it, and say what it took."""
    began, worked = time.monotonic(), time.process_time()
    made = make()
    print(f"{name:10} {time.monotonic() - began:8.2f} s {time.process_time() - worked:8.2f} s of the processor")
    return made
