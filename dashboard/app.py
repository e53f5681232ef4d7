"""The dashboard: pages, and what is around them. Started by ``python -m dashboard``."""

from functools import partial
from pathlib import Path

import streamlit as st

from dashboard import access, audit
from dashboard.frame import chosen_texts, menu, top
from dashboard.settings import DashboardSettings
from dashboard.views import compare, data, failures, forecast, incidents, live, markets, report, status

_ICON = Path(__file__).with_name("icon.svg")

_PAGES = {
    "live": ("live.nav", live.page),
    "incidents": ("incidents.nav", incidents.page),
    "markets": ("markets.nav", markets.page),
    "failures": ("failures.nav", failures.page),
    "forecast": ("ahead.nav", forecast.page),
    "compare": ("compare.nav", compare.page),
    "report": ("report.nav", report.page),
    "data": ("data.nav", data.page),
    "status": ("status.nav", status.page),
}
"""A page's path in the address, the text that names it, and what shows it."""


def main() -> None:
    """Run the page that the link names."""
    settings = DashboardSettings.read()
    texts = chosen_texts(settings)
    pages = {path: st.Page(partial(shown, settings, texts), title=texts(name), url_path=path, default=path == "live") for path, (name, shown) in _PAGES.items()}
    # Streamlit's own menu lies over the page on a phone, and stays there after a choice and on every page opened later.
    current = st.navigation(list(pages.values()), position="hidden")
    # The page's name first: it is what a tab and a screen reader tell one page from another by.
    st.set_page_config(page_title=f"{current.title} – {texts('app.name')}", page_icon=str(_ICON), layout="wide", initial_sidebar_state="collapsed")
    menu(list(pages.values()))
    top(texts)
    if settings.public_status and current.url_path == "status":
        current.run()
    elif access.admitted(settings, texts):
        audit.seen(settings, current.url_path or "live")
        current.run()


main()
