"""The command line that serves the dashboard."""

import sys
from pathlib import Path

_OPTIONS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "client.toolbarMode": "minimal",
    "runner.magicEnabled": "false",
    # A full collection after every run took nine tenths of a refresh; Python collects by itself, and memory stays as it is.
    "runner.postScriptGC": "false",
    # How much older than its time an estimate may be shown while a new one is made.
    "runner.cacheBackgroundRefreshTTLMultiplier": "12",
    "theme.base": "light",
    "theme.primaryColor": "#256ef4",
    "theme.backgroundColor": "#ffffff",
    "theme.secondaryBackgroundColor": "#f4f5f6",
    "theme.textColor": "#1e2124",
    "theme.borderColor": "#cdd1d5",
    "theme.dataframeHeaderBackgroundColor": "#f4f5f6",
    "theme.baseRadius": "6px",
    "theme.font": "'Pretendard GOV', Pretendard, 'Apple SD Gothic Neo', 'Malgun Gothic', NanumGothic, 'Noto Sans KR', system-ui, sans-serif",
}


def command(host: str = "127.0.0.1", port: int = 8501) -> list[str]:
    """The arguments of the process that serves the dashboard at ``host:port``; options are flags, so the working folder does not matter."""
    flags = [f"--{name}={value}" for name, value in {**_OPTIONS, "server.address": host, "server.port": str(port)}.items()]
    return [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("server.py")), *flags]
