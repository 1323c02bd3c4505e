"""Seats: which yeses a stage needs, and from whom. Pure.

One person fills one seat, whatever groups they are in. So counting is a matching of people to seats: taking each vote
for the first seat that it fits would make the outcome depend on the order of the clicks, and could end in a dead end.
"""

from collections.abc import Sequence

from approvals.people import EmailAddress, Principal, UserGroup
from approvals.request import Seat


def key_of(principal: Principal) -> str:
    """Return a principal as a judgement names it: `group S1`, `e-mail ann@example.com`, `user U1`."""
    if isinstance(principal, UserGroup):
        return f"group {principal.group}"
    return f"e-mail {principal.email}" if isinstance(principal, EmailAddress) else f"user {principal.user}"


def places(seats: Sequence[Seat]) -> tuple[frozenset[str], ...]:
    """Return each place that one person fills, as the principals that fit it."""
    return tuple(frozenset(map(key_of, seat.any_of)) for seat in seats for _ in range(seat.needed))


def filled(seats: Sequence[Seat], votes: Sequence[Sequence[str]]) -> int:
    """Return how many places these yeses fill at most, each by another person: a maximum matching.

    `votes` are the principals that each person matched when they voted; what matched then stays.
    """
    free = places(seats)
    holder: dict[int, int] = {}

    def seated(vote: int, tried: set[int]) -> bool:
        for place, fits in enumerate(free):
            if place in tried or fits.isdisjoint(votes[vote]):
                continue
            tried.add(place)
            if place not in holder or seated(holder[place], tried):
                holder[place] = vote
                return True
        return False

    return sum(seated(vote, set()) for vote in range(len(votes)))
