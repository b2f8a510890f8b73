"""The figures of a matrix as an SVG: ours against the expected ones, and each difference in its tolerance band."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from opensearch_multivector.evaluation.reproduce.outcomes import Figure

_LINE, _TOP, _BOTTOM = 20, 52, 36
_LABEL, _PANEL, _GAP, _VALUE = 330, 300, 40, 70
_WIDTH = _LABEL + 2 * _PANEL + _GAP + _VALUE + 20
_WITHIN, _OUTSIDE, _MUTED = "#1a7f37", "#b2182b", "#666"
_REACH = 3.0  # tolerances to either side; what lies beyond is drawn at the edge
_LONGEST = 46  # characters of a label


def chart(title: str, figures: Sequence[tuple[str, Figure]]) -> str:
    """A line for each (row's name, figure). Left: the expected value as a bar, ours as a dot. Right: ours minus the
    expected in units of the row's tolerance, whose band is shaded; the number beside it is the difference itself.

    Pointing at a line tells it in full.
    """
    height = _TOP + _LINE * len(figures) + _BOTTOM
    left, right = _LABEL, _LABEL + _PANEL + _GAP
    bottom = height - _BOTTOM
    marks = [*_axes(left, right, bottom)]
    for place, (name, figure) in enumerate(figures):
        marks += _line(name, figure, _TOP + (place + 0.5) * _LINE, left, right)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
            f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>',
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="{left}" y="18" font-size="13">ours (dot) and expected (bar)</text>',
            f'<text x="{right}" y="18" font-size="13">ours minus expected, in tolerances</text>',
            *marks,
            "</svg>\n",
        ]
    )


def _axes(left: float, right: float, bottom: float) -> list[str]:
    """The tolerance band and the grids, under everything."""
    middle, unit = right + _PANEL / 2, _PANEL / 2 / _REACH
    marks = [
        f'<rect x="{middle - unit:.1f}" y="{_TOP}" width="{2 * unit:.1f}" height="{bottom - _TOP}" fill="#1a7f3722"/>'
    ]
    ticks = [(left + _PANEL * value / 4, f"{value / 4:g}") for value in range(5)]
    ticks += [(middle + value * unit, f"{value:+d}" if value else "0") for value in range(-3, 4)]
    for x, label in ticks:
        marks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}" stroke="#0002"/>')
        marks += [
            f'<text x="{x:.1f}" y="{y}" text-anchor="middle" fill="{_MUTED}">{label}</text>'
            for y in (_TOP - 8, bottom + 16)
        ]
    return marks


def _line(name: str, figure: Figure, y: float, left: float, right: float) -> list[str]:
    color = _WITHIN if figure.within else _OUTSIDE
    label = f"{name}  {figure.measure}"
    short = label if len(label) <= _LONGEST else f"{name[: _LONGEST - len(figure.measure) - 3]}…  {figure.measure}"
    verdict = "within" if figure.within else "outside"
    told = (
        f"{label}: {figure.ours:.4f}, expected {figure.expected:.4f}, difference {figure.shown}, "
        f"{verdict} ± {figure.tolerance:g}"
    )
    ours, expected = (left + _PANEL * min(max(value, 0), 1) for value in (figure.ours, figure.expected))
    times = figure.difference / figure.tolerance
    x = right + _PANEL / 2 * (1 + min(max(times, -_REACH), _REACH) / _REACH)
    return [
        f"<g><title>{escape(told)}</title>",
        f'<rect x="0" y="{y - _LINE / 2:.1f}" width="{_WIDTH}" height="{_LINE}" fill="#fff0"/>',
        f'<text x="{left - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(short)}</text>',
        f'<line x1="{expected:.1f}" x2="{expected:.1f}" y1="{y - 7:.1f}" y2="{y + 7:.1f}" stroke="#000" '
        'stroke-width="2"/>',
        f'<circle cx="{ours:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>',
        _mark(x, y, times, color),
        f'<text x="{right + _PANEL + 12}" y="{y + 4:.1f}" fill="{color}">{figure.shown}</text></g>',
    ]


def _mark(x: float, y: float, times: float, color: str) -> str:
    """A dot in the band, a diamond outside of it, an arrow beyond the axis: not told by colour alone."""
    if abs(times) > _REACH:
        tip = 6 if times > 0 else -6
        return f'<path d="M{x:.1f} {y - 5:.1f}l{tip} 5l{-tip} 5z" fill="{color}"/>'
    if color == _OUTSIDE:
        return f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z" fill="{color}"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>'
