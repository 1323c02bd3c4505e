"""Find rules that can never win and requests that no rule takes, by trying every case that the rules tell apart.

A dimension's value stands for all that match the same rules, as a bit mask over them; the lowest bit of a case wins.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import groupby, pairwise, product

from approvals.policy.condition import AmountRange, Condition
from approvals.policy.model import Policy, Rule
from approvals.policy.reading import ANY

MOST_CASES = 200_000

Cell = tuple[int, AmountRange]
"""The bit mask of the rules that match, and the amounts that it stands for."""

Dimension = dict[int, str]
"""The same for the other dimensions, in words."""


class Coverage:
    """The rules of a policy that never win, and the cases that no rule takes."""

    def __init__(self, policy: Policy) -> None:
        # A rule for some values of a field leaves the others to the rules after it, so it covers no case as a whole.
        self._rules = tuple(rule for rule in policy.rules if not rule.when.fields)
        amounts = self._amounts()
        others = (self._currencies(policy), self._kinds(), self._requesters())
        self.too_large = len(amounts) * len(others[0]) * len(others[1]) * len(others[2]) > MOST_CASES
        self.unreachable: tuple[Rule, ...] = ()
        self.gaps: tuple[str, ...] = ()
        if not self.too_large:
            self._try_all(amounts, others)

    def _try_all(self, amounts: list[Cell], others: tuple[Dimension, ...]) -> None:
        won = 0
        gaps: list[str] = []
        for case in product(*(dimension.items() for dimension in others)):
            mask = -1
            for matching, _ in case:
                mask &= matching
            won |= _winners(mask, amounts)
            words = ", ".join(name for _, name in case if name)
            gaps += [_gap_text(gap, words) for gap in _gaps(mask, amounts)]
        won |= self._won_without_amount(others[1], others[2])
        self.unreachable = tuple(rule for at, rule in enumerate(self._rules) if not won >> at & 1)
        self.gaps = tuple(gaps)

    def _won_without_amount(self, kinds: Dimension, requesters: Dimension) -> int:
        """Return the rules that take a request without an amount. That none does is a choice, as for a currency."""
        free = self._mask(lambda when: when.amount.unbounded and set(when.currencies) <= {ANY})
        won = 0
        for kind, requester in product(kinds, requesters):
            case = free & kind & requester
            won |= case & -case
        return won

    def _mask(self, matches: Callable[[Condition], bool]) -> int:
        return sum(matches(rule.when) << at for at, rule in enumerate(self._rules))

    def _amounts(self) -> list[Cell]:
        bounds = {bound for rule in self._rules for bound in (rule.when.amount.low, rule.when.amount.high)}
        points = sorted({Decimal(0), *(bound for bound in bounds if bound is not None)})
        return [cell for low, high in pairwise([*points, None]) if low is not None for cell in self._cells(low, high)]

    def _cells(self, low: Decimal, high: Decimal | None) -> tuple[Cell, Cell]:
        inside = low + 1 if high is None else (low + high) / 2
        span = AmountRange(low=low, low_included=False, high=high, high_included=False)
        exactly = AmountRange(low=low, high=low)
        return (self._mask(lambda when: when.amount.holds(low)), exactly), (
            self._mask(lambda when: when.amount.holds(inside)),
            span,
        )

    def _currencies(self, policy: Policy) -> Dimension:
        def matching(code: str) -> int:
            return self._mask(lambda when: not {code, ANY}.isdisjoint(when.currencies or (policy.currency,)))

        codes = {policy.currency, *(code for rule in self._rules for code in rule.when.currencies)} - {ANY}
        found = {matching(code): f"in {code}" for code in sorted(codes)}
        # No rule for a currency that the file does not name is a choice, and lint says it once: it is no gap.
        other = matching("")
        return {other: "in another currency", **found} if other else found

    def _kinds(self) -> Dimension:
        def matching(kind: str) -> int:
            return self._mask(lambda when: not {kind, ANY}.isdisjoint(when.effective_kinds))

        named = sorted({kind for rule in self._rules for kind in rule.when.effective_kinds} - {ANY})
        found = {matching(kind): f"for {kind}" for kind in named}
        # No rule for a kind that the file does not name is a choice, as with currencies.
        other = matching("")
        if not other and len(found) == 1:
            return dict.fromkeys(found, "")
        return {other: "for another kind", **found} if other else found

    def _requesters(self) -> Dimension:
        named = sorted({name for rule in self._rules for name in rule.when.requesters})
        return _dimension(self._named(named, lambda when: when.requesters), "by", "another requester")

    def _named(self, names: list[str], of: Callable[[Condition], tuple[str, ...]]) -> Iterator[tuple[int, str]]:
        for name in [*names, ""]:
            yield self._mask(lambda when, n=name: not of(when) or n in of(when)), name  # type: ignore[misc]  # as above


def _dimension(cases: Iterator[tuple[int, str]], word: str, other: str) -> Dimension:
    found = list(cases)
    if len(found) == 1:
        return {found[0][0]: ""}
    return {mask: f"{word} {name or other}" for mask, name in found}


def _winners(mask: int, amounts: list[Cell]) -> int:
    won = 0
    for amount, _ in amounts:
        case = mask & amount
        won |= case & -case
    return won


def _gaps(mask: int, amounts: list[Cell]) -> Iterator[AmountRange]:
    for taken, cells in groupby(amounts, key=lambda cell: bool(mask & cell[0])):
        if not taken:
            ranges = [span for _, span in cells]
            first, last = ranges[0], ranges[-1]
            yield first.model_copy(update={"high": last.high, "high_included": last.high_included})


def _gap_text(gap: AmountRange, words: str) -> str:
    amounts = "any amount" if gap.high is None and gap.low == 0 and gap.low_included else f"amounts {gap}"
    return f"{amounts}, {words}" if words else amounts
