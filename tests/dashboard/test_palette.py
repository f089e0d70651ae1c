"""Colours: readable in both themes, and told apart by whoever sees red or green less.

Contrast is WCAG 2.2's; distances are in OKLab (times 100) after Machado et al. 2009's simulation at full severity.
"""

import itertools
import math
import re
from pathlib import Path

import pytest

TOKENS = (Path(__file__).parents[2] / "dashboard" / "static" / "styles" / "tokens.css").read_text()
Triple = tuple[float, float, float]

SIGHT: dict[str, tuple[Triple, Triple, Triple]] = {
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


def theme(name: str) -> dict[str, str]:
    light, dark = TOKENS.split(':root[data-theme="dark"]')
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light if name == "light" else dark))


def linear(colour: str) -> Triple:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return red, green, blue


def luminance(colour: str) -> float:
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))


def contrast(one: str, other: str) -> float:
    lums = sorted(
        sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True)) for colour in (one, other)
    )
    return (lums[1] + 0.05) / (lums[0] + 0.05)


def oklab(colour: str, sight: str) -> Triple:
    given = linear(colour)
    r, g, b = (min(1, max(0, sum(w * c for w, c in zip(row, given, strict=True)))) for row in SIGHT[sight])
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    middle = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def distance(one: str, other: str, sight: str) -> float:
    return 100 * math.dist(oklab(one, sight), oklab(other, sight))


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_has_contrast_aa(name: str) -> None:
    colours = theme(name)
    for text, ground in itertools.product(("text", "text-2", "text-3"), ("bg", "panel", "raised", "sunken", "hover")):
        assert contrast(colours[text], colours[ground]) >= 4.5, f"{text} on {ground}"
    for kind in ("ok", "warn", "error", "accent"):
        assert contrast(colours[kind], colours["panel"]) >= 4.5, kind
        assert contrast(colours[kind], colours[f"{kind}-soft"]) >= 4.5, f"{kind} on its soft ground"
    assert contrast(colours["text-2"], colours["accent-soft"]) >= 4.5
    assert contrast(colours["text-3"], colours["accent-soft"]) >= 4.5
    assert contrast(colours["accent-text"], colours["accent"]) >= 4.5
    assert contrast(colours["control"], colours["panel"]) >= 3


@pytest.mark.parametrize("name", ["light", "dark"])
def test_marks_stand_out_from_the_panel(name: str) -> None:
    colours = theme(name)
    for mark in [*(f"c{at}" for at in range(1, 11)), "other", "bad", "p50", "p90", "p95", "p99"]:
        assert contrast(colours[mark], colours["panel"]) >= 3, mark


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHT)
def test_categories_are_told_apart(name: str, sight: str) -> None:
    colours = theme(name)
    slots = [colours[f"c{at}"] for at in range(1, 8)]
    assert min(distance(one, other, sight) for one, other in itertools.combinations(slots, 2)) >= 9
    assert min(distance(one, other, sight) for one, other in itertools.pairwise(slots)) >= 16
    more = [colours[f"c{at}"] for at in range(8, 11)]
    assert min(distance(one, other, sight) for one, other in itertools.combinations([*slots, *more], 2)) >= 8
    assert distance(colours["c1"], colours["bad"], sight) >= 16, "ok and error lie on each other"


@pytest.mark.parametrize("name", ["light", "dark"])
def test_percentiles_are_one_hue_in_order(name: str) -> None:
    colours = theme(name)
    ladder = [oklab(colours[level], "all")[0] for level in ("p50", "p90", "p95", "p99")]
    assert ladder == sorted(ladder, reverse=name == "light")
    assert min(abs(one - other) for one, other in itertools.pairwise(ladder)) >= 0.09
