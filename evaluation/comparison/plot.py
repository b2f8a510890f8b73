"""How a run differs from another on each topic, as an SVG: a bar for each, from the largest win to the largest loss."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 12, 34, 28
_WIN, _LOSS = "#2166ac", "#b2182b"


def difference_plot(rows: Sequence[tuple[str, float, float]], measure: str, first: str, run: str) -> str:
    """The plot of (topic, the first run's value, the run's); pointing at a bar tells its topic and values."""
    falling = sorted(rows, key=lambda row: row[1] - row[2])
    largest = max((abs(after - before) for _, before, after in rows), default=0.0) or 1.0
    middle, half = (_TOP + _HEIGHT - _BOTTOM) / 2, (_HEIGHT - _BOTTOM - _TOP) / 2
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(falling))
    marks = []
    for place, (topic, before, after) in enumerate(falling):
        height = (after - before) / largest * half
        if not height:
            continue
        x, y, color = _LEFT + place * step, middle - max(height, 0), _WIN if height > 0 else _LOSS
        marks.append(
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(step * 0.9, 0.1):.2f}" height="{abs(height):.2f}" '
            f'fill="{color}"><title>{escape(topic)}: {before:.4f} to {after:.4f}</title></rect>'
        )
    for value in (largest, largest / 2, 0.0, -largest / 2, -largest):
        y = middle - value / largest * half
        marks.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.2f}" y2="{y:.2f}" stroke="#0003"/>')
        marks.append(f'<text x="{_LEFT - 6}" y="{y + 4:.2f}" text-anchor="end">{value:+.3f}</text>')
    title = f"{measure}: {run} minus {first}"
    below = f"{len(falling):,} topics, from the largest win to the largest loss"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>',
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>',
            *marks,
            f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{below}</text>',
            "</svg>\n",
        ]
    )
