"""What happened: the finding, the course, what counts as the outage, whom it reached."""

import polars as pl

from dashboard import charts
from dashboard.figures.course import Rule, Step
from dashboard.formatting import SEOUL, count, percent
from dashboard.remarks import chance, demand_open, gained, joined
from dashboard.report.document import Block, Cell, Figures, Notice, Paragraph, Section
from dashboard.report.gathering import Report
from dashboard.report.pictures import picture
from dashboard.report.scope import nationwide, of_nation, scope_of, whole_nation
from dashboard.report.wording import Wording, plain
from warehouse.analysis import LossEstimate


def finding(report: Report, words: Wording) -> Section:
    """The loss in one sentence, with interval and status, and what stands behind it."""
    figures, people = report.figures, report.figures.people
    incident, loss = figures.incident, figures.loss
    began = _began(report, words)
    if loss is None:
        unknown = words("report_finding.unknown", why=words(f"incidents.{figures.why_no_loss}"))
        return Section(words("report_finding.title"), [Paragraph(joined(began, unknown))])
    status = _status(report, words)
    launch, leads = _launch(report, words)
    nameless = words("report_finding.buyers_note", number=count(people.purchases_without_buyer)) if people.purchases_without_buyer else ""
    shown = [
        *leads,
        (
            words("report_finding.gross_as_before" if launch else "report_finding.gross"),
            words.won(loss.lost),
            words("report_finding.interval", level=percent(loss.level, 0), interval=words.interval(loss.low, loss.high)),
        ),
        (words("report_finding.purchases"), words("app.cases", number=count(figures.purchases.purchases)), recovered(report, words)),
        (words("report_finding.buyers"), _people(people.buyers, words), nameless),
    ]
    if incident.scope == "nation":
        shown.append((words("report_finding.waited"), _hours(people.hours_waited, words), words("report_finding.waited_note")))
    if not incident.sales_known:
        shown = [(nationwide(what, words), figure, note) for what, figure, note in shown]
    blocks: list[Block] = [
        *whole_nation(report, words),
        Paragraph(joined(began, launch, _shortfall(report, loss, words), status)),
        Figures(shown),
        Notice(words("report_finding.gross_only")),
    ]
    if loss.low < 0:
        blocks.append(Notice(words("incidents.negative")))
    return Section(words("report_finding.title"), blocks)


def _began(report: Report, words: Wording) -> str:
    """Where it began, and how long it was or has been: as the page says it, and of an open one in the present tense. One that was seen at its onset only has no length."""
    figures = report.figures
    place = {"scope": scope_of(report, words), "start": words.moment(figures.incident.onset_at)}
    if not figures.incident.open:
        return words("report_finding.began", **place, span=words.duration(figures.lasted))
    return words("report_finding.began_open", **place, span=words.duration(figures.lasted)) if figures.lasted else words("report_finding.began_now", **place)


def _status(report: Report, words: Wording) -> str:
    """Whether the figures are those of the whole outage, and where they are not, how far they reach."""
    figures = report.figures
    counted = {"time": words.moment(figures.end)}
    if figures.incident.open:
        return words("report_finding.open", **counted)
    return words("report_finding.cut", **counted, ended=words.moment(figures.incident.ended_at)) if figures.cut else words("report_finding.closed")


def _launch(report: Report, words: Wording) -> tuple[str, list[tuple[str, str, str]]]:
    """On a launch nobody knows the demand: the sentence on its range, and the figure that leads. Empty for any other outage."""
    launch = report.figures.launch
    if launch is None:
        return "", []
    said = {
        "low": words.won(launch.low),
        "high": words.won(launch.high),
        **demand_open(launch),
        "of": of_nation(report, words),
    }
    sentence = joined(words("report_finding.sentence_launch", **said), chance(launch.low, launch.high, words.texts, launch=True))
    return sentence, [(words("report_finding.launch"), words.interval(launch.low, launch.high), words("report_finding.launch_note", **said))]


def _shortfall(report: Report, loss: LossEstimate, words: Wording) -> str:
    """What was not paid, or by how much more was paid than expected; and where the interval holds 0, that no fall can be told."""
    more, share = gained(loss.lost), report.figures.lost_share
    said = {
        "lost": words.won(loss.lost),
        "more": words.won(-loss.lost),
        "interval": words.interval(loss.low, loss.high),
        "level": percent(loss.level, 0),
        "expected": words.won(loss.expected),
        "observed": words.won(loss.observed),
        "of": of_nation(report, words),
        "share": percent(None if share is None else abs(share)),
    }
    if report.figures.launch is not None:
        return words("report_finding.as_before_more" if more else "report_finding.as_before", **said)
    return joined(words("report_finding.more" if more else "report_finding.sentence", **said), chance(loss.low, loss.high, words.texts))


def recovered(report: Report, words: Wording) -> str:
    """How many of the failed purchases succeeded later."""
    bought = report.figures.purchases
    return words("report_finding.recovered", recovered=count(bought.recovered), share=percent(bought.recovered_share))


def course(report: Report, words: Wording) -> Section:
    """The timeline with delays, and how long the outage was against the usual limits."""
    figures = report.figures
    onset = figures.incident.onset_at
    rows = [(step.at, words(f"report_course.{step.what}"), _source(step, report, words), "reported" if step.by else "measured") for step in figures.course]
    rows = [(at, what, source, basis) for at, what, source, basis in rows if at is not None or not report.author.moments]
    rows += [(moment.moment, moment.what, moment.source, moment.basis) for moment in report.author.moments]
    ordered = sorted(rows, key=lambda row: (row[0] is None, row[0] or onset))
    cells = [
        [
            words.time(at) if at else plain(words("report_course.unknown")),
            plain(what),
            plain(words("report_course.after", span=words.duration(at - onset)) if at and at > onset else ""),
            plain(words(f"report_basis.{basis}") if at else ""),
            plain(source),
        ]
        for at, what, source, basis in ordered
    ]
    limits = [
        [
            plain(words(f"report_course.rule_{rule.name}")),
            *_reached(rule, figures.incident.open, words),
        ]
        for rule in figures.rules
    ]
    blocks: list[Block] = [
        words.table("course", ["when", "what", "after", "basis", "source"], cells, widths=[0.24, 0.23, 0.17, 0.11, 0.25]),
        words.table("limits", ["limit", "reached", "result"], limits, note=words("report_course.rules_note"), widths=[0.42, 0.33, 0.25]),
    ]
    return Section(words("report_course.title"), blocks)


def _reached(rule: Rule, goes_on: bool, words: Wording) -> list[Cell]:  # noqa: FBT001
    """When the limit was reached, and what came of it; of one that was not reached only whether it still may be."""
    if rule.exceeded:
        return [words.time(rule.due), plain(words("report_course.exceeded"))]
    return [plain(words("report_course.not_yet")), plain("")] if goes_on else [plain(words("rule.not_reached")), plain(words("report_course.kept"))]


def _source(step: Step, report: Report, words: Wording) -> str:
    if step.by:
        return words("report_course.given", name=step.by)
    source = words(f"report_course.{step.what}_source")
    return source if step.what != "peak" or report.figures.incident.sales_known else nationwide(source, words)


def definition(report: Report, words: Wording) -> Section:
    """What is counted as the outage, and what is not."""
    incident = report.figures.incident
    known = words("report_definition.declared", name=incident.declared_by) if incident.declared_by else words("report_definition.detected")
    window = words("report_definition.window", start=words.moment(report.figures.start), end=words.moment(report.figures.end))
    return Section(
        words("report_definition.title"),
        [Paragraph(known), Paragraph(window), words.paragraph("report_definition.failure"), words.paragraph("report_definition.maintenance")],
    )


def scope(report: Report, words: Wording) -> Section:
    """Where attempts failed: by region and channel, and over time."""
    figures = report.figures
    inside = figures.rates
    blocks: list[Block] = [
        *whole_nation(report, words),
        words.paragraph(
            "report_scope.sentence",
            scope=scope_of(report, words),
            of=of_nation(report, words),
            attempts=count(inside.attempts),
            failed=count(inside.failed),
            failure=percent(inside.failure),
            decline=percent(inside.decline),
        ),
    ]
    if figures.steps["sales"].len():
        span = (figures.steps["at"][0].astimezone(SEOUL), figures.end)
        drawing = charts.rates_chart(figures.steps, figures.spans, *span, words.texts)
        sentence = words("live.rates_sentence", failure=percent(inside.failure), decline=percent(inside.decline), attempts=count(inside.attempts))
        blocks.append(picture(drawing, words("report_scope.rates_chart"), sentence))
    for name in ("region", "channel"):
        found = report.outcomes.group_by(name).agg(pl.col("approved", "declined", "failed").sum()).sort("failed", name, descending=[True, False])
        rows = [
            [
                plain(words.texts.named("channel", row[name]) if name == "channel" else row[name]),
                words.number(attempts := row["approved"] + row["declined"] + row["failed"]),
                words.number(row["failed"]),
                words.share(row["failed"] / attempts if attempts else None),
                words.share(row["declined"] / attempts if attempts else None),
            ]
            for row in found.iter_rows(named=True)
        ]
        blocks.append(
            words.table(f"attempts_by_{name}", [name, "attempts", "failed", "failure_rate", "decline_rate"], rows, widths=[0.36, 0.16, 0.16, 0.16, 0.16])
        )
    return Section(words("report_scope.title"), blocks)


def _people(number: int | None, words: Wording) -> str:
    return words("app.not_available") if number is None else words("live.people", number=count(number))


def _hours(hours: float | None, words: Wording) -> str:
    return words("app.not_available") if hours is None else words("report_finding.hours", number=count(round(hours)))
