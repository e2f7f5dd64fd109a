"""Pictures for a notebook's cell: static, so that they are right without JavaScript, offline and untrusted."""

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.run.record import GroupRecord, StepRecord
from workbench.run.store import RunStore
from workbench.views.clip_svg import clip_svg
from workbench.views.reward_svg import reward_svg
from workbench.views.table import group_html


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


def show(thing: GroupRecord | StepRecord | RunStore, *, theme: str = "light", lang: str = "en") -> Page | Picture:
    """Return something a notebook draws: a group's table, all groups of a step, or a run's reward over the steps."""
    if isinstance(thing, RunStore):
        rows = thing.rows()
        picture = reward_svg(rows, thing.events(), theme=theme, lang=lang)
        return Picture(picture, f"{thing.title}: {len(rows)} steps")
    groups: Sequence[GroupRecord] = thing.groups if isinstance(thing, StepRecord) else (thing,)
    html = "".join(group_html(group, theme=theme, lang=lang) for group in groups)
    return Page(html, "; ".join(f"{group.prompt}: {len(group.completions)} completions" for group in groups))


def show_clip(
    group: GroupRecord, *, update: int = -1, method: str = "grpo", theme: str = "light", lang: str = "en"
) -> Picture:
    """Return the group's tokens on the curve of their loss, as inner update `update` saw them.

    `method` is the run's; one that has no ratio gets a sentence in place of the curve.
    """
    picture = clip_svg(group, update=update, method=method, theme=theme, lang=lang)
    return Picture(picture, f"{group.prompt}: clipped objective")
