"""Intervals and what they should hold, and rates beside each other, as SVG."""

from collections.abc import Sequence
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 860, 280, 60, 34, 34
HELD, MISSED, TRUE = "#1f6f8b", "#c0392b", "#222"


def draw_intervals(path: Path, title: str, below: str, rows: Sequence[tuple[float, float, float]]) -> None:
    """One upright line a row (true value, low, high), in the order of ``rows``, red where it does not hold its dot; the axis is in percent."""
    top, bottom = max(max(row) for row in rows) * 1.05, min(0.0, *(min(row) for row in rows)) * 1.05
    wide, high = WIDTH - LEFT - 14, HEIGHT - TOP - BOTTOM

    def y(value: float) -> float:
        return TOP + high * (top - value) / (top - bottom)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">']
    parts += [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', f'<text x="{LEFT}" y="20" font-size="14">{title}</text>']
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 10}">{below}</text>')
    step = 50 if top - bottom > 150 else 25
    for mark in range(int(bottom // step) * step, int(top) + 1, step):
        if mark >= bottom:
            parts.append(f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y(mark):.1f}" y2="{y(mark):.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark} %</text>')
    for number, (true, low, upper) in enumerate(rows):
        x = LEFT + wide * (number + 0.5) / len(rows)
        colour = HELD if low <= true <= upper else MISSED
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y(low):.1f}" y2="{y(upper):.1f}" stroke="{colour}" stroke-width="4" stroke-opacity="0.55"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y(true):.1f}" r="3" fill="{TRUE}"/>')
    path.write_text("\n".join([*parts, "</svg>\n"]), encoding="utf-8")


def draw_bars(path: Path, title: str, rows: Sequence[tuple[str, str, float, bool]]) -> None:
    """One bar a row (name, what it does, value, whether it is ours), in the order of ``rows``, with its value as text."""
    step, left = 40, 210
    high, most = TOP + step * len(rows) + 10, max(value for _, _, value, _ in rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high}" font-family="sans-serif" font-size="12">']
    parts += [f'<rect width="{WIDTH}" height="{high}" fill="white"/>', f'<text x="14" y="20" font-size="14">{title}</text>']
    for number, (name, does, value, ours) in enumerate(rows):
        y, long = TOP + step * number + 6, max((WIDTH - left - 90) * value / most, 1)
        parts.append(f'<text x="{left - 10}" y="{y + 11}" text-anchor="end">{name}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{long:.1f}" height="14" fill="{HELD if ours else "#b8c4c9"}"/>')
        parts.append(f'<text x="{left + long + 6:.1f}" y="{y + 11}">{value:,.0f}</text>')
        parts.append(f'<text x="{left}" y="{y + 26}" font-size="10" fill="#666">{does}</text>')
    path.write_text("\n".join([*parts, "</svg>\n"]), encoding="utf-8")
