"""What an estimate says about itself, in the reader's language."""

from datetime import date, datetime

from dashboard.formatting import SEOUL, count, day_name, moment, percent, won
from dashboard.texts import Texts
from warehouse.analysis import Remark


def sentence(remark: Remark, texts: Texts) -> str:
    """The text of the remark's code, its values as people read them."""
    return texts(f"remark.{remark.code}", **{name: _value(name, value, texts) for name, value in remark.values.items()})


def _value(name: str, value: object, texts: Texts) -> str:
    match value:
        case Remark():
            return sentence(value, texts)
        case datetime():  # the analysis tells local times
            return moment(value.replace(tzinfo=SEOUL), texts.language)
        case date():
            return day_name(value, texts.language)
        case float() if name == "amount":
            return won(value, texts.language)
        case float() if name == "confidence":
            return percent(value, 0)
        case float():
            return f"{value:.1f}"
        case int():
            return count(value)
        case _:
            return str(value)
