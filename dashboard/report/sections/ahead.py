"""What is ahead and what went before: whether capacity suffices for the next holidays, and the incident's time beside the one before it."""

from dataclasses import replace
from typing import Any

from dashboard.ahead_words import HOLIDAY_COLUMNS, between, chart_sentence, differing, headline, holiday_row, measured, warning
from dashboard.charts_ahead import ahead_chart
from dashboard.figures.ahead import DAYS
from dashboard.formatting import count, percent
from dashboard.remarks import sentence
from dashboard.report.document import Block, Bullets, Cell, Figures, Kind, Notice, Section, Table
from dashboard.report.gathering import Report
from dashboard.report.pictures import picture
from dashboard.report.wording import Wording, plain

COSTED = {"loss_per_million", "planned_cost"}
"""Measures that take an estimate for each incident of both spans; the report has the incident's own."""

_KINDS: dict[str, Kind] = {"share": "share", "count": "number"}


def ahead(report: Report, words: Wording) -> Section:
    """Demand until and on the next holidays, against what is proven."""
    found, texts = report.ahead, words.texts
    title = words("report_ahead.title")
    if found is None:
        return Section(title, [Notice(words("report_ahead.unknown"), "plain")])
    blocks: list[Block] = [words.paragraph("report_ahead.sentence", time=words.moment(found.made_at), days=count(DAYS))]
    # The day that the state is from has begun, and is in no row of the table.
    coming = replace(found, days=found.days.slice(1))
    warned = warning(found, texts)
    if warned:
        blocks.append(Notice(f"{warned.title.rstrip('.')}. {warned.detail}", "danger" if warned.tone == "danger" else "warning"))
    blocks += [
        Figures([(figure.label, figure.value, " · ".join(note for note in figure.notes if note)) for figure in headline(found, texts)]),
        picture(ahead_chart(coming.days, "peaks", found.capacity.proven, texts), words("report_ahead.chart"), chart_sentence(coming, "peaks", texts)),
        words.table(
            "headroom",
            [f"ahead_{name}" for name in HOLIDAY_COLUMNS],
            [_holiday(row, words) for row in found.holidays],
            note=words("ahead.holidays_note"),
            widths=[0.16, 0.17, 0.12, 0.11, 0.1, 0.11, 0.09, 0.14],
        ),
        words.paragraph("ahead.loss_method"),
    ]
    if found.warnings:
        blocks.append(Bullets([sentence(remark, texts) for remark in found.warnings]))
    return Section(title, blocks)


def compared(report: Report, words: Wording) -> Section:
    """How the platform worked in the incident's time and in the one before, and what of it cannot be compared."""
    found, title = report.compared, words("report_compared.title")
    if found is None:
        return Section(title, [Notice(words("report_compared.unknown"), "plain")])
    names = [span.name if found.operators else words(f"report_compared.{span.name}") for span in (found.first, found.second)]
    spans = [
        words("report_compared.span", name=name, start=words.moment(span.start), end=words.moment(span.end))
        for name, span in zip(names, found.spans, strict=True)
    ]
    rows = [row for row in found.comparison.table.iter_rows(named=True) if row["measure"] not in COSTED]
    interval = words("report_column.interval")
    table = Table(
        "compared",
        words("report_table.compared"),
        [words("report_column.compared"), names[0], interval, names[1], interval, words("compare.difference")],
        [_measure(row, words) for row in rows],
        words("report_compared.note"),
        widths=[0.2, 0.11, 0.19, 0.11, 0.19, 0.2],
    )
    covered = [percent(share, 0) for share in found.comparison.covered]
    return Section(
        title,
        [
            words.paragraph("report_compared.operators" if found.operators else "report_compared.spans"),
            Bullets(spans),
            table,
            words.paragraph("compare.covered", first=covered[0], second=covered[1]),
            words.paragraph("compare.method"),
            words.paragraph("compare.method_alike"),
        ],
    )


def _holiday(row: dict[str, Any], words: Wording) -> list[Cell]:
    values: dict[str, Cell] = {"needed": words.number(row["needed"]), "chance": words.share(row["probability"]), "loss": words.money(row["expected_loss"])}
    said = zip(HOLIDAY_COLUMNS, holiday_row(row, words.texts), strict=True)
    return [replace(values[name], text=text) if name in values else plain(text) for name, text in said]


def _measure(row: dict[str, Any], words: Wording) -> list[Cell]:
    unit, texts = row["unit"], words.texts

    def figures(name: str) -> list[Cell]:
        value = row[name]
        kind = _KINDS.get(unit, "text")
        shown = Cell(measured(unit, value, texts), None if value is None or kind == "text" else round(value, 6), kind)
        return [shown, plain(between(unit, row[f"{name}_low"], row[f"{name}_high"], texts))]

    return [plain(texts(f"measure.{row['measure']}")), *figures("first"), *figures("second"), plain(differing(row, texts))]
