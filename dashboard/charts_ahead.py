"""The chart of demand ahead, day by day: a middle line and a band up to what comes once in twenty, against the proven capacity where it is in the same unit."""

import json
from functools import lru_cache

import altair as alt
import polars as pl

from dashboard.charts import BLUE, INK, RED, REMEMBERED, WON_AXIS, Drawing, clocked, finished, texted
from dashboard.formatting import count, day_name, won
from dashboard.texts import Texts, texts_in


def ahead_chart(days: pl.DataFrame, what: str, capacity: float | None, texts: Texts) -> Drawing:
    """``what`` is sales or peaks; ``days`` as in ``AheadFigures``."""
    prefix = "" if what == "sales" else "peak_"
    quantiles = {name: pl.col(f"{prefix}{name}").cast(pl.Float64) for name in ("q50", "q95", "q99")}
    shown = days.select("at", "date", "name", **quantiles)
    worded = {f"{name}_text": _worded(shown[name], what, texts) for name in quantiles}
    holiday = pl.Series([texts.named("holiday", name) for name in shown["name"]], dtype=pl.String)
    drawn = shown.with_columns(day=texted(shown["date"], day_name, texts.language), holiday=holiday, **worded).drop("date")
    data = {"days": clocked(drawn), "marks": clocked(drawn.filter(pl.col("name") != ""))}
    line = capacity if what == "peaks" else None
    data["limit"] = pl.DataFrame({"limit": [line] if line else []}, schema={"limit": pl.Float64})
    return Drawing(json.loads(_spec(what, texts.language)), data)


@lru_cache(maxsize=REMEMBERED)
def _spec(what: str, language: str) -> str:
    texts = texts_in(language)
    names = [texts("ahead.chart_middle"), texts("ahead.chart_band"), texts("ahead.chart_rare"), texts("ahead.chart_capacity")]
    used = names if what == "peaks" else names[:3]
    kind = alt.Scale(domain=used, range=[BLUE, "#a9c4f5", INK, RED][: len(used)])
    legend = alt.Legend(title=None, orient="top", symbolType="square", symbolSize=110, symbolOpacity=1, columns=2)
    x = alt.X(
        "clock:T",
        axis=alt.Axis(title=None, format="%m/%d", grid=False, labelOverlap="greedy", labelSeparation=8, tickCount=8),
        scale=alt.Scale(type="utc", nice=False),
    )
    axis = alt.Axis(title=None, labelExpr=WON_AXIS[language], tickCount=5) if what == "sales" else alt.Axis(title=None, format=",d", tickCount=5)
    y = alt.Y("q50:Q", axis=axis, scale=alt.Scale(zero=True))

    def layer(name: str) -> alt.Chart:
        quoted = name.replace("'", "\\'")
        return alt.Chart(alt.NamedData("days")).transform_calculate(series=f"'{quoted}'").encode(x=x, color=alt.Color("series:N", scale=kind, legend=legend))

    limit = alt.Chart(alt.NamedData("limit")).transform_calculate(series="'" + names[3].replace("'", "\\'") + "'")
    tips = [
        alt.Tooltip(f"{column}:N", title=texts(key))
        for column, key in (
            ("day", "ahead.day"),
            ("holiday", "ahead.holiday"),
            ("q50_text", "ahead.chart_middle"),
            ("q95_text", "ahead.chart_band"),
            ("q99_text", "ahead.chart_rare"),
        )
    ]
    layers = [
        layer(names[1]).mark_area(opacity=0.6).encode(y=y, y2="q95:Q"),
        layer(names[2]).mark_line(strokeDash=[2, 3], strokeWidth=1.3).encode(y="q99:Q"),
        layer(names[0]).mark_line(strokeWidth=2.2).encode(y=y),
        *([limit.mark_rule(strokeWidth=2).encode(y="limit:Q", color=alt.Color("series:N", scale=kind, legend=legend))] if what == "peaks" else []),
        alt.Chart(alt.NamedData("marks"))
        .mark_point(shape="triangle-down", filled=True, size=55, color=RED, opacity=1, yOffset=-8)
        .encode(x=x, y="q95:Q", tooltip=tips),
        alt.Chart(alt.NamedData("days")).mark_rule(strokeWidth=9, opacity=0).encode(x=x, y="q95:Q", tooltip=tips),
    ]
    return finished(layers, 300)


def _worded(values: pl.Series, what: str, texts: Texts) -> pl.Series:
    if what == "sales":
        return texted(values, won, texts.language)
    return pl.Series([count(None if value is None else round(value)) for value in values], dtype=pl.String)
