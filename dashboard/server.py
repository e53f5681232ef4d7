"""What ``streamlit run`` serves: the pages of ``app.py``, and the API beside them on the same port."""

from pathlib import Path

import streamlit as st
from starlette.routing import Mount

from dashboard.api.serving import api
from dashboard.settings import DashboardSettings

app = st.App(Path(__file__).with_name("app.py"), routes=[Mount("/api/v1", app=api(DashboardSettings.read()))])
