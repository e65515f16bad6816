"""What a drawn figure shows: its pixels, its texts, and whether they can be read."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
from matplotlib import image
from matplotlib.figure import Figure
from matplotlib.text import Text


def rendered(figure: Figure) -> np.ndarray:
    """The pixels (H, W, 4) that saving the figure gives."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    pixels = image.imread(buffer)
    assert pixels[..., :3].std() > 0.01, "the picture is blank"
    return np.asarray(pixels)


def texts(figure: Figure) -> list[Text]:
    """Every visible text of a figure that has been drawn."""
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def assert_nothing_is_cut_off(figure: Figure) -> None:
    rendered(figure)
    drawn = figure.get_tightbbox()
    paper = figure.bbox_inches
    assert paper.x0 <= drawn.x0 < drawn.x1 <= paper.x1, (drawn, paper)
    assert paper.y0 <= drawn.y0 < drawn.y1 <= paper.y1, (drawn, paper)


def assert_nothing_overlaps(labels: list[Text]) -> None:
    for one, other in combinations(labels, 2):
        a, b = one.get_window_extent(), other.get_window_extent()
        assert not a.overlaps(b), f"{one.get_text()!r} overlaps {other.get_text()!r}"
