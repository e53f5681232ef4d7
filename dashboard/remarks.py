"""What an estimate says about itself, in the reader's language."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from dashboard.figures.incidents import Incident
from dashboard.formatting import SEOUL, count, day_name, moment, percent, won
from dashboard.texts import Texts
from warehouse.analysis import LaunchScenario, LossEstimate, Remark
from warehouse.taking_back import TakenBack


def lost_range(lost: Mapping[str, Any], texts: Texts) -> str:
    """What one range of the manifest's tells: which offsets are gone, or which log is another one, whose missing records nobody can count."""
    text = {"topic made anew": "banner.lost_anew", "log cut back": "banner.lost_cut"}.get(lost["cause"], "banner.lost_range")
    return texts(text, topic=f"{lost['topic']}/{lost['partition']}", low=count(lost["from_offset"]), high=count(lost["to_offset"]))


def sentence(remark: Remark, texts: Texts) -> str:
    """The text of the remark's code, its values as people read them."""
    return texts(f"remark.{remark.code}", **{name: _WRITTEN[name](value, texts) for name, value in remark.values.items()})


def sales_sentence(loss: LossEstimate, launch: LaunchScenario | None, texts: Texts) -> str:
    """What the chart of expected and observed sales says; on a launch, that its expectation is one of many."""
    more = gained(loss.lost)
    amounts = {name: _won(getattr(loss, name), texts) for name in ("lost", "expected", "observed")} | {"more": _won(-loss.lost, texts)}
    if launch is None:
        return joined(texts("incidents.sales_more" if more else "incidents.sales_sentence", **amounts), chance(loss.low, loss.high, texts))
    ends = {"low": _won(launch.low, texts), "high": _won(launch.high, texts), **demand_open(launch)}
    before = texts("incidents.sales_before_more" if more else "incidents.sales_before", **amounts)
    return joined(before, texts("incidents.sales_launch", **ends), chance(launch.low, launch.high, texts, launch=True))


def demand_open(launch: LaunchScenario) -> dict[str, str]:
    """From what to what times an ordinary day's the demand of a launch is left open, and the level of the interval that follows."""
    return {"least": f"{launch.factor_low:g}", "most": f"{launch.factor_high:g}", "level": percent(launch.level, 0)}


def gained(lost: float) -> bool:
    """A shortfall of less than nothing, to the won: more was paid than expected."""
    return round(lost) < 0


def chance(low: float, high: float, texts: Texts, *, launch: bool = False) -> str:
    """What is said after a shortfall whose interval, on a launch the one over demand, holds 0: no fall can be told. Empty after any other."""
    if not low <= 0 <= high:
        return ""
    return texts("incidents.chance_launch" if launch else "incidents.chance")


def hardest_sentence(name: str, lost: float, texts: Texts) -> str:
    """Which place lost most, where the first of them lost anything."""
    return texts("incidents.hardest_sentence", name=name, lost=_won(lost, texts)) if lost > 0 else texts("incidents.hardest_none")


def all_channels(incident: Incident, texts: Texts) -> str:
    """What is said of merchants where the incident is one channel's, since channels are not kept by merchant; empty for any other."""
    return texts("hardest.all_channels") if incident.scope == "channel" else ""


def taken_back_sentence(found: TakenBack, texts: Texts) -> str:
    """How much of what was approved in the window was taken back, beside what ordinarily is."""
    return texts("ladder.taken_back", amount=_won(found.amount, texts), share=percent(found.share), usual=percent(found.usual))


def joined(*sentences: str) -> str:
    """Sentences one after the other, without the empty ones."""
    return " ".join(one for one in sentences if one)


def _moment(local: datetime, texts: Texts) -> str:
    return moment(local.replace(tzinfo=SEOUL), texts.language)


def _count(number: int, _: Texts) -> str:
    return count(number)


def _won(amount: float, texts: Texts) -> str:
    return won(amount, texts.language)


def _factor(factor: float, _: Texts) -> str:
    return f"{factor:.1f}"


def _percent(share: float, _: Texts) -> str:
    return percent(share, 0)


_WRITTEN: Mapping[str, Callable[[Any, Texts], str]] = {
    **dict.fromkeys(("start", "end", "until", "after"), _moment),
    **dict.fromkeys(("step", "days", "windows", "needed", "count", "queue"), _count),
    "nearest": lambda day, texts: day_name(day, texts.language),
    **dict.fromkeys(("amount", "low", "high"), _won),
    **dict.fromkeys(("level", "factor_low", "factor_high"), _factor),
    **dict.fromkeys(("confidence", "share", "missed", "least", "most"), _percent),
    **dict.fromkeys(("taken", "usual"), lambda share, _: percent(share)),
    **dict.fromkeys(("source", "incidents", "places"), lambda name, _: name),
    "interval": sentence,
}
"""How each value is written, by its name in ``warehouse.analysis.remarks``."""
