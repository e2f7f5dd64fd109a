"""Pictures for a notebook's cell: static, so that they are right without JavaScript, offline and untrusted."""

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.run.completion import GroupRecord
from workbench.run.record import StepRecord
from workbench.run.session import Session
from workbench.run.store import RunStore
from workbench.views.clip_svg import clip_svg
from workbench.views.reward_svg import reward_svg
from workbench.views.table import group_html
from workbench.views.theme import THEMES
from workbench.views.words import LANGUAGES


@dataclass(frozen=True)
class Page:
    """HTML that a notebook shows when it is a cell's last value; `summary` is what a terminal shows."""

    html: str
    summary: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.summary


@dataclass(frozen=True)
class Picture:
    """An SVG that a notebook shows when it is a cell's last value."""

    svg: str
    summary: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return self.summary


def show(
    thing: GroupRecord | StepRecord | RunStore | Session, *, theme: str = "light", lang: str = "en"
) -> Page | Picture:
    """Return something a notebook draws: a group's table, all groups of a step, or a run's reward over the steps.

    Raises TypeError for anything else, ValueError for a theme or a language that there is not.
    """
    _check_look(theme, lang)
    if isinstance(thing, Session):
        thing = thing.store
    if isinstance(thing, RunStore):
        rows = thing.rows()
        picture = reward_svg(rows, thing.events(), theme=theme, lang=lang)
        return Picture(picture, f"{thing.title}: {len(rows)} steps")
    if not isinstance(thing, GroupRecord | StepRecord):
        takes = "a GroupRecord, a StepRecord, a RunStore or a Session"
        raise TypeError(f"show takes {takes}, not a {type(thing).__name__}")
    groups: Sequence[GroupRecord] = thing.groups if isinstance(thing, StepRecord) else (thing,)
    html = "".join(group_html(group, theme=theme, lang=lang) for group in groups)
    return Page(html, "; ".join(f"{group.prompt}: {len(group.completions)} completions" for group in groups))


def show_clip(
    group: GroupRecord, *, update: int = -1, method: str = "grpo", theme: str = "light", lang: str = "en"
) -> Picture:
    """Return the group's tokens on the curve of their loss, as inner update `update` saw them.

    `method` is the run's; one that has no ratio gets a sentence in place of the curve.
    Raises TypeError and ValueError as `show` does, IndexError if there is no such inner update.
    """
    _check_look(theme, lang)
    if not isinstance(group, GroupRecord):
        raise TypeError(f"show_clip takes a GroupRecord, not a {type(group).__name__}")
    picture = clip_svg(group, update=update, method=method, theme=theme, lang=lang)
    return Picture(picture, f"{group.prompt}: clipped objective")


def _check_look(theme: str, lang: str) -> None:
    for name, value, allowed in (("theme", theme, tuple(THEMES)), ("lang", lang, LANGUAGES)):
        if value not in allowed:
            raise ValueError(f"{name}={value!r} is none of {', '.join(allowed)}")
