"""Commands about what is ahead: forecast, capacity, compare. Thin shells, as in ``streams.cli``."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.markup import escape

from streams.beside import CalendarOption, CyclesOption, PromotionsOption, refuse_without_sales
from streams.output import FileFormatOption, Format, OutOption, form_of, show
from streams.settings import Settings

app = typer.Typer()
console = Console(stderr=True)

DaysOption = Annotated[int, typer.Option(min=1, max=370, help="Days ahead.")]


class By(StrEnum):
    """Parts of the nation."""

    nation = "nation"
    region = "region"
    market = "market"


class What(StrEnum):
    """What is forecast."""

    sales = "sales"
    attempts = "attempts"
    peaks = "peaks"


class Step(StrEnum):
    """Steps of a forecast."""

    hour = "hour"
    day = "day"


@app.command()
def forecast(
    days: DaysOption = 60,
    by: Annotated[By, typer.Option(help="Whole or by parts.")] = By.nation,
    what: Annotated[What, typer.Option(help="Sales in KRW, attempts to pay, or attempts in the busiest minute of each day.")] = What.sales,
    step: Annotated[Step, typer.Option(help="Quantiles of an hour or of a day each; they do not add up.")] = Step.day,
    sales: Annotated[
        Path | None, typer.Option(help="Your own sales (CSV or Parquet: at, sales, optionally region, market_id) instead of the warehouse.")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="With --sales: the first day forecast; by default the one after the last row, or that row's own where it breaks off."),
    ] = None,
    calendar: CalendarOption = None,
    cycles: CyclesOption = None,
    promotions: PromotionsOption = None,
    feasts: Annotated[Path | None, typer.Option(help="With --sales: what Seollal and Chuseok do: days_from, factor, low, high.")] = None,
    form: FileFormatOption = None,
    out: OutOption = None,
) -> None:
    """Forecast demand with quantiles of 50, 80, 95 and 99 %. Example: onnuri forecast --days 30 --what peaks"""
    from streams.forecasting import forecast_from_file, forecast_from_warehouse  # noqa: PLC0415

    chosen = form_of(form, out)
    beside = {"calendar": calendar, "cycles": cycles, "promotions": promotions, "feasts": feasts}
    if sales is None:
        refuse_without_sales({"--as-of": as_of and as_of.date(), **{f"--{name}": file for name, file in beside.items()}})
    elif cycles is not None and by is not By.market:
        raise typer.BadParameter(f"--cycles {cycles} tell of single markets, got --by {by}. Say --by market, or leave --cycles out.")
    elif what is not What.sales:
        raise typer.BadParameter(f"--what {what} is of the warehouse, got --sales {sales}, a file of sales alone. Leave one of the two out.")
    frame, warnings = (
        forecast_from_file(sales, days, by, step, as_of=as_of, beside=beside)
        if sales is not None
        else forecast_from_warehouse(Settings.read().published_folder, days, by, what, step)
    )
    show(frame, chosen, out)
    _say(warnings)


@app.command()
def capacity(
    service: Annotated[str, typer.Option(help="Service whose minutes are looked at: payment, login, registration, …")] = "payment",
    load_test: Annotated[
        Path | None, typer.Option(help="A load test (CSV or Parquet): concurrency, throughput a minute; or offered a minute, failed_share.")
    ] = None,
    days: DaysOption = 60,
    form: FileFormatOption = None,
    out: OutOption = None,
) -> None:
    """Show proven capacity and the headroom of each holiday ahead. Example: onnuri capacity --load-test steps.csv"""
    from streams.forecasting import capacity_from_warehouse  # noqa: PLC0415

    chosen = form_of(form, out)
    found, room, warnings = capacity_from_warehouse(Settings.read().published_folder, service, load_test, days)
    if chosen is Format.table:
        show(found, chosen)
    show(room if chosen is Format.table else room.with_columns(service=pl.lit(service), method=pl.lit(found["method"].item())), chosen, out)
    _say(warnings)


@app.command()
def compare(
    first: Annotated[str, typer.Option(help='An operator (one who came back: "A (2025-01-18)"), or a span: 2025-01-01/2025-02-01, in Korean time.')],
    second: Annotated[str, typer.Option(help="Another one, that does not overlap.")],
    gate: Annotated[
        Path | None, typer.Option(help="A launch's criteria (TOML): launch, soak_days, soak_from, load_test_a_minute, rollback_tried, schedule_kept.")
    ] = None,
    losses: Annotated[bool, typer.Option(help="Estimate what incidents and switch-offs cost: a second or two each.")] = True,
    form: FileFormatOption = None,
    out: OutOption = None,
) -> None:
    """Compare two operators or spans, like for like. Example: onnuri compare --first 2025-01-01/2025-02-01 --second 2025-03-01/2025-04-01"""
    from streams.forecasting import compare_in_warehouse, for_people  # noqa: PLC0415

    chosen = form_of(form, out)
    table, criteria, warnings = compare_in_warehouse(Settings.read().published_folder, first, second, gate, losses=losses)
    show(for_people(table) if chosen is Format.table else table, chosen, out)
    if criteria is not None:
        show(criteria, chosen, out.with_stem(out.stem + "-gate") if out else None)
    _say(warnings)


def _say(warnings: list[str]) -> None:
    for text in warnings:
        console.print(f"[yellow]![/] {escape(text)}", highlight=False, soft_wrap=True)
