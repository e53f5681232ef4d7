"""The demo: broker, worker and dashboard as child processes, and the launch day played into them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from pydantic import SecretStr
from rich.console import Console

from streams.broker import EmbeddedBroker
from streams.ports import check_answering, free_port
from streams.settings import Settings
from streams.simulating import play_with_progress, summary
from streams.simulator import Scenario, load_scenario, write_truth
from streams.simulator.sending import Sent
from streams.topics import ensure_topics
from warehouse.losses import loss_between
from warehouse.reading import Manifest, NothingPublishedError, open_snapshot

console = Console(stderr=True)

MARKER = ".onnuri-demo"
PATIENCE_SECONDS = 300
LEAD = timedelta(minutes=20)
_SENT = ("events", "duplicates", "malformed", "foreign", "late", "out_of_order")


class DemoError(Exception):
    """The demo cannot go on; the message says why and where to look."""


def play_demo(folder: Path, name: str, *, headless: bool, seed: int | None, scale: float | None, speed: float, dirty: float = 0.0) -> int:
    """Play a scenario, with that share of dirt of each sort; returns the exit code. Headless: 0 only if every total agrees to the won."""
    scenario = load_scenario(name, seed=seed, scale=scale)
    _fresh(folder)
    # A shell that starts the demo in the background lets it ignore Ctrl-C; ending it must end its children all the same.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.default_int_handler)
    with ExitStack() as stack:
        console.print(f"[bold]{scenario.label}[/] · {scenario.name}: {scenario.start:%Y-%m-%d} – {scenario.end:%Y-%m-%d %H:%M}")
        console.print("Starting Kafka (downloaded the first time) …")
        given = Settings.read()
        bootstrap = given.kafka or stack.enter_context(EmbeddedBroker(folder / "kafka")).bootstrap
        settings = Settings.read(
            kafka=bootstrap,
            warehouse=(folder / "onnuri.duckdb").resolve(),
            published=(folder / "published").resolve(),
            topic_prefix=given.topic_prefix or (f"demo-{int(time.time())}." if given.kafka else ""),
            clock="replay",
            web_port=free_port(given.web_host, given.web_port),
            dashboard_port=free_port(given.dashboard_host, given.dashboard_port),
            **({} if given.kafka else {"kafka_security": "PLAINTEXT"}),
        )
        check_answering(settings.kafka)
        ensure_topics(settings)
        worker = _child(stack, "worker", [sys.executable, "-m", "streams.cli", "worker"], settings, folder)
        truth = write_truth(scenario, folder / "truth")
        if headless:
            return _headless(settings, scenario, worker, truth, dirty)
        page = f"http://{settings.dashboard_host}:{settings.dashboard_port}"
        host, port = settings.dashboard_host, str(settings.dashboard_port)
        _child(stack, "dashboard", [sys.executable, "-m", "dashboard", "--host", host, "--port", port], settings, folder)
        console.print(f"\n   [bold green]{page}[/]   (Ctrl-C ends everything)\n")
        console.print(f"History at full speed first, then {LEAD.seconds // 60} minutes before the outage at {speed:g} times the clock.")
        try:
            play_with_progress(settings, scenario, speed=speed, lead=LEAD, console=console, dirty=dirty)
            console.print(f"The scenario is over. {page} stays open until Ctrl-C.")
            while worker.poll() is None:
                time.sleep(0.5)
            raise DemoError(f"The worker ended; see {folder / 'worker.log'}.")
        except KeyboardInterrupt:
            console.print("Stopping everything …")
            return 0


def _headless(settings: Settings, scenario: Scenario, worker: subprocess.Popen[bytes], truth: Path, dirty: float) -> int:
    began = time.monotonic()
    sent = play_with_progress(settings, scenario, speed=None, console=console, dirty=dirty)
    console.print("Sent. Waiting until the worker has read and published everything …")
    _wait_until_read(settings, sent, worker)
    seconds = time.monotonic() - began
    report = check(settings.published_folder, scenario, sent, json.loads((truth / "truth.json").read_text(encoding="utf-8")))
    report["seconds"] = round(seconds, 1)
    typer.echo(json.dumps(report, ensure_ascii=False, indent=1))
    return 0 if report["agree"] else 1


def check(published: Path, scenario: Scenario, sent: Sent, truth: dict[str, Any]) -> dict[str, Any]:
    """Hold what was sent against what the warehouse published, to the won, and the estimate against the truth."""
    with open_snapshot(published) as snapshot:
        stored = {key: int(value) for key, value in snapshot.query("grand_totals").row(0, named=True).items()}
        manifest = snapshot.manifest
        tally = sent.tally
        simulated = {
            "approved": tally.approved,
            "declined": tally.declined,
            "reversed": tally.reversed,
            # A timeout that was approved after all counts once, as approved.
            "failed": tally.failed - tally.approved_after_all,
        }
        warehouse = {
            "approved": stored["approved_amount"],
            "declined": stored["declined_amount"],
            "reversed": stored["reversed_amount"],
            "failed": stored["failed_amount"],
        }
        records = sum(count for topic, count in sent.records.items() if topic != "clock")
        taken = {key: sum(s[key] for s in manifest.sources if s["topic"] != "clock") for key in ("accepted", "duplicate", "refused")}
        losses = [_loss(snapshot, incident) for incident in truth["incidents"]]
        return {
            "scenario": scenario.name,
            "agree": simulated == warehouse
            and records == sum(taken.values())
            and taken == {"accepted": tally.events, "duplicate": tally.duplicates, "refused": tally.malformed}
            and manifest.lag == 0,
            "sent": {"records": records, **{k: v for k, v in summary(sent).items() if k in _SENT}},
            "stored": {**taken, "late": manifest.totals["late"], "lost": manifest.totals["lost"]},
            "krw": {"simulator": simulated, "warehouse": warehouse},
            "incidents": [_iso(row) for row in snapshot.query("incidents_newest_first").to_dicts()],
            "loss": losses,
            "watermark": manifest.watermark.isoformat() if manifest.watermark else None,
        }


def _iso(row: dict[str, Any]) -> dict[str, Any]:
    """Times as ISO 8601 text; they are naive UTC in the warehouse."""
    return {key: value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value for key, value in row.items()}


def _loss(snapshot: Any, incident: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401  # JSON of the truth
    start, end = (datetime.fromisoformat(incident[key]).astimezone(UTC) for key in ("starts_at", "ends_at"))
    # All that was sent is read, to the scenario's end: the last step is known although the watermark still waits for what is late.
    found = loss_between(snapshot, start, end, known_until=end)
    return {
        "from": incident["starts_at"],
        "to": incident["ends_at"],
        "estimated_gross_krw": round(found.lost),
        "interval_90_krw": [round(found.low), round(found.high)],
        "true_gross_krw": incident["gross_shortfall"],
        "true_net_krw": incident["net_shortfall"],
        "covered": found.low <= incident["gross_shortfall"] <= found.high,
        "warnings": [str(warning) for warning in found.warnings],
    }


def _wait_until_read(settings: Settings, sent: Sent, worker: subprocess.Popen[bytes]) -> None:
    assert sent.until is not None
    closed = sent.until - timedelta(seconds=settings.lateness_seconds)
    gives_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < gives_up:
        try:
            manifest = Manifest.read(settings.published_folder)
        except NothingPublishedError:
            manifest = None
        if manifest and manifest.lag == 0 and manifest.watermark and manifest.watermark >= closed:
            return
        if worker.poll() is not None:
            raise DemoError(f"The worker ended with exit code {worker.returncode}; see {settings.warehouse.parent / 'worker.log'}.")
        time.sleep(0.2)
    raise DemoError(f"The worker did not get through within {PATIENCE_SECONDS} s; see {settings.warehouse.parent / 'worker.log'}.")


def _fresh(folder: Path) -> None:
    """Empty the demo's folder, but never one that the demo did not make."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise DemoError(f"{folder} holds other files; the demo empties its folder at every start. Give it one of its own: --folder data/demo")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


def _child(stack: ExitStack, name: str, command: list[str], settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    """Start a child process that ends with the demo, its output in a log file."""
    log = stack.enter_context((folder / f"{name}.log").open("wb"))
    # A session of its own: Ctrl-C reaches the demo, which then ends its children in order.
    child = subprocess.Popen(command, env={**os.environ, **environment(settings)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    stack.callback(_end, child)
    return child


def environment(settings: Settings) -> dict[str, str]:
    """Settings as the environment of a child process."""
    values = {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in settings.model_dump().items()}
    return {f"ONNURI_{name.upper()}": str(value) for name, value in values.items() if value is not None}


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
