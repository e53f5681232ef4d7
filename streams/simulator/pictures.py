"""Pictures and figures of the simulated country for docs/simulator.md: ``python -m streams.simulator.pictures docs/pictures``."""

import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import typer

from streams.simulator.country import country
from streams.simulator.days import play_day
from streams.simulator.platform_time import STEPS_A_MINUTE
from streams.simulator.scenario import Scenario, load_scenario
from streams.simulator.truth import truth

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 860, 260, 70, 34, 34
COLOURS = ("#1f6f8b", "#c0392b")

_FAILING = 0.1
_OTHERWISE = (
    "tried_again",
    "switched_channel",
    "switched_market",
    "came_back_days_later",
    "paid_in_parts",
    "paid_paper",
    "paid_card",
    "paid_cash",
    "lost_for_good",
)


def draw(title: str, labels: list[str], lines: dict[str, list[float]]) -> str:
    """An SVG of lines over evenly spaced points; ``labels`` are spread evenly below, one for each equal part."""
    top = max(max(values) for values in lines.values()) * 1.08
    wide, high = WIDTH - LEFT - 14, HEIGHT - TOP - BOTTOM
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">']
    parts += [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', f'<text x="{LEFT}" y="20" font-size="14">{title}</text>']
    for step in range(5):
        y = TOP + high * (1 - step / 4 / 1.08)
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{top / 1.08 * step / 4:,.1f}</text>')
    for number, label in enumerate(labels):
        parts.append(f'<text x="{LEFT + wide * (number + 0.5) / len(labels):.1f}" y="{HEIGHT - 12}" text-anchor="middle">{label}</text>')
    for number, (name, values) in enumerate(lines.items()):
        points = " ".join(f"{LEFT + wide * (i + 0.5) / len(values):.1f},{TOP + high * (1 - value / top):.1f}" for i, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[number]}" stroke-width="1.6"/>')
        parts.append(f'<text x="{WIDTH - 14}" y="{20 + 15 * number}" text-anchor="end" fill="{COLOURS[number]}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])


def by_time(cells: pl.DataFrame, every: str, *columns: str) -> pl.DataFrame:
    """Sums of columns in million KRW by time in Asia/Seoul, one row for each ``every``, silence as zero; the column ``at`` comes first."""
    at = pl.col("minute_at").dt.offset_by("9h").dt.truncate(every).alias("at")
    sums = cells.group_by(at).agg(pl.col(name).sum() / 1e6 for name in columns).sort("at")
    return sums.upsample("at", every=every).with_columns(pl.col(columns).fill_null(0.0))


def main(folder: Path) -> None:
    """Draw the pictures into ``folder`` and print the figures that the page quotes."""
    week = truth(load_scenario("ordinary-week"))
    hourly = by_time(week, "1h", "approved_amount")
    _write(folder / "simulator-week.svg", "Approved in the nation, million KRW an hour", hourly, ["approved_amount"], "%a %m-%d", 24)
    typer.echo(f"ordinary day: {int(week['approved_amount'].sum()) / 7 / 1e9:.2f} bn KRW a day, mean of the week from 2025-02-10")

    fortnight = load_scenario("ordinary-week", history_days=15)
    market = country(fortnight).filter(pl.col("cycle").is_not_null()).sort("share").row(-1, named=True)
    daily = by_time(truth(fortnight).filter(market_id=market["market_id"]), "1d", "approved_amount")
    _write(folder / "simulator-market.svg", f"A market of the days {market['cycle']}, million KRW a day", daily, ["approved_amount"], "%m-%d", 1)

    weekend = load_scenario("launch-weekend", history_days=0)
    cells = truth(weekend)
    found = by_time(cells, "30m", "ordinary_amount", "approved_amount")
    _write(folder / "simulator-weekend.svg", "The launch weekend, million KRW in half an hour", found, ["ordinary_amount", "approved_amount"], "%a %m-%d", 48)
    _launch_day(folder, weekend)
    people = cells.select(pl.col("wanted", "lost", "made_up_later", *_OTHERWISE).sum()).row(0, named=True)
    typer.echo(f"launch weekend, purchases: {', '.join(f'{name} {count:,}' for name, count in people.items())}")
    totals = found.select(pl.col("ordinary_amount", "approved_amount").sum() / 1000).row(0)
    typer.echo(f"launch weekend: {totals[0]:.1f} bn KRW would have been paid, {totals[1]:.1f} bn were")

    rush = by_time(truth(load_scenario("holiday-rush", history_days=2)), "1d", "ordinary_amount", "approved_amount")
    for day, ordinary, approved in rush.iter_rows():
        typer.echo(f"promotion {date.isoformat(day.date())}: {ordinary / 1000:.1f} bn KRW without the failure, {approved / 1000:.1f} bn with it")


def _launch_day(folder: Path, weekend: Scenario) -> None:
    """Draw what the load made of the launch day's platform, and print when."""
    load = play_day(weekend, country(weekend), weekend.days[0]).platform.load
    assert load is not None
    failed = load.failed["payment"]
    lines = {"payments that fail, %": failed * 100, "people in the queue, thousands": load.queue_length / 1000}
    picture = draw(
        "The launch day's platform", [f"{hour:02}" for hour in range(24)], {name: values[::STEPS_A_MINUTE].tolist() for name, values in lines.items()}
    )
    (folder / "simulator-platform.svg").write_text(picture, encoding="utf-8")
    failing = np.flatnonzero(failed > _FAILING) // STEPS_A_MINUTE
    span = " to ".join(f"{minute // 60:02}:{minute % 60:02}" for minute in failing[[0, -1]])
    typer.echo(f"launch day: more than one payment in ten fails from {span}, at most {failed.max():.0%}; longest queue {load.queue_length.max():,.0f}")


def _write(path: Path, title: str, frame: pl.DataFrame, columns: list[str], form: str, points_a_label: int) -> None:
    labels = [moment.strftime(form) for moment in frame["at"].to_list()[::points_a_label]]
    names = {"ordinary_amount": "without the incident", "approved_amount": "approved"}
    path.write_text(draw(title, labels, {names[name]: np.asarray(frame[name]).tolist() for name in columns}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures"))
