"""The `when` of a policy's rule, read from its tree. An amount without a currency means the policy's own."""

from collections.abc import Callable
from decimal import Decimal

from approvals.policy.file import Listing, Mapping, Node, Scalar
from approvals.policy.model import ANY, AmountRange, Condition
from approvals.policy.reading import ProblemFound, Reader, amount, currency, mapping, text, user_or_email

WHEN_KEYS = ("kind", "currency", "amount", "requester")
AMOUNT_KEYS = ("below", "from", "to", "above")


def read_condition(reader: Reader, node: Node) -> Condition:
    """Return when a rule applies. Raises ProblemFound; what else is wrong is noted with the reader."""
    entry = mapping(node, what="when")
    reader.only(entry, WHEN_KEYS, where="when")
    condition = Condition(
        kinds=reader.field(entry, "kind", lambda n: _one_or_more(reader, n, lambda i: text(i, what="kind"))) or (),
        currencies=reader.field(entry, "currency", lambda n: _one_or_more(reader, n, _currency_or_any)) or (),
        amount=reader.field(entry, "amount", lambda n: _amount_range(reader, n)) or AmountRange(),
        requesters=reader.field(entry, "requester", lambda n: _one_or_more(reader, n, user_or_email)) or (),
    )
    if ANY in condition.currencies and not condition.amount.unbounded:
        raise ProblemFound(entry.lines["currency"], "an amount needs a currency: `currency: any` can't stand beside it")
    return condition


def _one_or_more(reader: Reader, node: Node, read: Callable[[Node], str]) -> tuple[str, ...]:
    if not isinstance(node, Listing):
        return (read(node),)
    found = reader.each(node, read, what="this")
    if not node.items:
        raise ProblemFound(node.line, "the list is empty: leave the key out if everything is meant")
    return found


def _currency_or_any(node: Node) -> str:
    return ANY if isinstance(node, Scalar) and node.text.strip() == ANY else currency(node)


def _amount_range(reader: Reader, node: Node) -> AmountRange:
    entry = mapping(node, what="amount")
    reader.only(entry, AMOUNT_KEYS, where="amount")
    for pair in (("from", "above"), ("to", "below")):
        if entry.entries.keys() >= set(pair):
            raise ProblemFound(entry.line, f"amount has both {pair[0]!r} and {pair[1]!r}: keep one")
    bound = {key: _bound(reader, entry, key) for key in AMOUNT_KEYS}
    found = AmountRange(
        low=bound["above"] if bound["from"] is None else bound["from"],
        low_included="above" not in entry.entries,
        high=bound["below"] if bound["to"] is None else bound["to"],
        high_included="below" not in entry.entries,
    )
    if found.empty:
        raise ProblemFound(entry.line, f"no amount is {found}: the rule could never apply")
    return found


def _bound(reader: Reader, entry: Mapping, key: str) -> Decimal | None:
    return reader.field(entry, key, amount)
