"""What it cost: from expected sales to merchants' loss, by every method, and what moves the figure."""

from dashboard import bars, charts
from dashboard.evidence import COLUMNS, evidence_rows
from dashboard.figures.incidents import IncidentFigures
from dashboard.formatting import SEOUL, percent
from dashboard.remarks import chance, gained, joined, sales_sentence, sentence, taken_back_sentence
from dashboard.report.document import Block, Cell, Notice, Paragraph, Section
from dashboard.report.gathering import Report
from dashboard.report.pictures import picture
from dashboard.report.scope import whole_nation
from dashboard.report.wording import Wording, plain
from warehouse.ladder import Ladder, Range, Scenario

FACTORS = (1.0, 1.5, 2.0, 3.0)
"""Demand over that of an ordinary day, in the tables of a launch."""

DEMANDS = (("demand_low", Scenario(demand=0.8)), ("demand_high", Scenario(demand=1.2)))
"""Over what was expected, where that is known."""

SCENARIOS = (
    ("unseen_half", Scenario(unseen_back=0.5)),
    ("substituted_third", Scenario(substitution=0.3)),
    ("substituted_most", Scenario(substitution=0.6)),
)
"""What the sensitivities assume, one at a time."""


def waterfall(report: Report, words: Wording) -> Section:
    """기대 결제액 → 결제 감소액 → 순 결제 감소액 → 가맹점 매출 손실."""
    figures = report.figures
    ladder = figures.ladder()
    if ladder is None or figures.loss is None or figures.account is None:
        return Section(words("report_waterfall.title"), [_no_estimate(figures, words)])
    made_up = None if ladder.made_up is None else Range(ladder.made_up, ladder.made_up, ladder.made_up)
    steps = [
        ("expected", ladder.expected),
        ("observed", Range(ladder.observed, ladder.observed, ladder.observed)),
        ("gross", ladder.gross),
        ("made_up", made_up),
        ("net", None if ladder.back is None else ladder.net),
        ("substituted", None if ladder.substituted is None else Range(ladder.substituted, ladder.substituted, ladder.substituted)),
        ("merchants", ladder.merchants),
    ]
    rows = [[plain(words(f"report_waterfall.{name}")), *_ranged(found, words), plain(words(f"report_waterfall.{name}_how"))] for name, found in steps]
    span = (figures.steps["at"][0].astimezone(SEOUL), figures.end)
    told = sales_sentence(figures.loss, figures.launch, words.texts)
    blocks: list[Block] = [
        *whole_nation(report, words),
        picture(charts.sales_chart(figures.steps, figures.steps, figures.spans, *span, words.texts, loss=True), words("report_waterfall.chart"), told),
        picture(
            bars.ladder_chart(ladder, words.texts),
            words("report_table.waterfall"),
            _ladder_sentence(ladder, words),
        ),
        words.table("waterfall", ["step", "amount", "ends", "how"], rows, note=words("report_methods.ends_note"), widths=[0.22, 0.16, 0.32, 0.3]),
        Paragraph(taken_back_sentence(figures.account.taken_back, words.texts)),
    ]
    if figures.why_no_net is not None:
        blocks.append(Notice(words(f"ladder.made_up_{figures.why_no_net}")))
    if ladder.substitution is None:
        blocks.append(Notice(words("report_waterfall.no_survey", interval=words.interval(ladder.merchants.low, ladder.merchants.high))))
    if ladder.gross.low < 0:
        blocks.append(Notice(words("incidents.negative")))
    return Section(words("report_waterfall.title"), blocks)


def _ladder_sentence(ladder: Ladder, words: Wording) -> str:
    gross, merchants = ladder.gross, _said(ladder.merchants, words)
    if gross.value is not None and gained(gross.value):
        told = words(
            "report_waterfall.chart_sentence_more", more=words.won(-gross.value), merchants=words.interval(ladder.merchants.low, ladder.merchants.high)
        )
    elif ladder.back is None:
        told = words("report_waterfall.chart_sentence_open", gross=_said(gross, words), merchants=merchants)
    else:
        told = words("report_waterfall.chart_sentence", gross=_said(gross, words), net=_said(ladder.net, words), merchants=merchants)
    return joined(told, chance(gross.low, gross.high, words.texts, launch=gross.value is None))


def methods(report: Report, words: Wording) -> Section:
    """Every method side by side, what outsiders claim, and what the figure is sensitive to."""
    figures = report.figures
    if figures.loss is None:
        return Section(words("report_methods.title"), [_no_estimate(figures, words)])
    rows = [
        [
            plain(words("report_methods.claim", source=method.source) if method.source else words(f"report_methods.{method.name}")),
            plain(words(f"report_methods.about_{method.about}")),
            words.ends_only(ranged=method.ranged) if method.value is None and method.low is not None else words.money(method.value),
            words.between(method.low, method.high, ranged=method.ranged),
            plain("" if method.within is None else words("report_methods.within" if method.within else "report_methods.outside")),
        ]
        for method in figures.methods
    ]
    # In the chart there is room for the short name only.
    names = [words("methods.as_before") if method.name == "as_before" else row[0].text for method, row in zip(figures.methods, rows, strict=True)]
    blocks: list[Block] = [
        *whole_nation(report, words),
        words.paragraph("report_methods.sentence"),
        picture(bars.methods_chart(figures.methods, names, words.texts), words("report_methods.chart"), words("report_methods.chart_sentence")),
        words.table(
            "methods", ["method", "about", "amount", "ends", "result"], rows, note=words("report_methods.ends_note"), widths=[0.25, 0.2, 0.15, 0.3, 0.1]
        ),
    ]
    blocks += [Notice(sentence(remark, words.texts)) for remark in figures.disagreements]
    evidence = [[plain(text) for text in row] for row in evidence_rows(figures, words.texts)]
    for row, amount in zip(evidence, figures.claims["amount"], strict=False):
        row[COLUMNS.index("amount")] = words.money(amount)
    if evidence:
        blocks.append(words.table("evidence", list(COLUMNS), evidence, widths=[0.14, 0.18, 0.18, 0.18, 0.32]))
    if not len(figures.claims):
        blocks.append(words.paragraph("report_methods.no_claims"))
    blocks += [
        words.table("sensitivity", ["assumption", "gross", "net", "merchants"], _sensitivities(figures, words), widths=[0.31, 0.23, 0.23, 0.23]),
        words.paragraph("report_methods.sensitivity_note"),
        *_launch(figures, words),
    ]
    return Section(words("report_methods.title"), blocks)


def _launch(figures: IncidentFigures, words: Wording) -> list[Block]:
    """The loss of a launch by the demand that nobody knows."""
    launch = figures.launch
    if launch is None:
        return []
    factors = sorted({launch.factor_low, *(factor for factor in FACTORS if launch.factor_low < factor < launch.factor_high), launch.factor_high})
    rows = [
        [plain(f"{factor:g}×"), words.money(factor * launch.ordinary), words.money(lost), words.between(low, high)]
        for factor, (lost, low, high) in ((factor, launch.at(factor)) for factor in factors)
    ]
    table = words.table("launch", ["factor", "expected", "lost", "interval"], rows, note=words("report_methods.launch_note"), widths=[0.16, 0.24, 0.24, 0.36])
    return [table]


def _sensitivities(figures: IncidentFigures, words: Wording) -> list[list[Cell]]:
    rows = []
    on_launch = [("demand_launch", Scenario(demand=factor)) for factor in (*FACTORS, *(() if figures.launch is None else (figures.launch.factor_high,)))]
    for name, scenario in (("plain", Scenario()), *(DEMANDS if figures.launch is None else on_launch), *SCENARIOS):
        ladder = figures.ladder(scenario)
        assert ladder is not None
        rows.append(
            [
                plain(
                    words(
                        f"report_methods.assume_{name}",
                        demand=percent(scenario.demand, 0),
                        factor=f"{scenario.demand or 1:g}",
                        share=percent(scenario.substitution or scenario.unseen_back, 0),
                    )
                ),
                _cell(ladder.gross, words),
                words.money(None) if ladder.back is None else _cell(ladder.net, words),
                _cell(ladder.merchants, words),
            ]
        )
    return rows


def _cell(found: Range, words: Wording) -> Cell:
    return words.between(found.low, found.high) if found.value is None else words.money(found.value)


def _said(found: Range, words: Wording) -> str:
    return words.interval(found.low, found.high) if found.value is None else words.won(found.value)


def _ranged(found: Range | None, words: Wording) -> list[Cell]:
    if found is None:
        return [plain(words("app.not_available")), plain("")]
    exact = found.low == found.high
    value = words.ends_only(ranged=found.ranged) if found.value is None else words.money(found.value)
    return [value, plain("") if exact else words.between(found.low, found.high, ranged=found.ranged)]


def _no_estimate(figures: IncidentFigures, words: Wording) -> Notice:
    return Notice(f"{words('incidents.no_estimate')}. {words(f'incidents.{figures.why_no_loss}')}")
