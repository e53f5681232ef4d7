"""Playing a scenario into Kafka, with progress on the terminal."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streams.ports import check_answering
from streams.settings import Settings
from streams.simulator import Scenario, estimated_events, load_scenario, play, write_truth
from streams.simulator.scenario import KST
from streams.simulator.sending import Progress as Sending
from streams.simulator.sending import Sent, send
from streams.topics import ensure_topics


def simulate_to_kafka(
    settings: Settings,
    name: str,
    *,
    seed: int | None,
    scale: float | None,
    speed: float | None,
    truth: Path | None,
    dirty: float = 0.0,
    markets: Path | None = None,
) -> dict[str, Any]:
    """Play a scenario from its start to its end and say what was sent.

    Raises:
        BrokerAwayError: no broker is there.
    """
    scenario = load_scenario(name, seed=seed, scale=scale, markets=markets)
    replay = settings.model_copy(update={"clock": "replay"})
    check_answering(replay.kafka)
    ensure_topics(replay)
    if truth:
        write_truth(scenario, truth)
    return summary(play_with_progress(replay, scenario, speed=speed, dirty=dirty))


def play_with_progress(
    settings: Settings,
    scenario: Scenario,
    *,
    speed: float | None,
    lead: timedelta = timedelta(0),
    console: Console | None = None,
    dirty: float = 0.0,
) -> Sent:
    """Send a scenario. With a speed, what lies before the first incident less ``lead`` goes at full speed and the rest at that multiple of the clock."""
    incident = min((i.starts_at for i in scenario.incident), default=scenario.live_from)
    columns = (
        TextColumn("{task.fields[clock]}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} / ~{task.total:,.0f}  {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    total = estimated_events(scenario)
    with Progress(*columns, console=console or Console(stderr=True)) as progress:
        task = progress.add_task("", total=total, clock="", rate=0.0)

        def show(now: Sending) -> None:
            progress.update(task, completed=now.sent, total=max(total, now.sent), clock=f"{now.scenario_time.astimezone(KST):%Y-%m-%d %H:%M}", rate=now.rate)

        # Ten seconds of the scenario a slice where people watch, ten minutes where nobody does.
        slices = play(scenario, slice_seconds=10.0 if speed else 600.0, dirty=dirty)
        return send(slices, settings.kafka, settings.topic, speed=speed, pace_from=incident - lead, total=total, on_progress=show, access=settings.access)


def summary(sent: Sent) -> dict[str, Any]:
    """What was sent, for people and programs."""
    return {"records": dict(sent.records), "seconds": round(sent.seconds, 1), **asdict(sent.tally)}
