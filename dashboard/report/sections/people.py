"""Whom it hurt, why it happened, what is done, and what compensation would cost."""

from decimal import Decimal

from dashboard import charts
from dashboard.figures.incidents import Purchases
from dashboard.formatting import SEOUL, count, percent
from dashboard.remarks import joined
from dashboard.report.author import Rule
from dashboard.report.document import Block, Cell, Notice, Paragraph, Section
from dashboard.report.gathering import Report
from dashboard.report.pictures import picture
from dashboard.report.scope import nationwide, whole_nation
from dashboard.report.wording import Wording, plain
from warehouse.ladder import Range


def harm(report: Report, words: Wording) -> Section:
    """소비자 피해: people, attempts, hours waited, gave up, registration blocked."""
    figures = report.figures
    people, bought, national = figures.people, figures.purchases, figures.incident.scope == "nation"
    rows = [
        ("buyers", people.buyers, "buyers_how"),
        ("without_buyer", people.purchases_without_buyer, "without_buyer_how"),
        ("purchases", bought.purchases, "purchases_how"),
        ("attempts", people.attempts, "attempts_how"),
        ("given_up", people.given_up, "given_up_how"),
    ]
    of_nation = [
        ("longest_queue", people.longest_queue, "longest_queue_how"),
        ("hours", people.hours_waited, "hours_how"),
        ("abandoned", people.abandoned, "abandoned_how"),
        ("registrations", people.registrations, "registrations_how"),
        ("blocked", people.registrations_blocked, "blocked_how"),
    ]
    shown = rows + of_nation if national else rows
    cells = [[plain(words(f"report_harm.{name}")), words.number(figure), plain(words(f"report_harm.{how}"))] for name, figure, how in shown]
    waited = "" if people.hours_waited is None else words("report_harm.waited", hours=count(round(people.hours_waited)))
    blocks: list[Block] = [*whole_nation(report, words), Paragraph(joined(_purchases(bought, words), waited))]
    if len(report.queue):
        peak = report.queue.sort("queue_length", descending=True, maintain_order=True).row(0, named=True)
        of = "" if national else words("report_scope.of_nation")
        sentence = words("report_harm.queue_sentence", of=of, time=words.moment(peak["at"]), number=count(int(peak["queue_length"])))
        title = words("live.queue_chart")
        drawing = charts.queue_chart(report.queue, figures.spans, figures.start.astimezone(SEOUL), figures.end, words.texts)
        blocks.append(picture(drawing, title if national else nationwide(title, words), sentence))
    blocks.append(words.table("harm", ["what", "number", "how"], cells, widths=[0.3, 0.16, 0.54]))
    if not national:
        blocks.append(Notice(words("report_harm.national"), "plain"))
    elif people.hours_waited is None:
        blocks.append(Notice(words("report_harm.no_load")))
    return Section(words("report_harm.title"), blocks)


def _purchases(bought: Purchases, words: Wording) -> str:
    if not bought.purchases:
        return words("report_harm.no_purchases")
    if bought.recovered == bought.purchases:
        return words("report_harm.all_recovered", purchases=count(bought.purchases))
    return words("report_harm.sentence", purchases=count(bought.purchases), recovered=count(bought.recovered), share=percent(bought.recovered_share))


def causes(report: Report, words: Wording) -> Section:
    """원인, each with how it is known."""
    if not report.author.causes:
        return Section(words("report_causes.title"), [Notice(words("report_causes.none"), "plain")])
    rows = [
        [plain(words(f"report_causes.{cause.area}")), plain(cause.finding), plain(words(f"report_basis.{cause.basis}")), plain(cause.evidence)]
        for cause in report.author.causes
    ]
    table = words.table("causes", ["area", "cause", "basis", "evidence"], rows, widths=[0.16, 0.4, 0.1, 0.34])
    return Section(words("report_causes.title"), [words.paragraph("report_causes.note"), table])


def measures(report: Report, words: Wording) -> Section:
    """개선 대책."""
    if not report.author.measures:
        return Section(words("report_measures.title"), [Notice(words("report_measures.none"), "plain")])
    rows = [
        [
            plain(measure.measure),
            plain(measure.owner),
            plain(measure.due.isoformat()),
            plain(measure.indicator),
            plain(words(f"report_measures.{measure.state}")),
        ]
        for measure in report.author.measures
    ]
    return Section(
        words("report_measures.title"),
        [words.table("measures", ["measure", "owner", "due", "indicator", "state"], rows, widths=[0.33, 0.17, 0.13, 0.27, 0.1])],
    )


def compensation(report: Report, words: Wording) -> Section:
    """What each rule would pay; nobody decides it here."""
    if not report.author.rules:
        return Section(words("report_compensation.title"), [Notice(words("report_compensation.none"), "plain")])
    rows = [_paid(rule, report, words) for rule in report.author.rules]
    table = words.table(
        "compensation",
        ["rule", "payee", "base", "rate", "cap", "amount", "ends", "source"],
        rows,
        note=words("report_methods.ends_note"),
        widths=[0.15, 0.1, 0.15, 0.09, 0.14, 0.14, 0.14, 0.09],
    )
    return Section(words("report_compensation.title"), [*whole_nation(report, words), words.paragraph("report_compensation.note"), table])


def _paid(rule: Rule, report: Report, words: Wording) -> list[Cell]:
    base = _base(rule, report)
    amount, interval = plain(words("app.not_available")), plain("")
    if base is not None:
        value, low, high = (
            None if figure is None else min(max(figure, 0) * rule.rate, rule.cap or float("inf")) for figure in (base.value, base.low, base.high)
        )
        # A cap that both ends reach is the amount, whatever lies between them.
        paid = low if low == high else value
        amount = words.money(paid) if paid is not None else words.ends_only(ranged=base.ranged)
        interval = plain("") if low == high else words.between(low, high, ranged=base.ranged)
    return [
        plain(rule.name),
        plain(words(f"report_compensation.{rule.payee}")),
        plain(words(f"report_compensation.base_{rule.base}")),
        plain(_rate(rule, words)),
        plain(words("report_compensation.no_cap")) if rule.cap is None else words.money(rule.cap),
        amount,
        interval,
        plain(rule.source),
    ]


def _rate(rule: Rule, words: Wording) -> str:
    """The rate to its last digit: a share of an amount, or KRW for each unit."""
    rate = Decimal(str(rule.rate))
    if rule.base in {"gross", "net", "merchants_loss", "failed_amount"}:
        return f"{_exact(rate * 100)}%"
    return words("report_compensation.each", amount=_exact(rate))


def _exact(number: Decimal) -> str:
    whole = number.to_integral_value()
    return f"{whole if number == whole else number.normalize():,f}"


def _base(rule: Rule, report: Report) -> Range | None:
    """What the rate is applied to; None where it is not known."""
    people, ladder = report.figures.people, report.figures.ladder()
    net = None if ladder is None or ladder.back is None else ladder.net
    money = {"gross": ladder.gross, "net": net, "merchants_loss": ladder.merchants} if ladder else {}
    counted = {
        "failed_amount": people.lost_amount,
        "failed_purchases": report.figures.purchases.purchases,
        "given_up": people.given_up,
        "buyers": people.buyers,
        "hours_waited": people.hours_waited,
    }
    if rule.base in counted:
        figure = counted[rule.base]
        return None if figure is None else Range(figure, figure, figure)
    return money.get(rule.base)
