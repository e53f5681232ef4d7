"""What an estimate says about itself, in the reader's language."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from dashboard.formatting import SEOUL, count, day_name, moment, percent, won
from dashboard.texts import Texts
from warehouse.analysis import Remark


def sentence(remark: Remark, texts: Texts) -> str:
    """The text of the remark's code, its values as people read them."""
    return texts(f"remark.{remark.code}", **{name: _WRITTEN[name](value, texts) for name, value in remark.values.items()})


def _moment(local: datetime, texts: Texts) -> str:
    return moment(local.replace(tzinfo=SEOUL), texts.language)


def _count(number: int, _: Texts) -> str:
    return count(number)


_WRITTEN: Mapping[str, Callable[[Any, Texts], str]] = {
    **dict.fromkeys(("start", "end", "until", "after"), _moment),
    **dict.fromkeys(("step", "days", "windows", "needed"), _count),
    "nearest": lambda day, texts: day_name(day, texts.language),
    "amount": lambda amount, texts: won(amount, texts.language),
    "level": lambda level, _: f"{level:.1f}",
    "confidence": lambda share, _: percent(share, 0),
    "interval": sentence,
}
"""How each value is written, by its name in ``warehouse.analysis.remarks``."""
