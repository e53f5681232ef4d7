"""How fast the live page refreshes for ten viewers while new states are published, and whether the server's memory grows.

A history of made-up payments is published as the worker would; then a new state every second. Each viewer is a session of its own at the real server: it speaks
Streamlit's protocol and asks for a refresh as often as the page tells it to. A refresh is from asking to the last message of the answer; drawing in a browser is not in it.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

from benchmarks._processes import dashboard

SEOUL = ZoneInfo("Asia/Seoul")
TODAY = datetime(2025, 3, 1, 14, 0, tzinfo=SEOUL)
MARKETS = 1_400
STAY = 500
"""Refreshes after which a viewer leaves and comes again, as people do."""

CELLS_A_DAY = 70_000
"""Market-minutes with payments on a day, as in the simulated country."""


@dataclass
class Viewer:
    """One open page: how long each refresh took (seconds), and how many bytes came."""

    refreshes: list[float] = field(default_factory=list)
    received: int = 0
    errors: int = 0
    interval: float = 0.0


class World:
    """A published folder with ``days`` of history, and a day that goes on."""

    def __init__(self, folder: Path, days: int) -> None:
        self.folder = folder
        self.random = np.random.default_rng(1)
        self.sequence = 0
        self.files: dict[str, list[str]] = {"market_minute": [], "issuer_minute": [], "failed_purchase": [], "load_minute": [], "market": [self._markets()]}
        midnight = TODAY.replace(hour=0)
        for back in range(days, 0, -1):
            self.files["market_minute"].append(self._minutes(f"{back:03d}", midnight - timedelta(days=back), 1_440, CELLS_A_DAY))
        for hour in range(14):
            self.files["market_minute"].append(self._minutes(f"h{hour:02d}", midnight + timedelta(hours=hour), 60, CELLS_A_DAY // 16))

    def publish(self) -> None:
        """One more state: the current hour anew."""
        self.sequence += 1
        now = TODAY + timedelta(seconds=self.sequence)
        current = self._minutes(f"now{self.sequence % 60}", TODAY, 60, CELLS_A_DAY // 16)
        manifest = {
            "sequence": self.sequence,
            "warehouse_id": "benchmark",
            "published_at": datetime.now(UTC).isoformat(),
            "now": now.astimezone(UTC).isoformat(),
            "watermark": (now - timedelta(minutes=1)).astimezone(UTC).isoformat(),
            "detected_through": None,
            "lag": 0,
            "totals": {"accepted": 1, "duplicate": 0, "late": 0, "refused": 0, "lost": 0},
            "sources": [],
            "files": {**self.files, "market_minute": [*self.files["market_minute"], current]},
        }
        part = self.folder / "manifest.part"
        part.write_text(json.dumps(manifest), encoding="utf-8")
        part.replace(self.folder / "manifest.json")

    def _minutes(self, name: str, start: datetime, minutes: int, cells: int) -> str:
        first = start.astimezone(UTC).replace(tzinfo=None)
        approved = self.random.poisson(1.2, cells)
        frame = pl.DataFrame(
            {
                "minute_at": pl.Series([first]).dt.cast_time_unit("us").first()
                + pl.Series(self.random.integers(0, minutes, cells) * 60_000_000).cast(pl.Duration("us")),
                "market_id": pl.Series(self.random.integers(0, MARKETS, cells)).cast(pl.String),
                "channel": pl.Series(self.random.integers(0, 2, cells)).replace_strict({0: "card", 1: "mobile"}),
                "approved": approved,
                "approved_amount": approved * 25_000,
                "declined": self.random.poisson(0.03, cells),
                "reversed": np.zeros(cells, dtype=np.int64),
                "reversed_amount": np.zeros(cells, dtype=np.int64),
                "failed": self.random.poisson(0.05, cells),
                "failed_amount": np.zeros(cells, dtype=np.int64),
            }
        ).unique(["minute_at", "market_id", "channel"], maintain_order=True)
        return self._write(f"market_minute-{name}", frame)

    def _markets(self) -> str:
        numbers = np.arange(MARKETS)
        place = {"latitude": 34.5 + numbers % 40 / 10, "longitude": 126.5 + numbers // 40 / 12}
        names = pl.select(market_id=pl.Series(numbers).cast(pl.String)).with_columns(
            name=pl.format("시장 {}", "market_id"), region=pl.lit("서울특별시"), district=pl.lit("중구"), cycle=pl.lit(None, pl.String), merchants=pl.lit(50)
        )
        return self._write("market", names.with_columns(**{name: pl.Series(values) for name, values in place.items()}))

    def _write(self, name: str, frame: pl.DataFrame) -> str:
        frame.write_parquet(self.folder / f"{name}.parquet", compression="zstd")
        return f"{name}.parquet"


async def view(address: str, viewer: Viewer, seconds: float, pace: float) -> None:
    """Keep the live page open and refresh it ``pace`` times as often as it asks for, for ``seconds``; leave and come again after ``STAY`` refreshes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        async with connect(
            f"{address.replace('http', 'ws')}/_stcore/stream", max_size=None, ping_interval=None, subprotocols=["streamlit"], origin=address
        ) as socket_:  # type: ignore[list-item]
            fragment, viewer.interval, _ = await _run(socket_, viewer, "")
            if not fragment:
                raise RuntimeError("The live page asked for no refresh. Does it still show the benchmark's data?")
            stay = 0
            while time.monotonic() < end and stay < STAY:
                begun = time.monotonic()
                _, _, took = await _run(socket_, viewer, fragment)
                viewer.refreshes.append(took)
                stay += 1
                await asyncio.sleep(max(0.0, viewer.interval / pace - (time.monotonic() - begun)))


async def _run(socket_: object, viewer: Viewer, fragment: str) -> tuple[str, float, float]:
    asked = BackMsg()
    asked.rerun_script.query_string = "lang=ko"
    asked.rerun_script.fragment_id = fragment
    begun = time.monotonic()
    await socket_.send(asked.SerializeToString())  # type: ignore[attr-defined]
    refresh, interval = "", 0.0
    while True:
        raw = await socket_.recv()  # type: ignore[attr-defined]
        viewer.received += len(raw)
        message = ForwardMsg.FromString(raw)
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            refresh, interval = message.auto_rerun.fragment_id, message.auto_rerun.interval
        elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
            viewer.errors += 1
        elif kind == "script_finished":
            return refresh, interval, time.monotonic() - begun


async def _measure(address: str, world: World, viewers: list[Viewer], given: argparse.Namespace, memory: list[int], server: psutil.Process) -> None:
    async def publishing() -> None:
        while True:
            await asyncio.to_thread(world.publish)
            memory.append(server.memory_info().rss)
            await asyncio.sleep(1)

    publisher = asyncio.create_task(publishing())
    await asyncio.gather(*(view(address, viewer, given.seconds, given.pace) for viewer in viewers))
    publisher.cancel()


def growth(memory: list[int]) -> float:
    """Bytes that memory grows by from one sample to the next, by least squares."""
    return float(np.polyfit(np.arange(len(memory)), memory, 1)[0]) if len(memory) > 2 else 0.0


def main(arguments: list[str]) -> int:
    """Run it and print one JSON object. Exit code 1 where a page showed an error or nobody refreshed."""
    options = argparse.ArgumentParser(prog="python -m benchmarks dashboard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--days", type=int, default=30, help="days of history (default: %(default)s)")
    options.add_argument("--viewers", type=int, default=10, help="pages that are open (default: %(default)s)")
    options.add_argument("--seconds", type=float, default=60, help="how long (default: %(default)s)")
    options.add_argument("--pace", type=float, default=1, help="refreshes for each that the page asks for, to see hours in minutes (default: %(default)s)")
    given = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        world = World(Path(temporary), given.days)
        world.publish()
        viewers, memory = [Viewer() for _ in range(given.viewers)], []
        with dashboard(Path(temporary)) as (address, process):
            server = psutil.Process(process.pid)
            asyncio.run(_measure(address, world, viewers, given, memory, server))
            used = server.cpu_times()
    times = sorted(took for viewer in viewers for took in viewer.refreshes)
    errors = sum(viewer.errors for viewer in viewers)
    cuts = quantiles(times, n=20) if len(times) > 1 else [0.0] * 19
    half = len(memory) // 2
    print(
        json.dumps(
            {
                "viewers": given.viewers,
                "days": given.days,
                "states": world.sequence,
                "refreshes": len(times),
                "errors": errors,
                "p50_ms": round(cuts[9] * 1000),
                "p95_ms": round(cuts[18] * 1000),
                "cpu_ms_a_refresh": round((used.user + used.system) * 1000 / max(len(times), 1)),
                "kilobytes_a_refresh": round(sum(viewer.received for viewer in viewers) / max(len(times), 1) / 1024),
                "hours_of_the_page": round(len(times) / given.viewers * viewers[0].interval / 3600, 1),
                "memory_mb_tenths": [round(memory[len(memory) * tenth // 10 - 1] / 2**20) for tenth in range(1, 11)],
                "memory_mb_an_hour": round(growth(memory[half:]) * len(memory) / max(given.seconds, 1) * 3600 / 2**20, 1),
                "load": round(os.getloadavg()[0], 1),
            }
        )
    )
    return 1 if errors or not times else 0
