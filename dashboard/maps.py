"""The map of markets: where it sells and where it fails. Markets draw the country by themselves; no tiles are fetched from anywhere."""

import json
from functools import lru_cache

import altair as alt
import polars as pl

from dashboard.charts import AMBER, BLUE, GREY, INK, RED, REMEMBERED, Drawing, finished, texted
from dashboard.formatting import count, percent, won
from dashboard.texts import Texts, texts_in

CLASSES = ("unknown", "low", "middle", "high")
"""Failure rate not shown, under 5 %, under 20 %, 20 % and more."""

_SHAPES = ("circle", "circle", "square", "triangle-up")


def map_of_markets(markets: pl.DataFrame, texts: Texts) -> Drawing:
    """``markets``: market, region, sales, attempts, failure_rate (null where few), latitude, longitude. Markets without a place are left out."""
    rate = pl.col("failure_rate")
    placed = markets.drop_nulls(["latitude", "longitude"]).sort(rate.fill_null(-1.0), maintain_order=True)
    wording = {name: texts(f"map.{name}") for name in CLASSES}
    kind = (
        pl.when(rate.is_null()).then(pl.lit(wording["unknown"])).when(rate < 0.05).then(pl.lit(wording["low"]))
        .when(rate < 0.2).then(pl.lit(wording["middle"])).otherwise(pl.lit(wording["high"]))
    )  # fmt: skip
    shown = placed.select(
        "latitude",
        "longitude",
        pl.col("sales").cast(pl.Float64),
        kind=kind,
        label=pl.format("{} ({})", "market", "region"),
        sales_text=texted(placed["sales"], won, texts.language),
        rate_text=texted(placed["failure_rate"], percent),
        attempts_text=texted(placed["attempts"], count),
    )
    return Drawing(json.loads(_map_spec(texts.language)), {"markets": shown, "regions": _labels(placed)})


def _labels(placed: pl.DataFrame) -> pl.DataFrame:
    """The regions' names at the middle of their markets, as many as do not lie on each other; regions with most markets first."""
    regions = placed.group_by("region").agg(pl.col("latitude").median(), pl.col("longitude").median(), pl.len()).sort("len", "region", descending=[True, False])
    kept: list[dict[str, object]] = []
    for row in regions.iter_rows(named=True):
        if all(abs(row["latitude"] - other["latitude"]) > 0.2 or abs(row["longitude"] - other["longitude"]) > 0.5 for other in kept):
            kept.append({"latitude": row["latitude"], "longitude": row["longitude"], "label": _SHORT.get(row["region"], row["region"][:2])})
    return pl.DataFrame(kept, schema={"latitude": pl.Float64, "longitude": pl.Float64, "label": pl.String})


@lru_cache(maxsize=REMEMBERED)
def _map_spec(language: str) -> str:
    texts = texts_in(language)
    names = [texts(f"map.{name}") for name in CLASSES]
    colours = alt.Scale(domain=names, range=[GREY, BLUE, AMBER, RED])
    shapes = alt.Scale(domain=names, range=list(_SHAPES))
    legend = alt.Legend(title=None, orient="top", columns=2, symbolOpacity=1)
    place = {"longitude": "longitude:Q", "latitude": "latitude:Q"}
    tips = [
        alt.Tooltip(f"{column}:N", title=title)
        for column, title in (
            ("label", None),
            ("sales_text", texts("table.sales_today_short")),
            ("rate_text", texts("table.failure_rate")),
            ("attempts_text", texts("table.attempts")),
        )
    ]
    layers = [
        alt.Chart(alt.NamedData("markets"))
        .mark_point(filled=True, opacity=0.6)
        .encode(
            **place,
            size=alt.Size("sales:Q", scale=alt.Scale(type="sqrt", range=[10, 420]), legend=None),
            color=alt.Color("kind:N", scale=colours, legend=legend),
            shape=alt.Shape("kind:N", scale=shapes, legend=legend),
            tooltip=tips,
        ),
        alt.Chart(alt.NamedData("regions"))
        .mark_text(color="white", stroke="white", strokeWidth=4, fontSize=12, fontWeight="bold")
        .encode(**place, text="label:N"),
        alt.Chart(alt.NamedData("regions")).mark_text(color=INK, fontSize=12, fontWeight="bold").encode(**place, text="label:N"),
    ]
    return finished([layer.project(type="mercator") for layer in layers], 420)


_SHORT = {
    "충청북도": "충북",
    "충청남도": "충남",
    "전라북도": "전북",
    "전라남도": "전남",
    "경상북도": "경북",
    "경상남도": "경남",
}
