"""On whom it fell: regions, markets, sizes, merchants, and on how few."""

import polars as pl

from dashboard import charts
from dashboard.formatting import count, percent
from dashboard.remarks import all_channels, hardest_sentence, joined
from dashboard.report.document import Cell, Section
from dashboard.report.gathering import SIZES, Report
from dashboard.report.pictures import picture
from dashboard.report.scope import whole_nation
from dashboard.report.wording import Wording, plain

PRINTED = 20
PARTS = [0.17, 0.16, 0.28, 0.15, 0.14, 0.1]


def places(report: Report, words: Wording) -> Section:
    """Losses by region, channel, market, size and merchant."""
    figures = report.figures
    blocks = whole_nation(report, words)
    if figures.loss is not None:
        if figures.launch is not None:
            blocks.append(words.paragraph("incidents.holds_as_before"))
        spread = figures.concentration
        if spread:
            largest = {"hit": count(spread.hit), "half": count(spread.half), "share": percent(spread.half / spread.hit), "largest": percent(spread.largest)}
            blocks.append(words.paragraph("report_places.concentration", **largest))
        if len(figures.regions) > 1:
            told = hardest_sentence(figures.regions["name"][0], figures.regions["lost"][0], words.texts)
            blocks.append(picture(charts.hardest_chart(figures.regions, words.texts), words("incidents.regions"), told))
        blocks += [
            words.table("loss_by_region", ["region", "lost", "interval", "expected", "observed", "lost_share"], _rows(report.regions, words), widths=PARTS),
            words.table(
                "loss_by_channel", ["channel", "lost", "interval", "expected", "observed", "lost_share"], _rows(_channels(report, words), words), widths=PARTS
            ),
            words.table(
                "loss_by_market",
                ["market", "region", "lost", "interval", "expected", "observed", "lost_share"],
                _rows(report.markets, words, "region"),
                printed=PRINTED,
                note=words("report_places.intervals_note"),
                widths=[0.15, 0.12, 0.145, 0.23, 0.145, 0.135, 0.075],
            ),
            words.table(
                "loss_by_size",
                ["size", "markets", "lost", "expected", "observed", "lost_share"],
                [_size(row, words) for row in report.sizes.iter_rows(named=True)],
                widths=[0.22, 0.12, 0.18, 0.18, 0.18, 0.12],
            ),
        ]
    merchants = [
        [
            plain(row["merchant_id"]),
            plain(row["market"]),
            plain(row["region"] or ""),
            words.money(row["failed_amount"]),
            words.number(row["failed"]),
            words.money(row["sales"]),
        ]
        for row in figures.merchants.iter_rows(named=True)
    ]
    columns = ["merchant", "market", "region", "failed_amount", "failed", "sales"]
    note = joined(words("report_places.merchants_note"), all_channels(figures.incident, words.texts))
    blocks.append(words.table("merchants", columns, merchants, printed=PRINTED, note=note, widths=[0.16, 0.24, 0.18, 0.16, 0.1, 0.16]))
    return Section(words("report_places.title"), blocks)


def _channels(report: Report, words: Wording) -> pl.DataFrame:
    return report.channels.with_columns(name=pl.Series([words.texts.named("channel", name) for name in report.channels["name"]], dtype=pl.String))


def _rows(frame: pl.DataFrame, words: Wording, place: str = "") -> list[list[Cell]]:
    return [
        [
            plain(row["name"]),
            *([plain(row[place] or "")] if place else []),
            words.money(row["lost"]),
            words.between(row["low"], row["high"]),
            words.money(row["expected"]),
            words.money(row["observed"]),
            words.share(row["share"]),
        ]
        for row in frame.iter_rows(named=True)
    ]


def _size(row: dict[str, float | None], words: Wording) -> list[Cell]:
    place = row["size"]
    if place is None:
        name = words("report_places.size_unknown")
    elif place == 0:
        name = words("report_places.size_under", high=count(SIZES[0]))
    elif place == len(SIZES):
        name = words("report_places.size_over", low=count(SIZES[-1]))
    else:
        name = words("report_places.size_between", low=count(SIZES[int(place) - 1]), high=count(SIZES[int(place)] - 1))
    return [plain(name), words.number(row["markets"]), *(words.money(row[amount]) for amount in ("lost", "expected", "observed")), words.share(row["share"])]
