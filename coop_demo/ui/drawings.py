"""Small drawings of what will appear, for where nothing does yet; in the page's own colours."""

from collections.abc import Sequence

from coop_demo.ui.meanings import explained


def promise(drawing: str, lead: str, lines: Sequence[str]) -> str:
    """What to do, what will stand here then, and a picture of it."""
    items = "".join(f"<li>{explained(line)}</li>" for line in lines)
    words = f"<div><p>{explained(lead)}</p><ul>{items}</ul></div>"
    return f'<div class="cs-promise">{drawing}{words}</div>'


def _drawing(width: int, height: int, inside: str) -> str:
    return (
        f'<svg class="cs-drawing" viewBox="0 0 {width} {height}" aria-hidden="true">{inside}</svg>'
    )


def order() -> str:
    """Pictures from bright to dark, with their places, and a line under them."""
    parts = []
    for place in range(6):
        x, strength = 6 + place * 38, 1 - place * 0.15
        parts.append(
            f'<rect x="{x}" y="10" width="32" height="32" rx="6" class="cs-draw-learned" '
            f'opacity="{strength:.2f}"/><circle cx="{x + 16}" cy="26" r="{10 - place}" '
            f'class="cs-draw-paper"/><text x="{x + 16}" y="58">{place + 1}</text>'
        )
    axis = '<path d="M8 72 H222 l-7 -5 m7 5 l-7 5" class="cs-draw-line"/>'
    return _drawing(236, 82, "".join(parts) + axis)


def maps() -> str:
    """A picture, and the same with a glow where the model looked."""
    scene = (
        '<rect x="{x}" y="8" width="88" height="70" rx="8" class="cs-draw-back"/>'
        '<path d="M{x} 62 l24 -22 18 14 20 -24 26 30 v10 a8 8 0 0 1 -8 8 h-72 a8 8 0 0 1 -8 -8z" '
        'class="cs-draw-quiet"/><circle cx="{sun}" cy="26" r="9" class="cs-draw-words"/>'
    )
    glow = "".join(
        f'<circle cx="212" cy="26" r="{radius}" class="cs-draw-glow"/>' for radius in (11, 17, 23)
    )
    arrow = '<path d="M104 43 H128 l-7 -5 m7 5 l-7 5" class="cs-draw-line"/>'
    left, right = scene.format(x=8, sun=76), scene.format(x=144, sun=212)
    return _drawing(240, 86, left + arrow + right + glow)


def bars() -> str:
    """Methods side by side, each with the interval of its accuracy."""
    parts = []
    for row, (length, kind) in enumerate(
        ((190, "learned"), (164, "quiet"), (150, "quiet"), (96, "words"))
    ):
        y = 8 + row * 19
        parts.append(
            f'<rect x="6" y="{y}" width="226" height="12" rx="6" class="cs-draw-back"/>'
            f'<rect x="6" y="{y}" width="{length}" height="12" rx="6" class="cs-draw-{kind}"/>'
            f'<path d="M{length - 12} {y + 6} h32 m0 -4 v8 m-32 -8 v8" class="cs-draw-line"/>'
        )
    return _drawing(240, 84, "".join(parts))
