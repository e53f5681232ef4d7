"""A document as a value: sections of blocks, the same for every form it is written in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Tone = Literal["plain", "danger", "warning"]
Kind = Literal["text", "krw", "number", "share", "time"]


@dataclass(frozen=True)
class Cell:
    """A cell as people read it, and the value that a spreadsheet keeps; ``kind`` says how it shows it. None: only the text.

    ``ends`` are those of an interval in KRW, which a spreadsheet keeps in two columns of their own.
    """

    text: str
    value: float | int | datetime | None = None
    kind: Kind = "text"
    ends: tuple[float | None, float | None] | None = None


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    texts: list[str]


@dataclass(frozen=True)
class Notice:
    """A sentence that must not be overlooked."""

    text: str
    tone: Tone = "warning"


@dataclass(frozen=True)
class Table:
    """A table with its title. ``printed`` rows stand on paper, all of them in the spreadsheet; ``name`` is its sheet there."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""
    printed: int = 1_000
    more: str = ""
    """Says, where not all rows are printed, how many there are and where."""
    widths: list[float] = field(default_factory=list)
    """Shares of the width; empty: by content."""

    @property
    def printed_note(self) -> str:
        """The note of a form that has the printed rows only."""
        return f"{self.more} {self.note}".strip()

    @property
    def numbers(self) -> set[int]:
        """Columns that are aligned right."""
        return {place for row in self.rows for place, cell in enumerate(row) if cell.kind in {"krw", "number", "share"}}


@dataclass(frozen=True)
class Picture:
    """A chart as SVG, its title, and the sentence that tells the same to those who cannot see it."""

    svg: str
    title: str
    sentence: str


@dataclass(frozen=True)
class Figures:
    """Headline figures: what, how much, and a note."""

    shown: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Code:
    """Text that a program reads."""

    title: str
    text: str


UNDRAWN = "□"
"""Stands for a character that a form of the document cannot draw."""

Block = Paragraph | Bullets | Notice | Table | Picture | Figures | Code


@dataclass(frozen=True)
class Section:
    """A numbered part."""

    title: str
    blocks: list[Block]


@dataclass(frozen=True)
class Document:
    """The whole report. ``made_at`` is the published state's time, so that the same inputs give the same bytes; ``words`` are the writers' own few."""

    title: str
    subtitle: str
    language: str
    stage: str
    made_at: datetime
    head: list[tuple[str, str]]
    sections: list[Section]
    appendix: list[Section]
    footer: str
    words: Mapping[str, str]

    @property
    def numbered(self) -> list[tuple[str, Section]]:
        """Every section with its number: 1, 2, … and A, B, … in the appendix."""
        return [(str(number), part) for number, part in enumerate(self.sections, 1)] + [
            (chr(ord("A") + number), part) for number, part in enumerate(self.appendix)
        ]

    @property
    def tables(self) -> list[Table]:
        """Every table in order."""
        return [block for _, part in self.numbered for block in part.blocks if isinstance(block, Table)]
