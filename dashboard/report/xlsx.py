"""A document as a workbook: its text on the first sheet, every table whole on one of its own, figures as numbers."""

import io
from collections.abc import Mapping
from dataclasses import replace

import polars as pl
import xlsxwriter

from dashboard.report.document import Block, Bullets, Cell, Code, Document, Figures, Notice, Paragraph, Picture, Table
from warehouse.spreadsheets import neutralised

FORBIDDEN = str.maketrans("", "", "[]:*?/\\")
"""What the name of a sheet may not hold."""

LONGEST_NAME = 31
"""Characters that the name of a sheet may have."""

DANGLING = frozenset(("and", "by", "for", "of", "the", "to"))
"""Words that a name that was cut does not end in."""

FORMATS = {"krw": "#,##0", "number": "#,##0", "share": "0.0%", "time": "yyyy-mm-dd hh:mm", "text": "@"}


def write_xlsx(document: Document) -> bytes:
    """The workbook; the same document gives the same bytes. Texts are cells of text, and none looks like a formula to a program that reads it on."""
    target = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(target, options) as book:
        book.set_properties({"title": document.title, "subject": document.subtitle, "created": document.made_at.replace(tzinfo=None, microsecond=0)})
        formats = {kind: book.add_format({"num_format": form, "valign": "top"}) for kind, form in FORMATS.items()}
        bold = book.add_format({"bold": True, "text_wrap": True, "bg_color": "#F4F5F6", "bottom": 1})
        heading = book.add_format({"bold": True, "font_size": 14, "font_color": "#052561"})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        front = book.add_worksheet(document.words["text"])
        front.set_column(0, 0, 26)
        front.set_column(1, 1, 110)
        said = _front(document)
        for row, (what, text) in enumerate(zip(_harmless([what for what, _ in said]), _harmless([text for _, text in said]), strict=True)):
            front.write_string(row, 0, what, wrapped if text else heading)
            front.write_string(row, 1, text, wrapped)
        for number, table in enumerate((spread(table, document.words) for table in document.tables), 1):
            sheet = book.add_worksheet(_sheet_name(number, table.title))
            sheet.write_string(0, 0, table.title, heading)
            for place, column in enumerate(_harmless(list(table.columns))):
                sheet.write_string(2, place, column, bold)
                sheet.set_column(place, place, _width(table, place))
            texts = iter(_harmless([cell.text for cells in table.rows for cell in cells]))
            for line, cells in enumerate(table.rows, 3):
                for place, cell in enumerate(cells):
                    _write(sheet, line, place, replace(cell, text=next(texts)), formats)
            sheet.freeze_panes(3, 1)
            # A spreadsheet's times have no zone of their own.
            zone = document.words["time_zone"] if any(cell.kind == "time" for cells in table.rows for cell in cells) else ""
            if note := " ".join(one for one in (table.note, zone) if one):
                sheet.write_string(1, 0, note)
    return target.getvalue()


def spread(table: Table, words: Mapping[str, str]) -> Table:
    """The table with its columns of money named with their unit, and behind each column of intervals two for their ends."""
    places = range(len(table.columns))
    ended = {place for place in places if any(row[place].ends for row in table.rows)}
    money = {place for place in places if any(row[place].kind == "krw" for row in table.rows)}
    columns: list[str] = []
    for place, name in enumerate(table.columns):
        columns.append(name + words["unit"] if place in money else name)
        # Where several columns have ends, or values beside them, the column says whose they are.
        whose = f"{name}: " if len(ended) > 1 or place in money else ""
        columns += [whose + words[end] + words["unit"] for end in ("low", "high")] if place in ended else []
    rows = [[cell for place, first in enumerate(row) for cell in (first, *(_ends(first) if place in ended else ()))] for row in table.rows]
    return replace(table, columns=columns, rows=rows)


def _ends(cell: Cell) -> list[Cell]:
    return [_won(end) for end in cell.ends or (None, None)]


def _won(amount: float | None) -> Cell:
    return Cell("") if amount is None else Cell(f"{amount:,.0f}", round(amount), "krw")


def _harmless(texts: list[str]) -> list[str]:
    texts = [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts]
    return neutralised(pl.DataFrame({"text": texts}, schema={"text": pl.String}))["text"].to_list()


def _front(document: Document) -> list[tuple[str, str]]:
    rows = [(document.title, ""), (document.subtitle, " "), *document.head, (" ", " ")]
    for number, part in document.numbered:
        rows.append((f"{number}. {part.title}", ""))
        for block in part.blocks:
            rows += _told(block)
    return [*rows, (" ", document.footer)]


def _told(block: Block) -> list[tuple[str, str]]:
    match block:
        case Paragraph(text) | Notice(text):
            return [(" ", text)]
        case Bullets(texts):
            return [("•", text) for text in texts]
        case Figures(shown):
            return [(what, f"{value} – {about}") for what, value, about in shown]
        case Picture(_, title, sentence):
            return [(title, sentence)]
        case Code(title, text):
            return [(title, text)]
        case Table(_, title):
            return [(" ", f"→ {title}")]


def _write(sheet: "xlsxwriter.worksheet.Worksheet", line: int, place: int, cell: Cell, formats: dict[str, "xlsxwriter.format.Format"]) -> None:
    if cell.value is None:
        sheet.write_string(line, place, cell.text, formats["text"])
    elif cell.kind == "time":
        sheet.write_datetime(line, place, cell.value, formats["time"])
    else:
        sheet.write_number(line, place, cell.value, formats[cell.kind])


def _sheet_name(number: int, title: str) -> str:
    """The number and as many words of the title as there is room for, no word cut but one that is too long alone."""
    words = title.translate(FORBIDDEN).split()
    name = f"{number} {words[0] if words else ''}"[:LONGEST_NAME]
    for word in words[1:]:
        if len(name) + 1 + len(word) > LONGEST_NAME:
            break
        name += f" {word}"
    else:
        return name
    while name.rpartition(" ")[2] in DANGLING:
        name = name.rpartition(" ")[0]
    return name.rstrip(" ,'")


def _width(table: Table, place: int) -> float:
    texts = [table.columns[place], *(row[place].text for row in table.rows[:200])]
    return min(60.0, max(10.0, max(sum(2 if ord(character) > 0x1100 else 1 for character in text) for text in texts) + 2))
