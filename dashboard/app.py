"""The dashboard: pages, and what is around them. Started by ``python -m dashboard``."""

from functools import partial
from pathlib import Path

import streamlit as st

from dashboard.frame import chosen_texts, top
from dashboard.settings import DashboardSettings
from dashboard.views import incidents, live

_ICON = Path(__file__).with_name("icon.svg")


def main() -> None:
    """Run the page that the link names."""
    settings = DashboardSettings.read()
    texts = chosen_texts(settings)
    st.set_page_config(page_title=texts("app.name"), page_icon=str(_ICON), layout="wide", initial_sidebar_state="collapsed")
    pages = [
        st.Page(partial(live.page, settings, texts), title=texts("live.nav"), url_path="live", default=True),
        st.Page(partial(incidents.page, settings, texts), title=texts("incidents.nav"), url_path="incidents"),
    ]
    current = st.navigation(pages, position="top")
    top(texts)
    current.run()


main()
