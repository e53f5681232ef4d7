"""Pieces of a page as HTML: figures, badges, banners, lines of facts. Text from data is escaped here and nowhere else."""

from dataclasses import dataclass
from html import escape as as_html
from typing import Literal

Tone = Literal["plain", "danger", "warning", "good", "muted"]
_TURNING = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Marks that turn the direction of what is written, also of what stands behind them."""
_SIGNS: dict[Tone, str] = {"danger": "▲", "warning": "!", "good": "✓", "plain": "", "muted": ""}


def escape(text: str) -> str:
    """Text from data as HTML that does nothing but stand there."""
    return as_html(text.translate(_TURNING))


@dataclass(frozen=True)
class Figure:
    """One headline figure: what it is, its value, and sentences that put it into context."""

    label: str
    value: str
    notes: tuple[str, ...] = ()
    tone: Tone = "plain"
    name: str = ""
    """A stable name for tests and styles."""


def figures(shown: list[Figure], *, lead: bool = False, thirds: bool = False) -> str:
    """Figures side by side; on a phone below each other. With ``lead`` the first is the largest, with ``thirds`` three make a row."""
    return f'<dl class="on-figures{" on-lead" if lead else ""}{" on-thirds" if thirds else ""}">{"".join(_figure(figure) for figure in shown)}</dl>'


def _figure(figure: Figure) -> str:
    notes = "".join(f'<dd class="on-note">{escape(note)}</dd>' for note in figure.notes if note)
    name = f' data-figure="{escape(figure.name)}"' if figure.name else ""
    return f'<div class="on-figure on-{figure.tone}"{name}><dt>{escape(figure.label)}</dt><dd class="on-value">{escape(figure.value)}</dd>{notes}</div>'


def facts(shown: list[tuple[str, str]], *, css: str = "on-facts") -> str:
    """A line of small facts, each a name and a value."""
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in shown)
    return f'<dl class="{css}">{cells}</dl>'


def banner(tone: Tone, title: str, detail: str) -> str:
    """A message over the page; its sign says the tone where colour cannot."""
    role = "alert" if tone == "danger" else "status"
    return (
        f'<div class="on-banner on-{tone}" role="{role}"><span class="on-sign" aria-hidden="true">{_SIGNS[tone]}</span>'
        f"<p><strong>{escape(title)}</strong> {escape(detail)}</p></div>"
    )


def badge(tone: Tone, text: str) -> str:
    """A short state, such as 진행 중."""
    sign = f'<span aria-hidden="true">{_SIGNS[tone]}</span> ' if _SIGNS[tone] else ""
    return f'<span class="on-badge on-{tone}">{sign}{escape(text)}</span>'


def heading(title: str, note: str = "", state: str = "") -> str:
    """The page's title; ``state`` is a badge."""
    return f'<div class="on-heading"><h1>{escape(title)}{state}</h1><p>{escape(note)}</p></div>'


def section(title: str, note: str = "") -> str:
    """The title of a part of the page."""
    return f'<div class="on-section"><h2>{escape(title)}</h2><p>{escape(note)}</p></div>'


def caption(sentence: str) -> str:
    """The sentence under a chart that says what it shows to those who cannot see it."""
    return f'<p class="on-caption">{escape(sentence)}</p>'


def timeline(steps: list[tuple[str, str, str]]) -> str:
    """Moments in order: what, when, and how long after."""
    cells = "".join(
        f'<li><span class="on-what">{escape(what)}</span><span class="on-when">{escape(when)}</span><span class="on-after">{escape(after)}</span></li>'
        for what, when, after in steps
    )
    return f'<ol class="on-timeline">{cells}</ol>'


def table(columns: list[str], rows: list[list[str]], *, numbers: set[int], name: str) -> str:
    """A small table; columns in ``numbers`` are aligned right. Cells are text; ``name`` is what a screen reader calls the place, which scrolls where it is narrow."""
    head = "".join(f'<th scope="col"{_aligned(place, numbers)}>{escape(title)}</th>' for place, title in enumerate(columns))
    body = "".join("<tr>" + "".join(f"<td{_aligned(place, numbers)}>{escape(cell)}</td>" for place, cell in enumerate(row)) + "</tr>" for row in rows)
    made = f'<table class="on-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="on-scroll" tabindex="0" role="region" aria-label="{escape(name)}">{made}</div>'


def _aligned(place: int, numbers: set[int]) -> str:
    return ' class="on-number"' if place in numbers else ""


def funnel(stages: list[tuple[str, str, int | None, int]]) -> str:
    """Stages below each other: name, sentence, how many, and how many the widest has. The bar only repeats the sentence."""
    rows = "".join(
        f'<li><span class="on-stage">{escape(name)}</span><span class="on-bar" aria-hidden="true">'
        f'<i style="width:{100 * (number or 0) / max(widest, 1):.1f}%"></i></span><span class="on-says">{escape(sentence)}</span></li>'
        for name, sentence, number, widest in stages
    )
    return f'<ol class="on-funnel">{rows}</ol>'


def state(title: str, sentences: list[str], code: str = "") -> str:
    """A page with nothing to show yet, and what to do about it."""
    body = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    return f'<div class="on-state" role="status"><h1>{escape(title)}</h1>{body}{f"<pre>{escape(code)}</pre>" if code else ""}</div>'


def paragraphs(sentences: list[str]) -> str:
    """Running text."""
    return '<div class="on-text">' + "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences) + "</div>"
