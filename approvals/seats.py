"""Seats: which yeses a stage needs, and from whom. Pure.

One person fills one seat, whatever groups they are in. So counting is a matching of people to seats: taking each vote
for the first seat that it fits would make the outcome depend on the order of the clicks, and could end in a dead end.
"""

from collections.abc import Sequence

from approvals.decision import Approval
from approvals.people import EmailAddress, Principal, UserGroup
from approvals.request import Seat, Stage
from approvals.values import Value


def key_of(principal: Principal) -> str:
    """Return a principal as a judgement names it: `group S1`, `e-mail ann@example.com`, `user U1`."""
    if isinstance(principal, UserGroup):
        return f"group {principal.group}"
    return f"e-mail {principal.email}" if isinstance(principal, EmailAddress) else f"user {principal.user}"


def seats_of(stage: Stage, round_: int) -> tuple[Seat, ...]:
    """Return a stage's seats in this round: after an escalation, those whom it names may fill any of them."""
    if round_ == 0 or stage.escalate is None:
        return stage.seats
    more = stage.escalate.to
    return tuple(seat.model_copy(update={"any_of": (*seat.any_of, *more)}) for seat in stage.seats)


def places(seats: Sequence[Seat]) -> tuple[frozenset[str], ...]:
    """Return each place that one person fills, as the principals that fit it."""
    return tuple(frozenset(map(key_of, seat.any_of)) for seat in seats for _ in range(seat.needed))


def filled(seats: Sequence[Seat], votes: Sequence[Sequence[str]]) -> int:
    """Return how many places these yeses fill at most, each by another person."""
    return sum(map(len, seated(seats, votes)))


def seated(seats: Sequence[Seat], votes: Sequence[Sequence[str]]) -> tuple[tuple[int, ...], ...]:
    """Return which votes fill each seat: a maximum matching. A later vote may move an earlier one to another seat.

    `votes` are the principals that each person matched when they voted; what matched then stays.
    """
    free = places(seats)
    holder: dict[int, int] = {}

    def place_for(vote: int, tried: set[int]) -> bool:
        for place, fits in enumerate(free):
            if place in tried or fits.isdisjoint(votes[vote]):
                continue
            tried.add(place)
            if place not in holder or place_for(holder[place], tried):
                holder[place] = vote
                return True
        return False

    for vote in range(len(votes)):
        place_for(vote, set())
    numbers = [number for number, seat in enumerate(seats) for _ in range(seat.needed)]
    return tuple(
        tuple(sorted(vote for place, vote in holder.items() if numbers[place] == number))
        for number in range(len(seats))
    )


class SeatStanding(Value):
    """A seat, and the yeses that fill it."""

    name: str
    needed: int
    by: tuple[Approval, ...] = ()

    @property
    def text(self) -> str:
        """`finance 1 of 2`."""
        return f"{self.name} {len(self.by)} of {self.needed}"


def standings(stage: Stage, round_: int, yeses: Sequence[Approval]) -> tuple[SeatStanding, ...]:
    """Return how far each seat of a stage is by its yeses; nothing for a stage without seats."""
    held = seated(seats_of(stage, round_), [each.matches for each in yeses])
    return tuple(
        SeatStanding(name=seat.name, needed=seat.needed, by=tuple(yeses[number] for number in found))
        for seat, found in zip(stage.seats, held, strict=True)
    )


def fills_one(seats: Sequence[Seat], votes: Sequence[Sequence[str]], vote: Sequence[str]) -> bool:
    """Return whether one more yes fills a place. If it fills none now, no later yes makes room for it."""
    return filled(seats, [*votes, vote]) > filled(seats, votes)
