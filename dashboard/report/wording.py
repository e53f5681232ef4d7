"""Figures as the report writes them: cells with their values, intervals, moments with their year."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.formatting import MISSING, clock, count, day_name, duration, percent, seoul, spanned, unbroken, won
from dashboard.report.document import Cell, Paragraph, Table
from dashboard.report.gathering import UnfinishedError
from dashboard.texts import Texts


@dataclass(frozen=True)
class Wording:
    """Writes in the language of its texts."""

    texts: Texts

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key`` in the report's groups."""
        return self.texts(key, **values)

    def won(self, amount: float | None) -> str:
        """An amount, short."""
        return won(amount, self.texts.language)

    def interval(self, low: float | None, high: float | None) -> str:
        """``low ~ high``; open where one is unknown."""
        if low is None and high is None:
            return MISSING
        if high is None:
            return self("report.at_least", amount=self.won(low))
        return spanned(unbroken(self.won(low)), unbroken(self.won(high)), self.texts.language)

    def ends(self, low: float | None, high: float | None, *, ranged: bool) -> str:
        """The same; of a figure that may lie anywhere between, and has no interval of a probability, it says so."""
        found = self.interval(low, high)
        return self("methods.ranged", ends=found) if ranged and low is not None else found

    def ends_only(self, *, ranged: bool) -> Cell:
        """What stands in a table for a value that is not known beside its ends."""
        return plain(self("methods.range_only" if ranged else "methods.interval_only"))

    def between(self, low: float | None, high: float | None, *, ranged: bool = False) -> Cell:
        """An interval in a table, as ``ends`` says it."""
        return Cell(self.ends(low, high, ranged=ranged), ends=(low, high))

    def moment(self, at: datetime | None) -> str:
        """Day with its year, and time in Seoul."""
        return MISSING if at is None else f"{day_name(seoul(at).date(), self.texts.language)} {clock(at)}"

    def duration(self, span: timedelta | None) -> str:
        """A span in words."""
        return duration(span, self.texts.language)

    def money(self, amount: float | None) -> Cell:
        """An amount in a table."""
        return Cell(unbroken(self.won(amount)), None if amount is None else round(amount), "krw")

    def number(self, figure: float | None) -> Cell:
        """A count in a table; unknown is said so, never zero."""
        if figure is None:
            return Cell(self("app.not_available"))
        return Cell(count(round(figure)), round(figure), "number")

    def share(self, share: float | None) -> Cell:
        """A share of 1 in a table."""
        return Cell(percent(share), None if share is None else round(share, 6), "share")

    def time(self, at: datetime | None) -> Cell:
        """A moment in a table."""
        return Cell(self.moment(at), None if at is None else seoul(at).replace(tzinfo=None), "time")

    def table(self, name: str, columns: list[str], rows: list[list[Cell]], *, note: str = "", printed: int = 1_000, widths: list[float] | None = None) -> Table:
        """The table ``name``, its title and heads from the texts; where not all rows are printed, it says so."""
        more = self("report.more", shown=count(printed), number=count(len(rows))) if len(rows) > printed else ""
        return Table(name, self(f"report_table.{name}"), [self(f"report_column.{column}") for column in columns], rows, note, printed, more, widths or [])

    def paragraph(self, key: str, **values: object) -> Paragraph:
        """A paragraph from the texts."""
        return Paragraph(self(key, **values))


def why_unfinished(error: UnfinishedError, words: Wording) -> str:
    """Why there is no final edition yet, and what to do."""
    if error.ended is None:
        return words("report_page.final_open")
    return words("report_page.final_cut", ended=words.moment(error.ended), time=words.moment(error.counted))


def plain(text: str) -> Cell:
    """A cell of text."""
    return Cell(text)
