"""Charts, as Vega-Lite specifications with named data.

The names and not the data are part of a specification, so a page that refreshes replaces the data inside the chart that is there;
and each is made once, because Altair takes longer to make one than everything else on a page that refreshes.
Times are drawn as Seoul's clock whatever the reader's time zone: the columns ``clock`` are milliseconds of Seoul's local time.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache, partial
from typing import Any

import altair as alt
import polars as pl

from dashboard.formatting import SEOUL, clock, count, moment, percent, won
from dashboard.texts import Texts, texts_in

BLUE, RED, AMBER, GREY, INK = "#256ef4", "#de3412", "#9e6a00", "#8a949e", "#464c53"
REMEMBERED = 32
"""Specifications of each kind that are kept: they differ by span and language."""

_AXIS_TEXT = "#58616a"
_FONT = "'Pretendard GOV', Pretendard, 'Apple SD Gothic Neo', 'Malgun Gothic', NanumGothic, 'Noto Sans KR', sans-serif"
WON_AXIS = {
    "ko": "abs(datum.value) >= 1e8 ? format(datum.value / 1e8, ',.2~f') + '억' : abs(datum.value) >= 1e4 ? format(datum.value / 1e4, ',.1~f') + '만' : format(datum.value, ',')",
    "en": "abs(datum.value) >= 1e6 ? format(datum.value / 1e6, ',.2~f') + 'M' : abs(datum.value) >= 1e3 ? format(datum.value / 1e3, ',.1~f') + 'K' : format(datum.value, ',')",
}


@dataclass(frozen=True)
class Drawing:
    """A specification and the frames that its names stand for."""

    spec: Mapping[str, Any]
    data: Mapping[str, pl.DataFrame]

    @cached_property
    def with_data(self) -> dict[str, Any]:
        """One specification with its data, as Arrow tables: made once, however many viewers there are."""
        return {**self.spec, "datasets": {name: frame.to_arrow() for name, frame in self.data.items()}}


def sales_chart(steps: pl.DataFrame, band: pl.DataFrame, spans: pl.DataFrame, start: datetime, end: datetime, texts: Texts, *, loss: bool = False) -> Drawing:
    """Sales by step against the expected band, incidents as shaded spans; with ``loss``, the gap inside the window is filled."""
    drawn = steps.select("at", "sales").join(band.select("at", "expected"), on="at", how="left", maintain_order="left")
    data = {
        "sales": _readable(drawn, texts, money=("sales", "expected")),
        "band": clocked(band.select("at", "expected", "low", "high").drop_nulls()),
        "spans": _shaded(spans, start, end, texts),
    }
    if loss:
        data["gap"] = clocked(steps.filter("inside").select("at", "sales", "expected").drop_nulls())
    return Drawing(json.loads(_sales_spec(start, end, texts.language, loss=loss)), data)


@lru_cache(maxsize=REMEMBERED)
def _sales_spec(start: datetime, end: datetime, language: str, *, loss: bool) -> str:
    texts = texts_in(language)
    names = [texts("chart.observed"), texts("chart.expected"), texts("chart.band")] + ([texts("chart.loss")] if loss else [])
    colours = [BLUE, INK, "#b1b8be", "#f4a18e"][: len(names)]
    kind = alt.Scale(domain=names, range=colours)
    legend = alt.Legend(title=None, orient="top", symbolType="square", symbolSize=110, symbolOpacity=1, columns=2)
    x = _time_axis(start, end)
    money = alt.Axis(title=None, labelExpr=WON_AXIS[texts.language], tickCount=5)

    def layer(data: str, name: str) -> alt.Chart:
        quoted = name.replace("'", "\\'")
        return alt.Chart(alt.NamedData(data)).transform_calculate(series=f"'{quoted}'").encode(x=x, color=alt.Color("series:N", scale=kind, legend=legend))

    layers = [
        _spans(),
        layer("band", names[2]).mark_area(opacity=0.35).encode(y=alt.Y("low:Q", axis=money), y2="high:Q"),
        *([layer("gap", names[3]).mark_area(opacity=0.55).encode(y="sales:Q", y2="expected:Q")] if loss else []),
        layer("band", names[1]).mark_line(strokeDash=[5, 4], strokeWidth=1.6).encode(y=alt.Y("expected:Q", axis=money)),
        layer("sales", names[0]).mark_line(strokeWidth=2.2).encode(y=alt.Y("sales:Q", axis=money)),
        _hover("sales", "sales", x, [("time", "chart.time"), ("sales_text", "chart.observed"), ("expected_text", "chart.expected")], texts),
    ]
    return finished(layers, 300)


def rates_chart(steps: pl.DataFrame, spans: pl.DataFrame, start: datetime, end: datetime, texts: Texts) -> Drawing:
    """Technical failures and business declines as shares of attempts, by step."""
    names = [texts("chart.failure_rate"), texts("chart.decline_rate")]
    long = pl.concat(
        [
            steps.select("at", pl.lit(name).alias("kind"), pl.col(column).alias("rate"))
            for name, column in zip(names, ("failure_rate", "decline_rate"), strict=True)
        ]
    )
    hover = steps.select(
        "at",
        "failure_rate",
        time=texted(steps["at"], moment, texts.language),
        failure_text=texted(steps["failure_rate"], percent),
        decline_text=texted(steps["decline_rate"], percent),
    )
    data = {"rates": clocked(long), "hover": clocked(hover), "spans": _shaded(spans, start, end, texts)}
    return Drawing(json.loads(_rates_spec(start, end, texts.language)), data)


@lru_cache(maxsize=REMEMBERED)
def _rates_spec(start: datetime, end: datetime, language: str) -> str:
    texts = texts_in(language)
    names = [texts("chart.failure_rate"), texts("chart.decline_rate")]
    kind = alt.Scale(domain=names, range=[RED, AMBER])
    dashes = alt.Scale(domain=names, range=[[1, 0], [4, 3]])
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=3, symbolSize=300, columns=1)
    x = _time_axis(start, end)
    # as many digits as the marks need: of rates below 3 % two would read the same
    y = alt.Y("rate:Q", axis=alt.Axis(title=None, format="~%", tickCount=5), scale=alt.Scale(domainMin=0))
    lines = (
        alt.Chart(alt.NamedData("rates"))
        .mark_line(strokeWidth=2)
        .encode(x=x, y=y, color=alt.Color("kind:N", scale=kind, legend=legend), strokeDash=alt.StrokeDash("kind:N", scale=dashes, legend=legend))
    )
    layers = [_spans(), lines, _hover("hover", "failure_rate", x, [("time", "chart.time"), ("failure_text", names[0]), ("decline_text", names[1])], texts)]
    return finished(layers, 220)


def queue_chart(queue: pl.DataFrame, spans: pl.DataFrame, start: datetime, end: datetime, texts: Texts) -> Drawing:
    """Buyers in the waiting queue by minute."""
    counted = {f"{name}_text": texted(queue[name], count) for name in ("queue_length", "abandoned")}
    shown = queue.select("at", "queue_length", time=texted(queue["at"], moment, texts.language), **counted)
    data = {"queue": clocked(shown), "spans": _shaded(spans, start, end, texts)}
    return Drawing(json.loads(_queue_spec(start, end, texts.language)), data)


@lru_cache(maxsize=REMEMBERED)
def _queue_spec(start: datetime, end: datetime, language: str) -> str:
    texts = texts_in(language)
    x = _time_axis(start, end)
    y = alt.Y("queue_length:Q", axis=alt.Axis(title=None, format=",d", tickCount=5))
    layers = [
        _spans(),
        alt.Chart(alt.NamedData("queue")).mark_area(color=BLUE, opacity=0.18, line={"color": BLUE, "strokeWidth": 1.8}).encode(x=x, y=y),
        _hover("queue", "queue_length", x, [("time", "chart.time"), ("queue_length_text", "chart.queue"), ("abandoned_text", "chart.abandoned")], texts),
    ]
    return finished(layers, 220)


def cumulative_chart(steps: pl.DataFrame, start: datetime, end: datetime, texts: Texts) -> Drawing:
    """The loss as it added up from the onset on."""
    inside = steps.filter("inside").select("at", "cumulative").drop_nulls()
    return Drawing(json.loads(_cumulative_spec(start, end, texts.language)), {"losses": _readable(inside, texts, money=("cumulative",))})


@lru_cache(maxsize=REMEMBERED)
def _cumulative_spec(start: datetime, end: datetime, language: str) -> str:
    texts = texts_in(language)
    x = _time_axis(start, end)
    y = alt.Y("cumulative:Q", axis=alt.Axis(title=None, labelExpr=WON_AXIS[texts.language], tickCount=5))
    layers = [
        alt.Chart(alt.NamedData("losses")).mark_area(color=RED, opacity=0.15, line={"color": RED, "strokeWidth": 2}).encode(x=x, y=y),
        _hover("losses", "cumulative", x, [("time", "chart.time"), ("cumulative_text", "chart.cumulative")], texts),
    ]
    return finished(layers, 220)


def hardest_chart(frame: pl.DataFrame, texts: Texts) -> Drawing:
    """Lost sales by name, hardest hit first, each bar with its amount."""
    shown = frame.select(
        "name",
        pl.col("lost").cast(pl.Float64),
        lost_text=texted(frame["lost"], won, texts.language),
        share_text=texted(frame["share"], percent),
    )
    return Drawing(json.loads(_hardest_spec(texts.language)), {"hardest": shown})


@lru_cache(maxsize=REMEMBERED)
def _hardest_spec(language: str) -> str:
    texts = texts_in(language)
    y = alt.Y("name:N", sort=None, axis=alt.Axis(title=None, labelLimit=170, ticks=False, domain=False, labelPadding=8))
    # The longest bar leaves room for its amount.
    x = alt.X("lost:Q", axis=None, scale=alt.Scale(range=[0, alt.ExprRef("max(width - 100, 40)")], nice=False))
    base = alt.Chart(alt.NamedData("hardest")).encode(y=y, x=x)
    tips = [
        alt.Tooltip(f"{column}:N", title=texts(key))
        for column, key in (("name", "table.name"), ("lost_text", "table.lost"), ("share_text", "table.lost_share"))
    ]
    layers = [
        base.mark_bar(color=RED, opacity=0.75, height={"band": 0.62}, cornerRadiusEnd=2).encode(tooltip=tips),
        base.mark_text(align="left", dx=6, color=INK, fontSize=12).encode(text="lost_text:N"),
    ]
    return finished(layers, {"step": 28})


def _time_axis(start: datetime, end: datetime) -> alt.X:
    axis = alt.Axis(title=None, format="%m/%d %H:%M" if _dated(start, end) else "%H:%M", grid=False, labelOverlap="greedy", labelSeparation=8, tickCount=8)
    return alt.X("clock:T", axis=axis, scale=alt.Scale(type="utc", domain=[_clock_face(start), _clock_face(end)], nice=False))


def _dated(start: datetime, end: datetime) -> bool:
    """Whether a time of day comes twice."""
    return end - start > timedelta(days=1)


def _spans() -> alt.Chart:
    position = {"x": alt.X("clock:T", scale=alt.Scale(type="utc")), "x2": "until:T"}
    bands: alt.Chart = (
        alt.Chart(alt.NamedData("spans"))
        .mark_rect(color=RED, opacity=0.07, stroke=RED, strokeDash=[2, 3], strokeOpacity=0.6, strokeWidth=1)
        .encode(**position, tooltip=[alt.Tooltip("label:N", title=None)])
    )
    return bands


def _hover(data: str, height: str, x: alt.X, shown: list[tuple[str, str]], texts: Texts) -> alt.Chart:
    """Invisible marks that carry the tooltip: easy to hit with a finger."""
    tips = [alt.Tooltip(f"{column}:N", title=texts(key) if "." in key else key) for column, key in shown]
    marks: alt.Chart = alt.Chart(alt.NamedData(data)).mark_rule(strokeWidth=9, opacity=0).encode(x=x, y=alt.Y(f"{height}:Q"), tooltip=tips)
    return marks


def finished(layers: list[alt.Chart], height: int | dict[str, int]) -> str:
    """The specification as JSON: whoever reads it has one of its own."""
    axis = {"labelFont": _FONT, "labelColor": _AXIS_TEXT, "labelFontSize": 12, "gridColor": "#eceef0", "domainColor": "#b1b8be", "tickColor": "#b1b8be"}
    chart = (
        alt.layer(*layers)
        .properties(width="container", height=height)
        .configure(font=_FONT, background="transparent")
        .configure_axis(**axis)
        .configure_legend(labelFont=_FONT, labelFontSize=12.5, labelColor=INK, padding=0, offset=8)
        .configure_view(stroke=None)
    )
    # A test checks them against Vega-Lite's schema, which takes half of the time.
    return json.dumps(chart.to_dict(validate=False))


def _shaded(spans: pl.DataFrame, start: datetime, end: datetime, texts: Texts) -> pl.DataFrame:
    told = partial(moment, language=texts.language) if _dated(start, end) else clock
    rows = [
        {
            "at": max(row["onset_at"], start),
            "until": _clock_number(min(row["until"], end)),
            "label": f"{texts('incident.word')} {told(row['onset_at'])} – {told(row['ended_at']) if row['ended_at'] else texts('incident.open')}",
        }
        for row in spans.iter_rows(named=True)
    ]
    return clocked(pl.DataFrame(rows, schema={"at": pl.Datetime("us", "Asia/Seoul"), "until": pl.Float64, "label": pl.String}))


def _readable(frame: pl.DataFrame, texts: Texts, *, money: tuple[str, ...]) -> pl.DataFrame:
    worded = {f"{name}_text": texted(frame[name], won, texts.language) for name in money}
    return clocked(frame.with_columns(time=texted(frame["at"], moment, texts.language), **worded))


def texted(values: pl.Series, write: Callable[..., str], *language: str) -> pl.Series:
    """Values as ``write`` words them.

    Not by an expression: Polars' threads would wait for the interpreter's lock, which another viewer's thread may hold while it waits for them.
    """
    return pl.Series([write(value, *language) for value in values], dtype=pl.String)


def clocked(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with ``at`` as ``clock``, and whole numbers as Vega takes them."""
    clock_column = pl.col("at").dt.convert_time_zone("Asia/Seoul").dt.replace_time_zone(None).dt.epoch("ms").cast(pl.Float64)
    numbers = pl.col(pl.Int64, pl.Int32, pl.UInt32, pl.Decimal).cast(pl.Float64)
    return frame.with_columns(clock=clock_column).drop("at").with_columns(numbers)


def _clock_face(time: datetime) -> alt.DateTime:
    local = time.astimezone(SEOUL)
    return alt.DateTime(year=local.year, month=local.month, date=local.day, hours=local.hour, minutes=local.minute, utc=True)


def _clock_number(time: datetime) -> float:
    local = time.astimezone(SEOUL).replace(tzinfo=None)
    return (local - datetime(1970, 1, 1)) / timedelta(milliseconds=1)  # noqa: DTZ001 - a clock face, not a moment
