"""Shares in whole percent that are 100 together, for every face that shows them."""

from collections.abc import Mapping


def whole_percents(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the shares in percent, rounded so that they are 100 together (largest remainders first)."""
    total = sum(counts.values())
    if not total:
        return {}
    shares = {name: 100 * count // total for name, count in counts.items()}
    left = sorted(counts, key=lambda name: -(100 * counts[name] % total))
    return shares | {name: shares[name] + 1 for name in left[: 100 - sum(shares.values())]}
