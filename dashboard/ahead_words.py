"""Demand ahead and comparisons in words: the same on the pages and in the report."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from dashboard.cards import Figure, Tone
from dashboard.figures.ahead import AheadFigures
from dashboard.formatting import MISSING, count, day_name, duration, near_day, percent, spanned, unbroken, won
from dashboard.texts import Texts


class Warned(NamedTuple):
    """What must not be overlooked."""

    tone: Tone
    title: str
    detail: str


def warning(found: AheadFigures, texts: Texts) -> Warned | None:
    """That nobody knows what is needed, that nothing is proven, or that capacity is too small; None where it suffices."""
    most = found.tightest
    if most["needed"] is None:
        return Warned("muted", texts("ahead.no_load"), texts("ahead.no_load_detail"))
    if found.capacity.proven is None:
        return Warned("muted", texts("ahead.no_capacity"), texts("ahead.no_capacity_detail"))
    if most["factor"] <= 1:
        return None
    values = {
        "name": holiday_name(most, texts),
        "factor": f"{most['factor']:.2f}",
        "before": day_name(most["before"] or most["first"], texts.language),
        "chance": percent(most["probability"], 0),
    }
    return Warned("danger", texts("ahead.too_small"), texts("ahead.too_small_detail", **values))


def headline(found: AheadFigures, texts: Texts) -> list[Figure]:
    """Needed, proven, headroom and risk of the row that needs most."""
    language, capacity, most = texts.language, found.capacity, found.tightest
    if most["needed"] is None:
        needed, note = texts("ahead.unknown"), texts("ahead.no_load")
    else:
        needed = texts("ahead.a_minute", number=count(round(most["needed"])))
        note = texts("ahead.needed_note", name=holiday_name(most, texts), day=near_day(most["peak_day"], language))
    knee = texts("ahead.knee", low=count(round(capacity.low)), high=count(round(capacity.high))) if capacity.low and capacity.high else ""
    proven = texts("ahead.a_minute", number=count(round(capacity.proven))) if capacity.proven else texts("ahead.no_capacity")
    short = most["headroom"] is not None and most["headroom"] < 1
    return [
        Figure(texts("ahead.needed"), needed, (note,), "plain" if most["needed"] else "muted", "needed"),
        Figure(texts("ahead.proven"), proven, (texts(f"ahead.by_{capacity.method}"), knee), "plain" if capacity.proven else "muted", "proven"),
        Figure(texts("ahead.headroom"), percent(most["headroom"], 0), (texts("ahead.headroom_note"),), "danger" if short else "plain", "headroom"),
        Figure(
            texts("ahead.risk"),
            percent(most["probability"], 0),
            (texts("ahead.risk_note", loss=unbroken(won(most["expected_loss"], language))),),
            "plain",
            "risk",
        ),
    ]


def chart_sentence(found: AheadFigures, what: str, texts: Texts) -> str:
    """The largest day of what the chart shows, ``sales`` or ``peaks``."""
    column = "q95" if what == "sales" else "peak_q95"
    top = found.days.sort(column, descending=True).row(0, named=True)
    if top[column] is None:
        return texts("ahead.no_load_detail")
    value = won(top[column], texts.language) if what == "sales" else texts("ahead.a_minute", number=count(round(top[column])))
    return texts("ahead.chart_sentence", day=day_name(top["date"], texts.language), value=value)


HOLIDAY_COLUMNS = ("holiday", "days", "peak", "needed", "factor", "before", "chance", "loss")


def holiday_row(row: dict[str, Any], texts: Texts) -> list[str]:
    """A row of ``Headroom.table``, in the order of ``HOLIDAY_COLUMNS``."""
    language = texts.language
    return [
        holiday_name(row, texts),
        spanned(unbroken(near_day(row["first"], language)), unbroken(near_day(row["last"], language)), language),
        unbroken(near_day(row["peak_day"], language)) if row["peak_day"] else MISSING,
        texts("ahead.unknown") if row["needed"] is None else count(round(row["needed"])),
        MISSING if row["factor"] is None else f"{row['factor']:.2f}×" if row["factor"] > 1 else texts("ahead.enough"),
        unbroken(near_day(row["before"], language)) if row["before"] else MISSING,
        percent(row["probability"], 0),
        won(row["expected_loss"], language),
    ]


def holiday_name(row: dict[str, Any], texts: Texts) -> str:
    """The holiday's name, or that of all days together."""
    return texts("ahead.all_days") if row["name"] == "all" else texts.named("holiday", row["name"])


def measured(unit: str, value: float | None, texts: Texts) -> str:
    """A measure's value in its unit."""
    return MISSING if value is None else unbroken(_WRITTEN[unit](value, texts))


def between(unit: str, low: float | None, high: float | None, texts: Texts) -> str:
    """Its interval; empty where there is none."""
    return "" if low is None or high is None else spanned(measured(unit, low, texts), measured(unit, high, texts), texts.language)


def with_interval(unit: str, value: float | None, low: float | None, high: float | None, texts: Texts) -> str:
    """Both in one cell."""
    around = between(unit, low, high, texts)
    return f"{measured(unit, value, texts)} ({around})" if around and value is not None else measured(unit, value, texts)


def differing(row: dict[str, Any], texts: Texts) -> str:
    """How far both spans are apart, shares in percentage points; or why that cannot be said."""
    if row["why"]:
        return texts(f"why.{row['why']}")
    unit = "points" if row["unit"] == "share" else row["unit"]
    return with_interval(unit, row["difference"], row["low"], row["high"], texts)


def _time(unit: timedelta) -> Callable[[float, Texts], str]:
    return lambda value, texts: ("−" if value < 0 else "") + duration(abs(value) * unit, texts.language)


_WRITTEN: dict[str, Callable[[float, Texts], str]] = {
    "count": lambda value, _: count(round(value)).replace("-", "−"),
    "share": lambda value, _: percent(value, 2),
    "points": lambda value, texts: texts("compare.points", number=percent(value, 2).removesuffix("%")),
    "minutes": _time(timedelta(minutes=1)),
    "seconds": _time(timedelta(seconds=1)),
    "won": lambda value, texts: won(value, texts.language),
}
