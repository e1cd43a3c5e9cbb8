"""Small lines without axes, as paths of SVG, which need no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT, EDGE = 320, 44, 3
Point = tuple[float, float]
"""An instant (seconds since 1970), and a value."""


@dataclass(frozen=True)
class Frame:
    """What a line is drawn in: its time from left to right, and its values from bottom to top."""

    start: float
    end: float
    low: float
    high: float

    def x(self, at: float) -> float:
        """Return the place of an instant."""
        return WIDTH * (at - self.start) / ((self.end - self.start) or 1.0)

    def y(self, value: float) -> float:
        """Return the height of a value; where all are equal, the middle."""
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)


def path(points: Sequence[Point], frame: Frame, gap: float = float("inf")) -> str:
    """Return the path of a line, for a `d` of SVG; empty without points.

    Args:
        points: in the order of time.
        frame: what they are drawn in.
        gap: seconds; a longer time between two points interrupts the line.
    """
    if not points:
        return ""

    def place(at: float, value: float) -> str:
        return f"{frame.x(at):.1f} {frame.y(value):.1f}"

    parts = [f"M{place(*points[0])}h.1"]
    for (before, _), (at, value) in pairwise(points):
        parts.append(f"M{place(at, value)}h.1" if at - before > gap else f"L{place(at, value)}")
    return "".join(parts)
