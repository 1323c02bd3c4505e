"""Geometry of the plots: numbers in, rectangles and labels out. The template draws them and stands a table beside."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from urllib.parse import quote

from approvals.values import Moment, Value
from bot.dashboard.words import OUTCOMES
from records.statistics import Day, Waiting

WIDTH, HEIGHT = 960, 220
LEFT, BOTTOM, TOP = 34.0, 22.0, 8.0
MOST_BARS = 20
MOST_DAYS = 92


class Bar(Value):
    """A rectangle. `kind` is its class in the style sheet."""

    x: float
    y: float
    width: float
    height: float
    kind: str = ""


class Label(Value):
    """A text at a place."""

    x: float
    y: float
    text: str


class Columns(Value):
    """Decisions by day, stacked by outcome."""

    bars: tuple[Bar, ...]
    days: tuple[Label, ...]
    lines: tuple[Label, ...]
    kinds: tuple[str, ...]
    rows: tuple[tuple[date, Mapping[str, int]], ...]


class WaitingBar(Value):
    """The requests that wait under one heading, as a bar of `width` percent."""

    text: str
    count: int
    oldest: Moment | None
    width: float
    href: str = ""


def nice(most: int) -> int:
    """Return the top of a scale: 1, 2 or 5 times a power of ten, in four steps at least."""
    step = 1
    while step * 4 < most:
        digits = str(step)
        step = int(str({"1": 2, "2": 5, "5": 10}[digits[0]]) + digits[1:])
    return max(step * -(-most // step), step)


def columns(found: Sequence[Day], since: date, until: date) -> Columns:
    """Return the columns from one day to another, both shown; days without a decision stay empty."""
    days = (until - since).days + 1
    first = until - timedelta(days=min(days, MOST_DAYS) - 1)
    known = {each.day: each.outcomes for each in found if each.day >= first}
    shown = tuple((first + timedelta(days=number)) for number in range((until - first).days + 1))
    most = max((sum(outcomes.values()) for outcomes in known.values()), default=0)
    top = nice(most or 1)
    slot = (WIDTH - LEFT) / len(shown)
    kinds = tuple(dict.fromkeys([*OUTCOMES, *(kind for outcomes in known.values() for kind in outcomes)]))
    bars = [
        bar
        for number, day in enumerate(shown)
        for bar in _stack(known.get(day, {}), kinds, LEFT + number * slot, slot, top)
    ]
    every = max(1, -(-len(shown) // 8))
    labels = [
        Label(x=round(LEFT + (number + 0.5) * slot, 1), y=HEIGHT - 6, text=f"{day.day} {day:%b}")
        for number, day in enumerate(shown)
        if number % every == 0
    ]
    return Columns(
        bars=tuple(bars),
        days=tuple(labels),
        lines=tuple(Label(x=LEFT - 6, y=_height(value, top), text=f"{value:,}") for value in _steps(top)),
        kinds=tuple(kind for kind in kinds if any(kind in outcomes for outcomes in known.values())),
        rows=tuple(sorted(known.items(), reverse=True)),
    )


def _stack(outcomes: Mapping[str, int], kinds: Iterable[str], x: float, slot: float, top: int) -> list[Bar]:
    found: list[Bar] = []
    total = 0
    for kind in kinds:
        if not (count := outcomes.get(kind, 0)):
            continue
        low, high = _height(total, top), _height(total + count, top)
        width = min(slot * 0.72, 26)
        found.append(
            Bar(
                x=round(x + (slot - width) / 2, 1),
                y=round(high, 1),
                width=round(width, 1),
                height=round(low - high, 1),
                kind=kind,
            )
        )
        total += count
    return found


def _height(value: int, top: int) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top), 1)


def _steps(top: int) -> list[int]:
    step = max(1, top // 4)
    return list(range(0, top + 1, step))


def bars(found: Iterable[Waiting], names: Mapping[str, str], address: str = "") -> tuple[WaitingBar, ...]:
    """Return a bar for each, the longest of 100; `address` is where its name leads."""
    shown = tuple(found)[:MOST_BARS]
    most = max((each.count for each in shown), default=0) or 1
    return tuple(
        WaitingBar(
            text=names.get(each.what, each.what),
            count=each.count,
            oldest=each.oldest,
            width=round(max(1.0, 100 * each.count / most), 1),
            href=f"{address}{quote(each.what)}" if address else "",
        )
        for each in shown
    )


def shares(outcomes: Mapping[str, int]) -> tuple[Bar, ...]:
    """Return one band of WIDTH, divided by how requests ended."""
    total = sum(outcomes.values()) or 1
    found: list[Bar] = []
    x = 0.0
    for kind in (*OUTCOMES, *(kind for kind in outcomes if kind not in OUTCOMES)):
        width = WIDTH * outcomes.get(kind, 0) / total
        if width:
            found.append(Bar(x=round(x, 1), y=0, width=round(max(width - 1.5, 1), 1), height=22, kind=kind))
        x += width
    return tuple(found)
