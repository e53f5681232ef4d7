"""How do others do on the same topic, on the same cores, in the same run?

An embedded Kafka, one topic of payments, and in turn: readers that throw everything away (aiokafka, confluent-kafka, kafka-python), Faust as its
documentation shows it (on a smaller part, for it would take hours), Quix Streams, Bytewax and (where a Java compiler is installed) Kafka Streams summing
KRW per market and minute, and our worker with everything it does: to its last COMMIT, and up to published files. Medians of the turns; ratios to aiokafka's bare
reader. Not like for like: only ours keeps the payments, in a database.

``make bench-peers`` sets them up in an environment of their own and calls ``python -m benchmarks peers``.
"""

import argparse
import asyncio
import csv
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks._java import compiler, kafka_streams
from benchmarks._pictures import draw_bars
from benchmarks.ingest import Filled, TotalsError, fill, payments, read_and_throw_away, work
from streams.broker import EmbeddedBroker
from streams.settings import Settings
from streams.topics import ensure_topics

PROGRAMS = Path(__file__).with_name("programs")
RESULTS = Path(__file__).with_name("peers.csv")
COLUMNS = ("date", "name", "does", "events", "per_second", "ratio", "python", "machine", "load_before")


@dataclass(frozen=True)
class Peer:
    """A program of ``programs/``, and what it does with the records."""

    name: str
    program: str
    does: str
    arguments: tuple[str, ...] = ()
    slow: bool = False
    ours: bool = False
    """Whether it runs on our own environment."""
    java: bool = False


PEERS = (
    Peer("confluent-kafka consume", "confluent_consume", "thrown away"),
    Peer("kafka-python poll", "kafka_python_poll", "thrown away", ours=True),
    Peer("Faust, one by one", "faust_stock", "thrown away", ("each",), slow=True, ours=True),
    Peer("Faust, take(20000)", "faust_stock", "thrown away", ("take",), slow=True, ours=True),
    Peer("Quix Streams", "quixstreams_sum", "sum per market and minute", slow=True),
    Peer("Bytewax", "bytewax_sum", "sum per market and minute"),
    Peer("Kafka Streams, at least once", "KafkaStreamsSum", "sum per market and minute", ("at_least_once",), java=True),
    Peer("Kafka Streams, exactly once", "KafkaStreamsSum", "sum per market and minute", ("exactly_once_v2",), java=True),
)
READER, COMMITTED, PUBLISHED = "aiokafka getmany", "onnuri worker, to COMMIT", "onnuri worker, published"
KEPT = "checked, hidden, kept, de-duplicated, aggregated"


def run(peer: Peer, settings: Settings, filled: Filled, others: Path, turn: int) -> float:
    """Records a second of a peer.

    Raises:
        TotalsError: it failed, or saw another number of records than were sent.
    """
    if peer.java:
        begin = kafka_streams(compiler() or "java", PROGRAMS / f"{peer.program}.java")
    else:
        begin = [sys.executable if peer.ours else str(others), str(PROGRAMS / f"{peer.program}.py")]
    command = [
        *begin,
        settings.kafka,
        settings.topic("payments"),
        str(settings.partitions),
        str(filled.events),
        str(turn),
    ]
    done = subprocess.run([*command, *peer.arguments], capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise TotalsError(f"{peer.name} ended with exit code {done.returncode} and said:\n{done.stdout[-500:]}{done.stderr[-2000:]}")
    # Faust writes what hides a terminal's cursor before it.
    found = re.findall(r'{"seconds": .*}', done.stdout)
    if not found:
        raise TotalsError(f"{peer.name} told no result, but:\n{done.stdout[-500:]}{done.stderr[-2000:]}")
    said = json.loads(found[-1])
    if said["records"] < filled.events:
        raise TotalsError(f"{peer.name} saw {said['records']} of {filled.events} records.")
    return float(said.get("counted", said["records"]) / said["seconds"])


def measure(events: int, few: int, turns: int, others: Path | None) -> dict[str, float]:
    """Records a second by name, medians of the turns. Without ``others``, an interpreter that has them, only what runs on ours."""
    rates: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary, EmbeddedBroker() as broker:
        many = Settings.read(kafka=broker.bootstrap, clock="replay")
        small = Settings.read(kafka=broker.bootstrap, clock="replay", topic_prefix="few.")
        for settings in (many, small):
            ensure_topics(settings)
        filled, part = asyncio.run(fill(many, payments(events))), asyncio.run(fill(small, payments(few)))
        for turn in range(turns):
            rates[READER].append(events / asyncio.run(read_and_throw_away(many, filled)))
            for peer in PEERS:
                if compiler() if peer.java else peer.ours or others:
                    given = (small, part) if peer.slow else (many, filled)
                    rates[peer.name].append(run(peer, *given, others or Path(sys.executable), turn))
            folder = Path(temporary) / f"turn-{turn}"
            folder.mkdir()
            worked = work(many, filled, folder)
            rates[COMMITTED].append(events / worked.committed)
            rates[PUBLISHED].append(events / worked.published)
    return {name: statistics.median(found) for name, found in rates.items()}


def rows(rates: dict[str, float], events: int, few: int, load: float) -> list[dict[str, object]]:
    """Results as they are kept."""
    does = {READER: "thrown away", COMMITTED: KEPT, PUBLISHED: f"{KEPT}, published"} | {peer.name: peer.does for peer in PEERS}
    slow = {peer.name for peer in PEERS if peer.slow}
    about = {"python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} cores", "load_before": round(load, 1)}
    return [
        {
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
            "name": name,
            "does": does[name],
            "events": few if name in slow else events,
            "per_second": round(rate),
            "ratio": round(rate / rates[READER], 3),
            **about,
        }
        for name, rate in sorted(rates.items(), key=lambda item: -item[1])
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, keep. Returns the exit code."""
    options = argparse.ArgumentParser(prog="python -m benchmarks peers", description="Others on the same topic.")
    options.add_argument("--events", type=int, default=1_000_000, help="payments in the topic (default: %(default)s)")
    options.add_argument("--few", type=int, default=60_000, help="payments for those that are slow (default: %(default)s)")
    options.add_argument("--turns", type=int, default=3, help="turns, of which the median counts (default: %(default)s)")
    options.add_argument("--others", type=Path, help="Python that has the packages of benchmarks/peers.txt; without it only what runs on ours")
    options.add_argument("--results", type=Path, default=RESULTS, help="file of results to append to (default: benchmarks/peers.csv)")
    options.add_argument("--picture", type=Path, help="SVG to draw the rates into")
    given = options.parse_args(arguments)
    load = os.getloadavg()[0]
    try:
        found = rows(measure(given.events, given.few, given.turns, given.others), given.events, given.few, load)
    except TotalsError as error:
        print(f"The totals are wrong, so nothing was measured. {error}", file=sys.stderr)
        return 1
    new = not given.results.exists()
    with given.results.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(found)
    if given.picture:
        bars = [(str(row["name"]), str(row["does"]), float(str(row["per_second"])), row["name"] in (COMMITTED, PUBLISHED)) for row in found]
        draw_bars(
            given.picture,
            f"Payments a second, one run on {os.cpu_count()} cores shared with the broker (Python {platform.python_version()}, load {load:.1f})",
            bars,
        )
    if not compiler():
        print("Without Kafka Streams: its program needs a Java with a compiler (javac), and none is installed.")
    for row in found:
        print(f"{row['name']:<30}{row['per_second']:>10,}{row['ratio']:>8.0%}  {row['does']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
