"""From figures to the document: the order of its parts, and what stands on its first page."""

from dashboard.report.document import Document
from dashboard.report.gathering import Report
from dashboard.report.scope import scope_of
from dashboard.report.sections import ahead, closing, finding, money, people, places
from dashboard.report.wording import Wording
from dashboard.texts import texts_in

MAIN = (
    finding.finding,
    finding.course,
    finding.definition,
    finding.scope,
    money.waterfall,
    money.methods,
    places.places,
    people.harm,
    ahead.compared,
    people.causes,
    ahead.ahead,
    people.measures,
    people.compensation,
    closing.unknown,
    closing.revisions,
)
APPENDIX = (closing.quality, closing.method, closing.origin)


def compose(report: Report, language: str) -> Document:
    """The report as a document in ``language`` (``ko`` or ``en``)."""
    words = Wording(texts_in(language))
    incident, manifest = report.figures.incident, report.provenance.manifest
    stage = words(f"report_stage.{report.stage}")
    return Document(
        title=words("report.title"),
        subtitle=words("incidents.title", time=words.moment(incident.onset_at), kind=words.texts.named("kind", incident.kind)),
        language=language,
        stage=stage,
        made_at=manifest.published_at,
        head=[
            (words("report.stage"), stage),
            (words("report.incident"), f"{scope_of(report, words)} · {incident.incident_id}"),
            (words("report.as_of"), words.moment(report.provenance.as_of)),
            (words("report.times"), words("report.zone")),
            (words("report.inputs"), report.provenance.inputs[:16]),
        ],
        sections=[part(report, words) for part in MAIN],
        appendix=[part(report, words) for part in APPENDIX],
        footer=words("report.footer", stage=stage, inputs=report.provenance.inputs[:16], version=report.provenance.version),
        words={name: words(f"report.{name}") for name in ("contents", "text", "appendix", "page", "table", "figure", "time_zone", "unit", "low", "high")},
    )
