"""A document as PDF: Typst sets it, tagged (PDF/UA-1), with the font in it."""

import json
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any

import typst

from dashboard.report.document import UNDRAWN, Block, Bullets, Code, Document, Figures, Notice, Paragraph, Picture, Section, Table
from dashboard.report.pictures import fonts

PUNCTUATION = frozenset("–—−’…·※\N{LEFT SINGLE QUOTATION MARK}\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{NO-BREAK SPACE}")


def write_pdf(document: Document) -> bytes:
    """The PDF; the same document gives the same bytes."""
    files: dict[str, bytes] = {"main.typ": resources.files("dashboard.report").joinpath("template.typ").read_bytes()}
    numbers = {id(part): number for number, part in document.numbered}

    def told(part: Section) -> dict[str, Any]:
        return {"number": numbers[id(part)], "title": part.title, "blocks": [_block(block, files) for block in part.blocks]}

    body = {
        "title": document.title,
        "subtitle": document.subtitle,
        "language": document.language,
        "stage": document.stage,
        "head": document.head,
        "footer": document.footer,
        "words": dict(document.words),
        "sections": [told(part) for part in document.sections],
        "appendix": [told(part) for part in document.appendix],
    }
    files["document.json"] = json.dumps(_drawable(body), ensure_ascii=False).encode()
    when = document.made_at.replace(microsecond=0)
    # Its types leave out files by name, which its documentation has.
    pdf: bytes = typst.compile(files, font_paths=_fonts(), ignore_system_fonts=True, pdf_standards=["ua-1"], timestamp=when)  # type: ignore[call-overload]
    return pdf


def _block(block: Block, files: dict[str, bytes]) -> dict[str, Any]:
    if isinstance(block, Table):
        rows = [[cell.text for cell in row] for row in block.rows[: block.printed]]
        return {
            "kind": "table",
            "title": block.title,
            "columns": block.columns,
            "rows": rows,
            "note": block.printed_note,
            "widths": block.widths,
            "numbers": sorted(block.numbers),
        }
    if isinstance(block, Picture):
        file = f"picture{len(files)}.svg"
        files[file] = _drawable(block.svg).encode()
        return {"kind": "picture", "title": block.title, "sentence": block.sentence, "file": file}
    return {"kind": _KINDS[type(block)], **asdict(block)}


_KINDS = {Paragraph: "paragraph", Bullets: "bullets", Notice: "notice", Figures: "figures", Code: "code"}


def _drawable(value: Any) -> Any:  # noqa: ANN401 - any part of the JSON
    """The same with every character that the font has not replaced, controls among them: PDF/UA allows no glyph that is missing.

    Noto Sans KR holds what CP949 does, and the few marks above.
    """
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else "".join(character if _known(character) else UNDRAWN for character in value)
    if isinstance(value, dict):
        return {key: _drawable(part) for key, part in value.items()}
    return [_drawable(part) for part in value] if isinstance(value, list | tuple) else value


@cache
def _known(character: str) -> bool:
    if character in PUNCTUATION or character in "\n\t":
        return True
    try:
        character.encode("cp949")
    except UnicodeEncodeError:
        return False
    return character.isprintable()


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(fonts())])
