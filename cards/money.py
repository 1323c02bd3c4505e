"""Amounts as people read them. Shows the very number a decision is bound to: it groups digits and never rounds."""

from decimal import Decimal

SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}

# ISO 4217: currencies whose smallest unit is not a hundredth.
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"
_DECIMALS = {
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
    **dict.fromkeys(_FOUR_DECIMALS.split(), 4),
}
_LONGEST = 30
"""Digits before an amount is shown in scientific notation: a card must stay readable for a number of any size."""


def decimals(currency: str) -> int:
    """Return how many decimals a currency has (ISO 4217), 2 for one that is not listed."""
    return _DECIMALS.get(currency, 2)


def money(amount: Decimal, currency: str) -> str:
    """Return `$2,400.00`, `¥2,400` or `CHF 2,400.00`. An amount finer than the currency keeps all its digits."""
    symbol = SYMBOLS.get(currency)
    return f"{symbol}{_digits(amount, currency)}" if symbol else f"{currency} {_digits(amount, currency)}"


def _digits(amount: Decimal, currency: str) -> str:
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or amount.adjusted() > _LONGEST or exponent < -_LONGEST:
        return f"about {amount:.12E}"
    places = max(decimals(currency), _significant_places(amount))
    return f"{amount:,.{places}f}"


def _significant_places(amount: Decimal) -> int:
    """Return the decimals that are not trailing zeros, by the digits alone: normalize() would round to the context."""
    _, digits, exponent = amount.as_tuple()
    if not amount or not isinstance(exponent, int):
        return 0
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return max(0, -exponent - zeros)
