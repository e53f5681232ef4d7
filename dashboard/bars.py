"""Charts of figures side by side: the ladder of a loss, methods with their intervals, outcomes of attempts. Specifications as in ``dashboard.charts``."""

import json
from collections.abc import Sequence
from functools import lru_cache

import altair as alt
import polars as pl

from dashboard.charts import AMBER, BLUE, GREY, INK, RED, REMEMBERED, WON_AXIS, Drawing, finished, texted
from dashboard.figures.methods import Method
from dashboard.formatting import count, percent, spanned, won
from dashboard.texts import Texts, texts_in
from warehouse.ladder import Ladder, Range

_LADDER_KINDS = ("total", "less", "left", "range")
_OUTCOMES = ("approved", "declined", "failed")
_DAYS = ("market_day", "incident", "closed", "other")


def ladder_chart(ladder: Ladder, texts: Texts) -> Drawing:
    """From expected sales down to what merchants lost: each bar begins where the one above it ended. What is not known has no bar, a range ends at its ends."""
    expected, gross = ladder.expected, ladder.gross
    if expected.value is None or gross.value is None:
        steps = [("expected", expected.low, expected.high, "range"), ("observed", 0.0, ladder.observed, "less"), _range("gross", gross)]
        if ladder.back is not None:
            steps.append(_range("net", ladder.net))
    else:
        steps = [("expected", 0.0, expected.value, "total"), ("observed", gross.value, expected.value, "less"), ("gross", 0.0, gross.value, "left")]
    if ladder.net.value is not None:
        steps += [("made_up", ladder.net.value, gross.value or 0.0, "less"), ("net", 0.0, ladder.net.value, "left")]
    if ladder.net.value is None or ladder.merchants.value is None:
        steps += [_range("merchants", ladder.merchants)]
    else:
        steps += [("substituted", ladder.merchants.value, ladder.net.value, "less"), ("merchants", 0.0, ladder.merchants.value, "left")]
    rows = [
        {
            "step": texts(f"ladder.{name}"),
            "kind": texts(f"ladder_kind.{kind}"),
            "from": low,
            "to": high,
            "amount_text": _amount(low, high, kind, texts),
        }
        for name, low, high, kind in steps
    ]
    # Both ends of a range need more room than a phone has beside a bar.
    above = any(kind == "range" and low for _, low, _, kind in steps)
    return Drawing(json.loads(_ladder_spec(texts.language, above=above)), {"ladder": pl.DataFrame(rows)})


def _range(name: str, found: Range) -> tuple[str, float, float, str]:
    return name, found.low, found.high, "range"


def _amount(low: float, high: float, kind: str, texts: Texts) -> str:
    if kind == "range":
        return spanned(won(low, texts.language), won(high, texts.language), texts.language) if low else texts("ladder.up_to", amount=won(high, texts.language))
    return ("−" if kind == "less" and round(high - low) else "") + won(high - low, texts.language)


@lru_cache(maxsize=REMEMBERED)
def _ladder_spec(language: str, *, above: bool) -> str:
    texts = texts_in(language)
    kinds = alt.Scale(domain=[texts(f"ladder_kind.{kind}") for kind in _LADDER_KINDS], range=[INK, "#b1b8be", RED, "#f4a18e"])
    legend = alt.Legend(title=None, orient="top", symbolType="square", symbolSize=110, columns=2)
    base = alt.Chart(alt.NamedData("ladder")).encode(y=_names("step"))
    # The longest bar leaves room for its amount, unless that stands above it.
    room = 16 if above else 120
    x = alt.X("from:Q", axis=None, scale=alt.Scale(range=[0, alt.ExprRef(f"max(width - {room}, 40)")], nice=False, zero=True))
    tips = [alt.Tooltip("step:N", title=None), alt.Tooltip("amount_text:N", title=texts("chart.amount"))]
    amount = base.mark_text(align="left", dx=0 if above else 6, dy=-17 if above else 0, color=INK, fontSize=11 if above else 12.5)
    layers = [
        base.mark_bar(height={"band": 0.4 if above else 0.62}, cornerRadius=1).encode(
            x=x, x2="to:Q", color=alt.Color("kind:N", scale=kinds, legend=legend), tooltip=tips
        ),
        amount.encode(x=alt.value(0) if above else alt.X("to:Q"), text="amount_text:N"),
    ]
    return finished(layers, {"step": 50 if above else 34})


def methods_chart(methods: Sequence[Method], names: Sequence[str], texts: Texts) -> Drawing:
    """Figures for one loss with their intervals; ``names`` are the methods' names as people read them."""
    rows = [
        {
            "name": name,
            "order": order,
            "about": texts(f"about.{method.about}"),
            "value": method.value,
            "low": method.low,
            "high": method.high,
            "value_text": won(method.value, texts.language) if method.value is not None else texts("app.not_available"),
            "low_text": won(method.low, texts.language),
            "high_text": won(method.high, texts.language),
        }
        for order, (method, name) in enumerate(zip(methods, names, strict=True))
    ]
    schema = {"name": pl.String, "about": pl.String, **dict.fromkeys(("value", "low", "high"), pl.Float64)}
    return Drawing(json.loads(_methods_spec(texts.language)), {"methods": pl.DataFrame(rows, schema_overrides=schema)})


METHOD_WIDE = {"ko": 15, "en": 28}
"""Characters of a method's name beside its bar; what is longer goes on in another line."""


@lru_cache(maxsize=REMEMBERED)
def _methods_spec(language: str) -> str:
    texts = texts_in(language)
    abouts = [texts(f"about.{about}") for about in ("gross", "attempts", "unseen", "net", "merchants", "claim")]
    colours = alt.Scale(domain=abouts, range=[RED, GREY, "#16806a", "#7b3ab8", AMBER, BLUE])
    shapes = alt.Scale(domain=abouts, range=["circle", "triangle-right", "cross", "square", "triangle-up", "diamond"])
    legend = alt.Legend(title=None, orient="top", columns=alt.ExprRef("width < 260 ? 1 : 2"), symbolOpacity=1)
    base = alt.Chart(alt.NamedData("methods")).encode(y=_names("name", order="order", wide=METHOD_WIDE[language]))
    money = alt.Axis(title=None, labelExpr=WON_AXIS[language], tickCount=5)
    tips = [
        alt.Tooltip(f"{column}:N", title=title)
        for column, title in (("name", None), ("value_text", texts("chart.amount")), ("low_text", texts("chart.low")), ("high_text", texts("chart.high")))
    ]
    kind = {"color": alt.Color("about:N", scale=colours, legend=legend), "tooltip": tips}
    layers = [
        base.mark_rule(strokeWidth=5, opacity=0.35).encode(x=alt.X("low:Q", axis=money, scale=alt.Scale(zero=True)), x2="high:Q", **kind),
        base.mark_point(filled=True, size=110, opacity=1).encode(x="value:Q", shape=alt.Shape("about:N", scale=shapes, legend=legend), **kind),
    ]
    return finished(layers, {"step": 36})


def outcomes_chart(outcomes: pl.DataFrame, texts: Texts) -> Drawing:
    """How attempts ended, as shares: ``name``, ``approved``, ``declined``, ``failed`` (counts), the most attempts first."""
    shares = [
        {
            "name": row["name"],
            "outcome": texts(f"outcome.{outcome}"),
            "order": order,
            "attempts": row[outcome],
            "share": row[outcome] / row["attempts"],
            "share_text": percent(row[outcome] / row["attempts"]),
            "attempts_text": count(row[outcome]),
        }
        for row in outcomes.filter(pl.col("attempts") > 0).iter_rows(named=True)
        for order, outcome in enumerate(_OUTCOMES)
    ]
    return Drawing(json.loads(_outcomes_spec(texts.language)), {"outcomes": pl.DataFrame(shares)})


@lru_cache(maxsize=REMEMBERED)
def _outcomes_spec(language: str) -> str:
    texts = texts_in(language)
    kinds = alt.Scale(domain=[texts(f"outcome.{outcome}") for outcome in _OUTCOMES], range=["#8fc99b", "#e0b45c", RED])
    legend = alt.Legend(title=None, orient="top", symbolType="square", symbolSize=110, columns=3)
    tips = [
        alt.Tooltip(f"{column}:N", title=title)
        for column, title in (
            ("name", None),
            ("outcome", texts("table.outcome")),
            ("share_text", texts("table.share")),
            ("attempts_text", texts("table.attempts")),
        )
    ]
    bars = (
        alt.Chart(alt.NamedData("outcomes"))
        .mark_bar(height={"band": 0.66}, stroke="white", strokeWidth=1)
        .encode(
            y=_names("name"),
            x=alt.X("share:Q", stack="zero", axis=alt.Axis(title=None, format=".0%", tickCount=5), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("outcome:N", scale=kinds, legend=legend),
            order="order:Q",
            tooltip=tips,
        )
    )
    return finished([bars], {"step": 28})


def days_chart(days: pl.DataFrame, texts: Texts) -> Drawing:
    """A market's sales by day: ``day``, ``sales``, ``market_day``, ``incident``, ``closed``. A day has the first kind that fits: incident, closed, market day."""
    words = {kind: pl.lit(texts(f"day_kind.{kind}")) for kind in _DAYS}
    shown = days.select(
        label=pl.col("day").dt.strftime("%m-%d"),
        kind=pl.when("incident")
        .then(words["incident"])
        .when("closed")
        .then(words["closed"])
        .when("market_day")
        .then(words["market_day"])
        .otherwise(words["other"]),
        sales=pl.col("sales").cast(pl.Float64),
        sales_text=texted(days["sales"], won, texts.language),
    )
    return Drawing(json.loads(_days_spec(texts.language)), {"days": shown})


@lru_cache(maxsize=REMEMBERED)
def _days_spec(language: str) -> str:
    texts = texts_in(language)
    kinds = [texts(f"day_kind.{kind}") for kind in _DAYS]
    colours = alt.Scale(domain=kinds, range=[BLUE, RED, AMBER, "#b1b8be"])
    legend = alt.Legend(title=None, orient="top", symbolType="square", symbolSize=110, columns=alt.ExprRef("width < 340 ? 2 : 4"))
    base = alt.Chart(alt.NamedData("days")).encode(
        x=alt.X("label:N", sort=None, axis=alt.Axis(title=None, labelAngle=0, labelOverlap="greedy", labelSeparation=6, ticks=False)),
        y=alt.Y("sales:Q", axis=alt.Axis(title=None, labelExpr=WON_AXIS[language], tickCount=4)),
        color=alt.Color("kind:N", scale=colours, legend=legend),
        tooltip=[alt.Tooltip("label:N", title=None), alt.Tooltip("kind:N", title=None), alt.Tooltip("sales_text:N", title=texts("chart.observed"))],
    )
    # A closed day has mostly sold nothing: its bar alone would not be seen.
    closed = base.transform_filter(alt.FieldEqualPredicate(field="kind", equal=texts("day_kind.closed"))).mark_point(
        shape="square", filled=True, size=36, opacity=1, yOffset=-4
    )
    return finished([base.mark_bar(cornerRadiusEnd=1), closed], 200)


def _names(column: str, order: str | None = None, wide: int = 0) -> alt.Y:
    """Names in the order of the rows; where layers draw different rows, ``order`` says it. Longer ones than ``wide`` characters stand in several lines."""
    lines = f"slice(split(replace(datum.label, regexp('(.{{1,{wide}}})(\\\\s|$)', 'g'), '$1\\n'), '\\n'), 0, -1)"
    return alt.Y(
        f"{column}:N",
        sort=alt.EncodingSortField(order, op="min") if order else None,
        axis=alt.Axis(title=None, labelLimit=190, ticks=False, domain=False, labelPadding=8, labelExpr=lines if wide else alt.Undefined),
    )
