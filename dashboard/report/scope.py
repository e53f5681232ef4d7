"""Where an incident was, and what the report says of figures that are the whole nation's and not its own."""

from dashboard.report.document import Block, Notice
from dashboard.report.gathering import Report
from dashboard.report.wording import Wording


def scope_of(report: Report, words: Wording) -> str:
    """The incident's scope in words."""
    incident = report.figures.incident
    return words.texts.placed(incident.scope, incident.place or incident.scope_name)


def of_nation(report: Report, words: Wording) -> str:
    """What marks the figures inside a sentence as the whole nation's where sales are not counted by the incident's scope; else empty."""
    return "" if report.figures.incident.sales_known else words("report_scope.of_nation")


def whole_nation(report: Report, words: Wording) -> list[Block]:
    """A notice before the figures of such an incident; none for any other."""
    incident = report.figures.incident
    if incident.sales_known:
        return []
    return [Notice(words("incidents.whole_nation", scope=words.texts.named("scope", incident.scope).lower()))]


def nationwide(what: str, words: Wording) -> str:
    """The name of a figure that is the whole nation's."""
    return words("report_scope.nationwide", what=what)
