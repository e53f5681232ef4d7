"""Every visible text, by key, in Korean and English."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

LANGUAGES = ("ko", "en")


@dataclass(frozen=True)
class Texts:
    """The texts of one language: ``texts("live.title")``; values fill the places in braces."""

    language: str
    entries: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key``.

        Raises:
            LookupError: there is no such text.
        """
        if key not in self.entries:
            raise LookupError(f"There is no text {key!r} in texts/{self.language}.toml. Add it to every language.")
        return self.entries[key].format(**values)

    def named(self, group: str, name: str) -> str:
        """The text for a name that comes from data, such as the kind of an incident; an unknown name stands for itself, and ``unknown`` for what nobody told."""
        return self.entries.get(f"{group}.{name}", self.entries["app.unknown"] if name == "unknown" else name)

    def placed(self, scope: str, name: str) -> str:
        """Where something was: the scope, and within it what it is called."""
        return f"{self.named('scope', scope)} {self.named(scope, name)}".strip()


@cache
def texts_in(language: str) -> Texts:
    """The texts of ``language`` (``ko`` or ``en``)."""
    folder = resources.files("dashboard").joinpath("texts")
    files = [
        tomllib.loads(folder.joinpath(name).read_text(encoding="utf-8")) for name in (f"{language}.toml", f"report.{language}.toml", f"ahead.{language}.toml")
    ]
    return Texts(language, {f"{group}.{name}": text for raw in files for group, entries in raw.items() for name, text in entries.items()})
