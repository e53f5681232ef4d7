"""The ``onnuri`` command. Each command is a thin shell: it reads settings, calls, and prints."""

import json
import os
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import duckdb
import polars as pl
import typer
from kafka.errors import KafkaError
from rich.console import Console
from rich.markup import escape

from streams.beside import CalendarOption, CyclesOption, ExclusionsOption, PromotionsOption, refuse_without_sales
from streams.cli_ahead import app as ahead_app
from streams.markets import MarketListError, read_markets, unmatched
from streams.output import FileFormatOption, Format, FormatOption, OutOption, OutputError, form_of, show
from streams.ports import BrokerAwayError
from streams.settings import SettingError, Settings
from warehouse.access import AccessError, BrokerRefusedError
from warehouse.analysis import AnalysisError
from warehouse.analysis.times import in_seoul
from warehouse.backup import BackupError
from warehouse.backup import restore as restore_warehouse
from warehouse.commands import KINDS, PayloadError
from warehouse.connection import WarehouseBusyError, WarehouseDamagedError, WarehouseOutdatedError, shut
from warehouse.lake import LakeExtensionError
from warehouse.questions import QuestionError, answered
from warehouse.reading import LAKE_TABLES, ManifestError, NothingPublishedError, NotKnownError, Snapshot, open_snapshot

app = typer.Typer(
    name="onnuri", no_args_is_help=True, pretty_exceptions_enable=False, help="디지털 온누리상품권 거래 분석 · Digital Onnuri voucher transaction analytics."
)
markets_app = typer.Typer(no_args_is_help=True, help="The list of markets.")
app.add_typer(markets_app, name="markets")
app.add_typer(ahead_app)
console = Console(stderr=True)


class Language(StrEnum):
    """Languages of the report."""

    ko = "ko"
    en = "en"


class Stage(StrEnum):
    """Stages of a report: a draft, and the editions that are issued."""

    draft = "draft"
    first = "first"
    interim = "interim"
    final = "final"


SQL_ROWS, SQL_SECONDS = 10_000_000, 3_600.0
"""What an answer may have and take: far from what anybody waits for or opens."""

EXPECTED_ERRORS = (
    SettingError,
    AccessError,
    BrokerAwayError,
    BrokerRefusedError,
    NothingPublishedError,
    ManifestError,
    WarehouseBusyError,
    WarehouseDamagedError,
    WarehouseOutdatedError,
    LakeExtensionError,
    BackupError,
    MarketListError,
    OutputError,
    PayloadError,
    AnalysisError,
    QuestionError,
    KafkaError,
    NotKnownError,
    OSError,
    duckdb.Error,
)
"""Errors that say in words what was expected, what came and what to do; everything else is a bug and shows where."""


def main() -> NoReturn:
    """Entry point: errors of use end in one message and exit code 1."""
    from streams.broker import BrokerError  # noqa: PLC0415  # the simulator and Java are only for some commands
    from streams.demo import DemoError  # noqa: PLC0415
    from streams.reporting import ReportError  # noqa: PLC0415
    from streams.simulator.scenario import ScenarioError  # noqa: PLC0415
    from streams.simulator.sending import SendError  # noqa: PLC0415

    try:
        app()
    except (*EXPECTED_ERRORS, BrokerError, DemoError, ReportError, ScenarioError, SendError) as error:
        console.print(f"[bold red]onnuri:[/] {escape(shut(error) if isinstance(error, OSError) else str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
    raise SystemExit(0)


@app.command()
def demo(
    headless: Annotated[bool, typer.Option(help="Play to the end at full speed, check the totals, print a JSON summary.")] = False,
    scenario: Annotated[str, typer.Option(help="Scenario to play, by name or file.")] = "launch-day",
    seed: Annotated[int | None, typer.Option(help="Another seed, another country.")] = None,
    scale: Annotated[float | None, typer.Option(help="Demand as a multiple of the real one.")] = None,
    speed: Annotated[float, typer.Option(help="How many times faster than the clock the incident is played.")] = 60,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data; made anew at every start.")] = Path("data/demo"),
    dirty: Annotated[float, typer.Option(min=0, max=1, help="Share of duplicates, unreadable, foreign, late and disordered records.")] = 0.0,
) -> None:
    """Start everything and watch the launch day of 2025-03-01. Example: onnuri demo --headless"""
    from streams.demo import play_demo  # noqa: PLC0415  # the simulator and Java are only for this

    raise SystemExit(play_demo(folder, scenario, headless=headless, seed=seed, scale=scale, speed=speed, dirty=dirty))


@app.command()
def broker(
    folder: Annotated[Path, typer.Option(help="Its data; kept from start to start.")] = Path("data/kafka"),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 9092,
) -> None:
    """Run an Apache Kafka of one node, for trying out. Example: onnuri broker --port 9092"""
    from streams.broker import EmbeddedBroker  # noqa: PLC0415
    from streams.topics import ensure_topics  # noqa: PLC0415

    with EmbeddedBroker(folder, port) as running:
        ensure_topics(Settings.read(kafka=running.bootstrap))
        typer.echo(running.bootstrap)
        console.print("Kafka is ready. Ctrl-C stops it.")
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            console.print("Stopping.")


@app.command()
def worker() -> None:
    """Read the topics into the warehouse and publish. Example: ONNURI_KAFKA=127.0.0.1:9092 onnuri worker"""
    from streams.standby import run_worker  # noqa: PLC0415  # Faust takes a second to import

    raise SystemExit(run_worker(_with_kafka()))


@app.command()
def simulate(
    scenario: Annotated[str, typer.Argument(help="Name of a scenario, or a TOML file of your own.")] = "launch-day",
    seed: Annotated[int | None, typer.Option()] = None,
    scale: Annotated[float | None, typer.Option()] = None,
    speed: Annotated[float | None, typer.Option(help="Times faster than the clock; without it as fast as it goes.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Write the ground truth as Parquet into this folder.")] = None,
    dirty: Annotated[float, typer.Option(min=0, max=1, help="Share of duplicates, unreadable, foreign, late and disordered records.")] = 0.0,
    markets: Annotated[Path | None, typer.Option(help="A market list (CSV) to take as the country.")] = None,
) -> None:
    """Send a simulated country to Kafka; its worker needs ONNURI_CLOCK=replay. Example: onnuri simulate launch-day --truth data/truth"""
    from streams.simulating import simulate_to_kafka  # noqa: PLC0415

    sent = simulate_to_kafka(_admitted(), scenario, seed=seed, scale=scale, speed=speed, truth=truth, dirty=dirty, markets=markets)
    typer.echo(json.dumps(sent, ensure_ascii=False, indent=1, default=str))


@app.command()
def dashboard() -> None:
    """Open the pages on what is published. Example: onnuri dashboard"""
    settings = Settings.read()
    console.print(f"http://{settings.dashboard_host}:{settings.dashboard_port}")
    # It becomes the process that serves, so that a signal to this one ends that one.
    os.execv(sys.executable, [sys.executable, "-m", "dashboard", "--host", settings.dashboard_host, "--port", str(settings.dashboard_port)])  # noqa: S606 - no shell; the arguments are our own


@app.command()
def sql(text: str, form: FileFormatOption = None, out: OutOption = None) -> None:
    """Ask the published tables; their times are UTC, without a zone. Example: onnuri sql "SELECT sum(approved_amount) FROM market_minute" --format csv"""
    chosen = form_of(form, out)
    answer = answered(Settings.read().published_folder, text, rows=SQL_ROWS, seconds=SQL_SECONDS, memory="2GB")
    show(answer.frame, chosen, out)
    if answer.cut:
        console.print(f"These are the first {SQL_ROWS:,} rows. For a whole table: onnuri export.", highlight=False, soft_wrap=True)


@app.command()
def export(table: str, out: Annotated[Path, typer.Option("--out", help="File; its ending says the format: .csv, .json, .parquet, .xlsx.")]) -> None:
    """Write one published table into a file; its times are UTC, without a zone. Example: onnuri export market_minute --out minutes.csv"""
    form = form_of(None, out, optional=False)
    if table not in LAKE_TABLES:
        raise typer.BadParameter(f"There is no published table {table!r}. There are: {', '.join(sorted(LAKE_TABLES))}")
    with _snapshot() as snapshot:
        show(snapshot.sql(f'SELECT * FROM "{table}"'), form, out)  # noqa: S608  # one of those names


@app.command()
def report(
    incident: Annotated[str, typer.Argument(help="Id of an incident, from: onnuri incidents.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the PDF, HTML and XLSX.")],
    lang: Annotated[Language | None, typer.Option(help="Language; by default ONNURI_LANGUAGE.")] = None,
    stage: Annotated[Stage, typer.Option(help="Stage of this edition.")] = Stage.draft,
    author: Annotated[
        Path | None, typer.Option(help="Folder of causes.toml, measures.csv, moments.csv, compensation.toml; by default ONNURI_REPORT_FILES.")
    ] = None,
    issue: Annotated[str | None, typer.Option(help="Issue this edition under this name: it goes into the revision log.")] = None,
    note: Annotated[str, typer.Option(help="A note for the revision log.")] = "",
    snapshot: Annotated[int | None, typer.Option(help="Make it from this snapshot of a lake, as a report names it; by default from the newest.")] = None,
) -> None:
    """Write the loss report on an incident, by its id from: onnuri incidents. Example: onnuri report INCIDENT --out reports --lang ko"""
    from streams.reporting import write_report  # noqa: PLC0415

    settings = Settings.read() if issue is None else _admitted()
    if issue is not None and stage is Stage.draft:
        raise typer.BadParameter("A draft is not issued: name the stage with --stage first, interim or final.")
    files = write_report(settings, incident, out, language=lang or settings.language, stage=stage, author=author, note=note, issued_by=issue, snapshot=snapshot)
    for file in files:
        typer.echo(file)
    if issue is not None:
        console.print("Issued. It appears in the revision log when the worker has applied it.")


@app.command()
def incidents(form: FileFormatOption = None, out: OutOption = None) -> None:
    """List the incidents found and declared, in Korean time. Example: onnuri incidents --format json"""
    chosen = form_of(form, out)
    with _snapshot() as snapshot:
        show(in_seoul(snapshot.query("incidents_newest_first")), chosen, out)


@app.command()
def unknown(form: FileFormatOption = None, out: OutOption = None) -> None:
    """List the markets, channels, services and codes that nobody has told of, and the issuers, in Korean time. Example: onnuri unknown --format csv"""
    chosen = form_of(form, out)
    with _snapshot() as snapshot:
        show(in_seoul(snapshot.query("unknown_names")), chosen, out)


@app.command()
def estimate(  # noqa: PLR0913, PLR0917 - options of a command, each by its name
    incident: Annotated[str | None, typer.Argument(help="Id of an incident, from: onnuri incidents.")] = None,
    sales: Annotated[Path | None, typer.Option(help="Your own sales (CSV or Parquet: at, market_id, sales) instead of the warehouse.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Start of the window, ISO 8601; without an offset it is Korean time.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="End of the window.")] = None,
    level: Annotated[
        float,
        typer.Option(
            help="Coverage that the interval claims; what comes of a survey's own range, or of what is assumed of what nobody recorded, stays as wide."
        ),
    ] = 0.9,
    factors: Annotated[tuple[float, float], typer.Option(help="Least and greatest demand of a launch, in ordinary days.")] = (0.5, 4.0),
    complete_until: Annotated[
        str | None, typer.Option(help="With --sales: until when the file is complete, where it ends before: silence is no sales then.")
    ] = None,
    market: Annotated[list[str] | None, typer.Option(help="With --sales: a market that was hit, as often as there are some. Default: all.")] = None,
    calendar: CalendarOption = None,
    cycles: CyclesOption = None,
    promotions: PromotionsOption = None,
    exclusions: ExclusionsOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Estimate gross and net shortfall and the merchants' loss, with intervals. Example: onnuri estimate --from 2025-03-01T10:00 --to 2025-03-01T20:00"""
    from streams.estimating import SHARES, estimate_from_file, estimate_from_warehouse, tables_for_people  # noqa: PLC0415

    form = form_of(form, None)
    if incident and sales:
        raise SettingError(f"The incident {incident!r} and --sales {sales} are given. Incidents are in the warehouse: of a file give --from and --to alone.")
    beside = {"calendar": calendar, "cycles": cycles, "promotions": promotions, "exclusions": exclusions}
    if sales is None:
        refuse_without_sales({"--market": " ".join(market or ()), "--complete-until": complete_until, **{f"--{name}": file for name, file in beside.items()}})
    frame, warnings = (
        estimate_from_file(sales, start, end, level, market, beside, complete_until)
        if sales
        else estimate_from_warehouse(Settings.read().published_folder, incident, start, end, level, factors)
    )
    for table in tables_for_people(frame) if form is Format.table else [frame]:
        show(table, form, shares=SHARES)
    if form is Format.table and "methods" in frame.columns:
        console.print(str(frame["method"][0]), highlight=False, markup=False, soft_wrap=True)
    for warning in warnings:
        _remark(warning)


@app.command()
def detect(
    sales: Annotated[Path, typer.Option(help="Sales (CSV or Parquet: at, market_id, sales, optionally region, channel) in steps of any uniform length.")],
    calendar: CalendarOption = None,
    cycles: CyclesOption = None,
    exclusions: ExclusionsOption = None,
    since: Annotated[datetime | None, typer.Option("--from", help="Judge from this day on; days before it are only learnt from.")] = None,
    form: FileFormatOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    out: OutOption = None,
) -> None:
    """Find where sales were missing, each day judged by the days before it. Example: onnuri detect --sales mine.csv --json"""
    from streams.detecting import detect_in_file  # noqa: PLC0415

    if as_json and form not in {None, Format.json}:
        raise typer.BadParameter(f"--json is --format json, got --format {form} beside it: expected one form. Leave one of the two out.")
    chosen = form_of(Format.json if as_json else form, out)
    show(detect_in_file(sales, {"calendar": calendar, "cycles": cycles, "exclusions": exclusions}, since), chosen, out)


@app.command()
def say(
    kind: Annotated[str, typer.Argument(help=f"What kind of command it is: {', '.join(KINDS)}.")],
    payload: Annotated[str, typer.Argument(help="Its fields, as a JSON object; times with their offset. docs/asyncapi.yaml has those of each kind.")],
    actor: Annotated[str, typer.Option(help="Who says so, for the audit log.")],
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Send it also where it names a place or an incident that is not known here.")] = False,
) -> None:
    """Send one command to the line. Example: onnuri say span_excluded '{"label": "훈련", "starts_at": "2025-03-01T10:00+09:00", "ends_at": "2025-03-01T11:00+09:00"}' --actor ops"""
    from streams.saying import payload_of, refuse_unknown, say_commands  # noqa: PLC0415

    settings, said = _admitted(), payload_of(payload)
    if not unchecked:
        refuse_unknown(settings.published_folder, kind, said)
    say_commands(settings, actor, [(kind, said)])
    console.print("Sent. The worker applies it once and keeps it in the audit log; what came of it is in the worker's log.")


@markets_app.command("import")
def markets_import(file: Path, actor: Annotated[str, typer.Option(help="Who imports, for the audit log.")] = "markets-import") -> None:
    """Import a market list (the official CSV, or market_id,name,region,…). Example: onnuri markets import markets.csv"""
    from streams.saying import market_commands, say_commands  # noqa: PLC0415

    found = read_markets(file)
    for problem in found.problems:
        _remark(problem)
    settings = _admitted()
    say_commands(settings, actor, market_commands(found.markets))
    missing = unmatched(settings.published_folder, found.markets)
    if missing:
        _remark(
            f"{len(missing)} market ids have attempts but are in no list: {', '.join(missing[:10])}{', …' if len(missing) > 10 else ''}. Add them under these ids."
        )
    typer.echo(f"{len(found.markets)} markets sent, {len(found.problems)} remarks, {len(missing)} ids with attempts in no list.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="New file; the key of user ids comes beside it.")],
    patience: Annotated[float, typer.Option(help="Seconds to wait for the worker.")] = 3600,
    from_worker: Annotated[bool, typer.Option("--from-worker", help="Of what the worker has, also where its file was removed or replaced.")] = False,
) -> None:
    """Copy the warehouse, while the worker runs or without one. Example: onnuri backup backups/monday.duckdb"""
    from streams.backups import ask_for_backup  # noqa: PLC0415

    ask_for_backup(Settings.read(), file, patience, from_worker=from_worker)
    console.print(f"Written: {file}", highlight=False, soft_wrap=True)


@app.command()
def restore(file: Path) -> None:
    """Put a backup in the place of the warehouse; stop the worker first. Example: onnuri restore backups/monday.duckdb"""
    from streams.backups import refuse_lake  # noqa: PLC0415

    settings = Settings.read()
    refuse_lake(settings)
    for old in restore_warehouse(file, settings.warehouse, datetime.now(UTC)):
        console.print(f"Kept: {old}", highlight=False, soft_wrap=True)
    console.print(f"{settings.warehouse} is that of {file}. The worker reads on from there.", highlight=False, soft_wrap=True)


@app.command()
def doctor(form: FormatOption = Format.table) -> None:
    """Show every setting and look for the usual faults. Example: onnuri doctor"""
    from streams.doctor import findings, for_programs, settings_frame  # noqa: PLC0415

    form = form_of(form, None)
    settings = Settings.read()
    listed = settings_frame(settings)
    if form is Format.table:
        show(listed, form)
    found = findings(settings, datetime.now(UTC))
    if form is Format.table:
        show(pl.DataFrame([{"check": f.check, "ok": f.ok, "finding": f.finding} for f in found]), form)
    else:
        show(for_programs(listed, found), form)
    if not all(f.ok for f in found):
        raise SystemExit(1)


def _remark(text: object) -> None:
    console.print(f"[yellow]![/] {escape(str(text))}", highlight=False, soft_wrap=True)


def _with_kafka() -> Settings:
    settings = Settings.read()
    if not settings.kafka:
        raise SettingError(
            "ONNURI_KAFKA is not set: where are the brokers? Example: ONNURI_KAFKA=127.0.0.1:9092. To try out: onnuri broker, or all at once: onnuri demo."
        )
    return settings


def _admitted() -> Settings:
    from streams.admission import check_admitted  # noqa: PLC0415  # aiokafka is only for those who connect

    settings = _with_kafka()
    check_admitted(settings.kafka, settings.access)
    return settings


def _snapshot() -> Snapshot:
    return open_snapshot(Settings.read().published_folder)


if __name__ == "__main__":
    main()
