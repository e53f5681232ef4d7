"""The dashboard's charts as SVG, drawn without a browser, a network or the fonts of the machine."""

import hashlib
import re
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import vl_convert

from dashboard.charts import Drawing
from dashboard.report.document import Picture

FAMILY = "Noto Sans KR"
FONTS = {"font", "labelFont", "titleFont"}
WIDTH = 660
VEGA_LITE = "6.4"


def picture(drawing: Drawing, title: str, sentence: str) -> Picture:
    """The chart with its title, and the sentence that tells the same."""
    return Picture(svg_of(drawing), title, sentence)


def svg_of(drawing: Drawing) -> str:
    """One chart as SVG; the same data give the same text."""
    _know_fonts()
    spec = {**_refonted(drawing.spec), "width": WIDTH, "datasets": {name: frame.to_dicts() for name, frame in drawing.data.items()}}
    # What tooltips would say is in the sentence.
    svg: str = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
    return _named(re.sub(r' aria-[a-z]+="[^"]*"| role="[^"]*"', "", svg))


def _named(svg: str) -> str:
    """The ids inside, which the drawing counts on and on in a process, by the picture's own content: the same each time, and another in each picture."""
    ids = dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))
    for number, name in enumerate(ids):
        svg = re.sub(rf'(\bid="|url\(#|href="#){re.escape(name)}(?=["\)])', rf"\g<1>@{number}", svg)
    mark = hashlib.sha256(svg.encode()).hexdigest()[:8]
    return re.sub(r'(\bid="|url\(#|href="#)@(\d+)(?=["\)])', rf"\g<1>p{mark}-\2", svg)


def fonts() -> Path:
    """The folder with the font of reports, from its package: Noto Sans KR, SIL Open Font License."""
    return Path(str(resources.files("pylopdf_fonts_ko")))


@cache
def _know_fonts() -> None:
    vl_convert.register_font_directory(str(fonts()))


def _refonted(part: Any) -> Any:  # noqa: ANN401 - any part of a specification
    """The specification in the report's font, whatever fonts the machine has."""
    if isinstance(part, dict | MappingProxyType):
        return {key: FAMILY if key in FONTS else _refonted(value) for key, value in part.items()}
    return [_refonted(value) for value in part] if isinstance(part, list) else part
