"""시장: one market, found by name or by place."""

from datetime import date, datetime, time

import polars as pl
import streamlit as st

from dashboard import bars, cards, charts
from dashboard.cards import Figure
from dashboard.figures.live import day_start_of
from dashboard.figures.markets import MERCHANT_DAYS, MarketFigures, PastLoss, digits_of, losses_of, matching, next_market_day, within
from dashboard.figures.rates import MIN_ATTEMPTS
from dashboard.formatting import MISSING, SEOUL, clock_until, count, day_name, moment, percent, seoul, spanned, unbroken, won
from dashboard.frame import banners, chart, freshness_line, with_states
from dashboard.link import choice, day, words
from dashboard.remarks import joined
from dashboard.settings import DashboardSettings
from dashboard.store import MarketList, incident_list, incident_page, market_list, market_page
from dashboard.texts import Texts
from dashboard.views.incidents import scope_of

REFRESH_SECONDS = 10
ROWS = 20
INCIDENTS = 5
"""The newest of a market's incidents whose losses are looked up: each is an estimate of its own."""


def page(settings: DashboardSettings, texts: Texts) -> None:
    """Search, region, district and market, and the chosen market's day; all of it in the link."""
    with with_states(texts, settings):
        listed = market_list(settings.published)
        st.html(cards.heading(texts("markets.title"), texts("markets.note", number=count(len(listed.markets)))))
        if listed.markets.is_empty():
            st.html(cards.state(texts("markets.none"), [texts("markets.none_detail")], "onnuri markets import markets.csv"))
            return
        today = day_start_of(listed.manifest).date()
        market, chosen = _chosen(listed, today, texts)
        if market is None:
            st.html(cards.state(texts("markets.no_match"), [texts("markets.no_match_next")]))
            return
        st.fragment(_refreshing, run_every=REFRESH_SECONDS, key="market")(settings, texts, market, chosen)
        st.fragment(_losses, key="market_losses")(settings, texts, market)


def _chosen(listed: MarketList, today: date, texts: Texts) -> tuple[dict[str, object] | None, date]:
    every = listed.markets
    columns = st.columns([1.3, 1, 1, 1.7, 1])
    with columns[0]:
        search = words(texts("markets.search"), "q", placeholder=texts("markets.search_hint"))
    with columns[1]:
        region = choice(texts("table.region"), "region", ["", *every["region"].unique().sort()], lambda name: name or texts("markets.every_region"))
    of_region = every.filter(pl.col("region") == region) if region else every
    with columns[2]:
        districts = of_region["district"].unique().sort().to_list() if region else []
        district = choice(texts("table.district"), "district", ["", *districts], lambda name: name or texts("markets.every_district"))
    with columns[4]:
        chosen_day = day(texts("markets.day"), "day", today)
    found = matching(every, search, region, district)
    if found.is_empty():
        return None, chosen_day
    names = {row["market_id"]: f"{row['market']} · {row['region']} {row['district']}".strip() for row in found.iter_rows(named=True)}
    with columns[3]:
        label = texts("markets.choose", number=count(len(found)))
        chosen = choice(label, "market", list(names), lambda name: names[name], always=True)
    return found.row(by_predicate=pl.col("market_id") == chosen, named=True), chosen_day


def _refreshing(settings: DashboardSettings, texts: Texts, market: dict[str, object], chosen: date) -> None:
    with with_states(texts, settings):
        listed = market_list(settings.published)
        with st.spinner(texts("markets.working")):
            shown = market_page(settings.published, listed, market, datetime.combine(chosen, time(), SEOUL))
        st.html(cards.section(str(market["market"]), _place(market, texts)))
        freshness_line(listed.freshness, texts)
        banners(listed.freshness, texts)
        st.html(cards.figures(_figures(shown, market, chosen, texts)))
        _day(shown, chosen, texts)
        _days(shown, market, texts)
        _merchants(shown, texts)


def _place(market: dict[str, object], texts: Texts) -> str:
    merchants = market["merchants"]
    counted = texts("markets.merchants_known", number=count(merchants)) if isinstance(merchants, int) else ""
    return " · ".join(filter(None, [str(market["region"]), str(market["district"]), counted, str(market["market_id"])]))


def _figures(shown: MarketFigures, market: dict[str, object], chosen: date, texts: Texts) -> list[Figure]:
    language, rates = texts.language, shown.rates
    uncounted = _uncounted(shown)
    if uncounted:
        compared = texts(uncounted)
    elif shown.against_expected is None:
        compared = texts("live.no_expected")
    else:
        compared = texts(
            "live.against", time=clock_until(shown.closed, shown.day_end), share=percent(shown.against_expected, 0), expected=won(shown.expected, language)
        )
    enough = rates.attempts >= MIN_ATTEMPTS
    failed = texts("live.of_attempts", number=count(rates.failed), attempts=count(rates.attempts))
    cycle = str(market["cycle"] or "") or None
    coming = next_market_day(cycle, chosen)
    digits = texts("markets.cycle", digits="·".join(str(digit) for digit in digits_of(cycle))) if coming else texts("markets.no_cycle")
    return [
        Figure(texts("markets.sales"), MISSING if uncounted else won(shown.sales, language), (compared,), "plain", "market_sales"),
        Figure(
            texts("chart.failure_rate"),
            percent(rates.failure) if enough else MISSING,
            (failed, "" if enough else texts("markets.few")),
            "plain",
            "market_failure",
        ),
        Figure(texts("markets.market_day"), day_name(coming, language) if coming else MISSING, (digits,), "plain", "market_day"),
    ]


def _uncounted(shown: MarketFigures) -> str:
    """The text that says why nothing is counted of the day; empty where something is, be it that nothing was paid."""
    if shown.before_counting:
        return "markets.before_counting"
    return "markets.too_early" if shown.steps.is_empty() else ""


def _uncounted_next(shown: MarketFigures, texts: Texts) -> str:
    if shown.counted_from is None or not shown.before_counting:
        return texts("markets.too_early_next")
    return texts("markets.before_counting_next", day=day_name(seoul(shown.counted_from).date(), texts.language))


def _day(shown: MarketFigures, chosen: date, texts: Texts) -> None:
    with st.container(border=True, key="market_card"):
        st.html(cards.section(texts("markets.day_chart"), texts("markets.day_chart_note")))
        uncounted = _uncounted(shown)
        if uncounted:
            st.html(cards.state(texts(uncounted), [_uncounted_next(shown, texts)]))
            return
        drawing = charts.sales_chart(shown.steps, shown.band, shown.incidents, shown.day_start, shown.day_end, texts)
        until = clock_until(shown.closed, shown.day_end)
        sentence = texts("markets.day_sentence", day=day_name(chosen, texts.language), time=until, sales=won(shown.sales, texts.language))
        chart(drawing, "market_chart", texts("markets.day_chart"), sentence)


def _days(shown: MarketFigures, market: dict[str, object], texts: Texts) -> None:
    with st.container(border=True, key="market_days_card"):
        st.html(cards.section(texts("markets.days"), texts("markets.days_note")))
        if shown.days.is_empty():
            st.html(cards.state(texts("markets.before_counting"), [_uncounted_next(shown, texts)]))
            return
        chart(bars.days_chart(shown.days, texts), "market_days", texts("markets.days"), _days_sentence(shown, market, texts))


def _days_sentence(shown: MarketFigures, market: dict[str, object], texts: Texts) -> str:
    mean = shown.market_day_sales
    if not market["cycle"] or mean is None:
        return texts("markets.days_sentence", amount=won(shown.ordinary_day_sales, texts.language))
    return texts("markets.market_days_sentence", held=won(mean, texts.language), other=won(shown.ordinary_day_sales, texts.language))


def _merchants(shown: MarketFigures, texts: Texts) -> None:
    with st.container(border=True, key="market_merchants_card"):
        st.html(cards.section(texts("markets.merchants", number=count(len(shown.merchants))), texts("markets.merchants_note", days=MERCHANT_DAYS, rows=ROWS)))
        if shown.merchants.is_empty():
            st.html(cards.caption(texts("markets.no_merchants")))
            return
        rows = [
            [row["merchant_id"], won(row["sales"], texts.language), count(row["approved"]), count(row["failed"]), won(row["failed_amount"], texts.language)]
            for row in shown.merchants.head(ROWS).iter_rows(named=True)
        ]
        heads = [texts(key) for key in ("table.merchant", "table.sales", "table.approved", "table.failed", "table.failed_amount")]
        st.html(cards.table(heads, rows, numbers={1, 2, 3, 4}, name=texts("markets.merchants", number=count(len(shown.merchants)))))


def _losses(settings: DashboardSettings, texts: Texts, market: dict[str, object]) -> None:
    with with_states(texts, settings), st.container(border=True, key="market_losses_card"):
        st.html(cards.section(texts("markets.losses"), texts("markets.losses_note", number=INCIDENTS)))
        listed = incident_list(settings.published)
        with st.spinner(texts("incidents.estimating")):
            own = [incident for incident in listed.incidents if within(incident.scope, incident.scope_name, market)][:INCIDENTS]
            known = [incident_page(settings.published, listed, incident) for incident in own]
        if not known:
            st.html(cards.caption(texts("markets.never_hit")))
            return
        language = texts.language
        rows = [
            [
                moment(past.incident.onset_at, language, listed.manifest.now),
                scope_of(past.incident, texts),
                won(past.lost, language) if past.lost is not None else texts("markets.not_hit"),
                spanned(unbroken(won(past.low, language)), unbroken(won(past.high, language)), language) if past.lost is not None else MISSING,
                percent(past.share, 0),
                _condition(past, texts),
            ]
            for past in losses_of(str(market["market_id"]), known)
        ]
        heads = [texts(key) for key in ("course.onset", "table.scope", "table.lost", "table.interval", "table.lost_share", "table.note")]
        st.html(cards.table(heads, rows, numbers={2, 3, 4}, name=texts("markets.losses")))


def _condition(past: PastLoss, texts: Texts) -> str:
    """What stands beside a figure that does not hold as it is: in its own row, since the incidents of a table differ in it."""
    if past.lost is None:
        return ""
    incident = past.incident
    whole = "" if incident.sales_known else texts("markets.whole_market", scope=texts.named("scope", incident.scope).lower())
    return joined(whole, texts("incidents.holds_as_before") if past.launch else "")
