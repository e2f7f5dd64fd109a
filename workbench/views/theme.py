"""Colours and fonts of every figure. The page's own are in `web/static/style.css`; the tests hold the two equal."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Blue and orange mean only up and down, purple only KL, teal only entropy; reward is grey."""

    sheet: str
    ink: str
    ink2: str
    ink3: str
    line: str
    line2: str
    up: str
    dn: str
    kl: str
    entropy: str
    s1: str
    s2: str
    s3: str
    dead: str
    band: str


THEMES: Mapping[str, Theme] = {
    "light": Theme(
        sheet="#FFFFFF",
        ink="#1A1C20",
        ink2="#525761",
        ink3="#6A707B",
        line="#E5E5E0",
        line2="#CFCFC9",
        up="#0072B2",
        dn="#D55E00",
        kl="#8A4F9E",
        entropy="#2F7F79",
        s1="#566170",
        s2="#98A2B0",
        s3="#CDD3DB",
        dead="#ECECEA",
        band="#EEF1F4",
    ),
    "dark": Theme(
        sheet="#16181B",
        ink="#ECEDEE",
        ink2="#B0B5BE",
        ink3="#8F959F",
        line="#292C31",
        line2="#3D4147",
        up="#56B4E9",
        dn="#F09242",
        kl="#C79BDD",
        entropy="#6CC0B8",
        s1="#AEB7C4",
        s2="#717B89",
        s3="#474E59",
        dead="#25272B",
        band="#21262B",
    ),
}
FONT = "Inter, PingFang SC, Microsoft YaHei, Noto Sans CJK SC, WenQuanYi Micro Hei, system-ui, sans-serif"
