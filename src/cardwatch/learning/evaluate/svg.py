"""Drawing in SVG: axes, lines, steps, bars and dots. Colours come from the page's style, so that it may be dark.

Every text that is passed in is escaped here; nothing else in a drawing comes from outside.
"""

import html
import math
from collections.abc import Sequence

import msgspec

WIDTH, HEIGHT = 440, 300
"""Units of the drawing, which scales to the page; letters of 12 stay legible on a phone."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 24, 14, 46

Point = tuple[float, float]


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """A direction of a drawing: what it shows, from where to where, and the marks on it."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    """Values and their words."""
    scale: str = "linear"
    """"linear", "log", or "logit" (for probabilities)."""

    def place(self, value: float) -> float:
        """Return where a value lies, 0 to 1; what lies outside is put on the border."""
        low, high = _scaled(self.low, self.scale), _scaled(self.high, self.scale)
        clipped = min(max(value, self.low), self.high)
        return (_scaled(clipped, self.scale) - low) / (high - low) if high > low else 0.0


def _scaled(value: float, scale: str) -> float:
    if scale == "linear":
        return value
    return math.log(value) if scale == "log" else math.log(value / (1 - value))


class Drawing:
    """A figure with two axes, to which marks are added."""

    def __init__(self, x: Axis, y: Axis, *, description: str) -> None:
        """Draw the axes; the description is what a screen reader says."""
        self._x, self._y, self._description = x, y, description
        self._parts = [*self._grid()]

    def line(self, points: Sequence[Point], style: str, *, step: bool = False) -> None:
        """Join points; as a stair, each height lasts until the next point."""
        if not points:
            return
        first = self._at(points[0])
        path = [f"M{first[0]:.1f} {first[1]:.1f}"]
        for point in points[1:]:
            across, up = self._at(point)
            path.append(f"H{across:.1f}V{up:.1f}" if step else f"L{across:.1f} {up:.1f}")
        self._parts.append(f'<path class="line {style}" d="{"".join(path)}"/>')

    def bars(self, values: Sequence[tuple[float, float, float]], style: str) -> None:
        """Draw bars from the ground: their left and right, and how high they are."""
        ground = self._at((self._x.low, self._y.low))[1]
        for left, right, height in values:
            if height > self._y.low:
                start, top = self._at((left, height))
                end, _ = self._at((right, height))
                size = f'width="{max(0.5, end - start - 0.6):.1f}" height="{ground - top:.1f}"'
                self._parts.append(f'<rect class="{style}" x="{start:.1f}" y="{top:.1f}" {size}/>')

    def dot(self, point: Point, style: str, *, radius: float = 4.5) -> None:
        """Draw a dot."""
        across, up = self._at(point)
        self._parts.append(f'<circle class="{style}" cx="{across:.1f}" cy="{up:.1f}" r="{radius:.1f}"/>')

    def upright(self, value: float, words: str, *, height: float = 1.0) -> None:
        """Draw a line over the whole height, with words at a height (0 to 1) on the side that has room."""
        across, top = self._at((value, self._y.high))
        ground = self._at((value, self._y.low))[1]
        anchor, shift = ("end", -5) if self._x.place(value) > 0.55 else ("start", 5)
        self._parts.append(f'<path class="line marker" d="M{across:.1f} {top:.1f}V{ground:.1f}"/>')
        self.words(across + shift, top + 11 + (1 - height) * (ground - top), words, anchor=anchor, style="strong")

    def words_at(self, point: Point, words: str, *, anchor: str = "start", shift: tuple[float, float] = (8, 4)) -> None:
        """Write beside a point of the axes."""
        across, up = self._at(point)
        self.words(across + shift[0], up + shift[1], words, anchor=anchor, style="strong")

    def words(self, across: float, up: float, words: str, *, anchor: str = "middle", style: str = "") -> None:
        """Write at a place of the drawing, in its own units."""
        place = f'x="{across:.1f}" y="{up:.1f}" text-anchor="{anchor}"'
        self._parts.append(f'<text class="{style}" {place}>{html.escape(words)}</text>')

    def render(self) -> str:
        """Return the SVG element."""
        label = html.escape(self._description, quote=True)
        return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(self._parts)}</svg>'

    def _at(self, point: Point) -> Point:
        return (
            _LEFT + self._x.place(point[0]) * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - self._y.place(point[1]) * (HEIGHT - _TOP - _BOTTOM),
        )

    def _grid(self) -> list[str]:
        right, ground = WIDTH - _RIGHT, HEIGHT - _BOTTOM
        parts = []
        for value, words in self._y.ticks:
            up = self._at((self._x.low, value))[1]
            parts.append(f'<path class="grid" d="M{_LEFT} {up:.1f}H{right}"/>')
            parts.append(f'<text x="{_LEFT - 7}" y="{up + 4:.1f}" text-anchor="end">{html.escape(words)}</text>')
        for value, words in self._x.ticks:
            across = self._at((value, self._y.low))[0]
            parts.append(f'<path class="axis" d="M{across:.1f} {ground}v4"/>')
            parts.append(f'<text x="{across:.1f}" y="{ground + 17}" text-anchor="middle">{html.escape(words)}</text>')
        parts.append(f'<path class="axis" d="M{_LEFT} {ground}H{right}"/>')
        middle, height = (_LEFT + right) / 2, (_TOP + ground) / 2
        parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(self._x.label)}</text>')
        turned = f'transform="translate(13 {height}) rotate(-90)" text-anchor="middle"'
        parts.append(f"<text {turned}>{html.escape(self._y.label)}</text>")
        return parts


def steps_of(highest: float, *, wanted: int = 4) -> tuple[float, ...]:
    """Return round numbers from 0 that reach over a value, some `wanted` of them."""
    if not highest > 0:
        return (0.0, 1.0)
    raw = highest / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    size = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    return tuple(size * number for number in range(math.ceil(highest / size - 1e-9) + 1))
