"""What is not known, which editions there were, and everything that somebody needs to make the report again."""

from datetime import datetime

from dashboard.formatting import MISSING, clock, count, seoul, spanned
from dashboard.remarks import demand_open, joined, lost_range, sentence
from dashboard.report.document import Block, Bullets, Code, Notice, Paragraph, Section
from dashboard.report.gathering import Report
from dashboard.report.wording import Wording, plain
from warehouse.connection import query_text
from warehouse.losses import HISTORY, MINUTE, STEP
from warehouse.reading import IN_SCOPE

OF_THE_WINDOW = ("sales_by_market_and_step", "outcomes_by_place", "taken_back_in_span")
"""The queries of the estimate, which asks whole steps."""

OF_THE_INCIDENT = ("people_in_span", "failed_purchases_in_span", "services_in_span")
"""Those of purchases and people, from the onset to the end."""

OF_OTHER_SPANS = ("demand_by_hour", "attempts_by_minute", "load_by_minute")
"""Those of demand, capacity and comparison."""


def unknown(report: Report, words: Wording) -> Section:
    """What remains unknown, from what the data lack and what the estimate says of itself."""
    figures = report.figures
    ladder = figures.ladder()
    open_questions = [words("report_unknown.never_seen")]
    if figures.incident.open:
        open_questions.append(words("report_unknown.open"))
    if ladder is not None and ladder.substitution is None:
        open_questions.append(words("report_unknown.substitution"))
    if figures.people.purchases_without_buyer:
        open_questions.append(words("report_unknown.buyers", number=count(figures.people.purchases_without_buyer)))
    if figures.people.hours_waited is None:
        open_questions.append(words("report_unknown.load" if figures.incident.scope == "nation" else "report_unknown.load_national"))
    if not report.author.causes:
        open_questions.append(words("report_unknown.causes"))
    if report.ahead is not None and report.ahead.capacity.proven is None:
        open_questions.append(words("report_unknown.capacity"))
    if report.provenance.manifest.totals.get("lost"):
        open_questions.append(words("report_unknown.lost", number=count(report.provenance.manifest.totals["lost"])))
    # How much of a topic that was deleted, or of a log's lost end, was never read, nobody knows: it is in no total.
    uncounted = [lost for lost in report.provenance.manifest.lost_ranges if lost["cause"] in ("topic made anew", "log cut back")]
    open_questions += [lost_range(lost, words.texts) for lost in uncounted]
    remarks = [*(figures.loss.warnings if figures.loss else ()), *(remark for method in figures.methods for remark in method.remarks)]
    said = dict.fromkeys(sentence(remark, words.texts) for remark in remarks)
    return Section(words("report_unknown.title"), [Bullets([*open_questions, *said])])


def revisions(report: Report, words: Wording) -> Section:
    """Editions that were issued, with their figures as they were then."""
    rows = [
        [
            plain(words(f"report_stage.{row['stage']}")),
            words.time(row["issued_at"]),
            plain(row["issued_by"]),
            words.ends_only(ranged=False) if row["lost"] is None and row["low"] is not None else words.money(row["lost"]),
            words.between(row["low"], row["high"]),
            plain(_window(row["window_start"], row["window_end"], words)),
            plain(row["inputs"][:12]),
            plain(joined(row["note"], _of_a_part(row["incident_id"], report, words))),
        ]
        for row in report.editions.iter_rows(named=True)
    ]
    this = words("report_revisions.this", stage=words(f"report_stage.{report.stage}"), time=words.moment(report.provenance.as_of))
    blocks: list[Block] = [Paragraph(this)]
    if rows:
        columns = ["stage", "issued", "by", "lost", "interval", "window", "inputs", "note"]
        blocks.append(words.table("editions", columns, rows, widths=[0.08, 0.16, 0.09, 0.12, 0.16, 0.15, 0.13, 0.11]))
    else:
        blocks.append(Notice(words("report_revisions.none"), "plain"))
    return Section(words("report_revisions.title"), blocks)


def _window(start: datetime | None, end: datetime | None, words: Wording) -> str:
    """The window of an edition; none where it was not kept."""
    if start is None or end is None:
        return MISSING
    same_day = seoul(start).date() == seoul(end).date()
    return spanned(words.moment(start), clock(end) if same_day else words.moment(end), words.texts.language)


def _of_a_part(incident_id: str, report: Report, words: Wording) -> str:
    """That an edition told of an incident before it was merged into this one, whose figures are others; else empty."""
    return "" if incident_id == report.figures.incident.incident_id else words("report_revisions.merged", incident=incident_id)


def quality(report: Report, words: Wording) -> Section:
    """How complete the data are."""
    manifest = report.provenance.manifest
    rows = [
        [plain(words(f"freshness.{name}")), words.number(manifest.totals.get(name)), plain(words(f"report_quality.{name}"))]
        for name in ("accepted", "duplicate", "late", "refused", "lost")
    ]
    lag = words("app.not_available") if manifest.lag is None else count(manifest.lag)
    return Section(
        words("report_quality.title"),
        [
            words.paragraph("report_quality.sentence", watermark=words.moment(manifest.watermark), lag=lag),
            words.table("quality", ["what", "number", "how"], rows, widths=[0.2, 0.2, 0.6]),
        ],
    )


def method(report: Report, words: Wording) -> Section:
    """How the estimate is made, and where it fails."""
    loss = report.figures.loss
    blocks: list[Block] = [Paragraph(sentence(loss.method, words.texts))] if loss else []
    blocks.append(words.paragraph("report_method.gross"))
    if report.figures.launch is not None:
        blocks.append(words.paragraph("report_method.launch", **demand_open(report.figures.launch)))
    blocks += [words.paragraph(f"report_method.{name}") for name in ("net", "people", "concentration", "compared", "ahead", "limits")]
    return Section(words("report_method.title"), blocks)


def origin(report: Report, words: Wording) -> Section:
    """Version, manifest, hash of inputs, and the SQL: with the same inputs the same bytes come out."""
    found, manifest, figures = report.provenance, report.provenance.manifest, report.figures
    made_from = found.made_from
    rows = [
        ("incident", figures.incident.incident_id),
        ("version", f"onnuri {found.version}"),
        ("warehouse", manifest.warehouse_id),
        ("sequence" if made_from.rows is None else "snapshot", count(manifest.sequence) if made_from.rows is None else str(manifest.sequence)),
        ("as_of", words.moment(found.as_of)),
        ("now", words.moment(manifest.now)),
        ("published", words.moment(manifest.published_at)),
        ("files", words("report_origin.files_of", number=count(made_from.files), size=f"{made_from.bytes / 1e6:,.1f} MB"))
        if made_from.rows is None
        else ("rows", count(made_from.rows)),
        ("author", ", ".join(sorted(report.author.raw)) or words("report_origin.no_author")),
        ("inputs", found.inputs),
    ]
    return Section(
        words("report_origin.title"),
        [
            words.paragraph("report_origin.sentence"),
            words.table("origin", ["what", "value"], [[plain(words(f"report_origin.{name}")), plain(value)] for name, value in rows], widths=[0.28, 0.72]),
            words.paragraph("report_origin.sql"),
            Code("in_scope.sql", IN_SCOPE.strip()),
            words.paragraph("report_origin.sql_window", days=HISTORY.days, minutes=STEP // MINUTE, **_span(figures.start, figures.end, words)),
            *_queries(OF_THE_WINDOW),
            words.paragraph("report_origin.sql_incident", **_span(figures.incident.onset_at, figures.until, words)),
            *_queries(OF_THE_INCIDENT),
            words.paragraph("report_origin.sql_other"),
            *_queries(OF_OTHER_SPANS),
        ],
    )


def _queries(names: tuple[str, ...]) -> list[Block]:
    return [Code(f"{name}.sql", query_text(name).strip()) for name in names]


def _span(start: datetime, end: datetime, words: Wording) -> dict[str, str]:
    """The bounds as they were asked, to the last digit, and how long it is."""
    return {"start": seoul(start).isoformat(), "end": seoul(end).isoformat(), "span": words.duration(end - start)}
