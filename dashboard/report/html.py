"""A document as one HTML file: no script, nothing fetched, readable on a phone and on paper."""

from html import escape
from importlib import resources

from dashboard.report.document import UNDRAWN, Block, Bullets, Code, Document, Figures, Notice, Paragraph, Picture, Section, Table
from dashboard.report.pictures import FAMILY

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""No script, and nothing fetched, whatever a text holds."""

CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], UNDRAWN) | {ord(kept): kept for kept in "\n\t"}
"""HTML allows no other control character, and readers and validators make different things of them."""

STACK = "'Pretendard GOV', Pretendard, 'Apple SD Gothic Neo', 'Malgun Gothic', NanumGothic, 'Noto Sans KR', sans-serif"


def write_html(document: Document) -> bytes:
    """The page; the same document gives the same bytes."""
    style = resources.files("dashboard.report").joinpath("page.css").read_text(encoding="utf-8")
    labels = [f"{document.words['appendix']} {number}" if part in document.appendix else number for number, part in document.numbered]
    contents = "".join(f'<li><a href="#part-{number}">{escape(label)}. {escape(part.title)}</a></li>' for label, (number, part) in _labelled(document, labels))
    parts = "".join(_section(f"part-{number}", label, part) for label, (number, part) in _labelled(document, labels))
    head = "".join(f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>" for what, value in document.head)
    title = f"{document.title} – {document.subtitle}"
    page = (
        f'<!DOCTYPE html>\n<html lang="{document.language}">\n<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body><main>\n"
        f'<header><h1>{escape(document.title)}</h1><p class="subtitle">{escape(document.subtitle)}</p><dl class="head">{head}</dl></header>\n'
        f'<nav aria-label="{escape(document.words["contents"])}"><h2>{escape(document.words["contents"])}</h2><ol>{contents}</ol></nav>\n'
        f"{parts}\n</main><footer>{escape(document.footer)}</footer></body>\n</html>\n"
    )
    return page.translate(CONTROLS).encode()


def _labelled(document: Document, labels: list[str]) -> list[tuple[str, tuple[str, Section]]]:
    return list(zip(labels, document.numbered, strict=True))


def _section(name: str, label: str, part: Section) -> str:
    return f'<section id="{name}"><h2>{escape(label)}. {escape(part.title)}</h2>{"".join(_block(block) for block in part.blocks)}</section>\n'


def _block(block: Block) -> str:
    match block:
        case Paragraph(text):
            html = f"<p>{escape(text)}</p>"
        case Bullets(texts):
            html = "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"
        case Notice(text, tone):
            html = f'<p class="notice {tone}" role="note">{escape(text)}</p>'
        case Figures(shown):
            html = f'<dl class="figures">{"".join(_figure(*figure) for figure in shown)}</dl>'
        case Picture(svg, title, sentence):
            drawn = svg.replace(f'font-family="{FAMILY}"', f'font-family="{escape(STACK)}"').replace(
                "<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1
            )
            html = f"<figure>{drawn}<figcaption><strong>{escape(title)}.</strong> {escape(sentence)}</figcaption></figure>"
        case Code(title, text):
            html = f'<h3>{escape(title)}</h3><pre tabindex="0">{escape(text)}</pre>'
        case Table():
            html = _table(block)
    return html


def _figure(what: str, value: str, about: str) -> str:
    return f'<div><dt>{escape(what)}</dt><dd class="value">{escape(value)}</dd><dd class="about">{escape(about)}</dd></div>'


def _table(table: Table) -> str:
    aligned = [' class="number"' if place in table.numbers else "" for place in range(len(table.columns))]
    head = "".join(f'<th scope="col"{align}>{escape(name)}</th>' for align, name in zip(aligned, table.columns, strict=True))
    rows = "".join(
        "<tr>" + "".join(f"<td{align}>{escape(cell.text)}</td>" for align, cell in zip(aligned, row, strict=True)) + "</tr>"
        for row in table.rows[: table.printed]
    )
    note = f'<p class="table-note">{escape(table.printed_note)}</p>' if table.printed_note else ""
    body = f"<table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">{body}</div>{note}'
