"""How a stranger pays: once, whatever is killed between the payment and its note."""

from pathlib import Path


def pay(ledger: Path, order: str) -> None:
    """Pay; the order is the payment's own key."""
    with (ledger / f"{order}.paid").open("a") as paid:
        if not paid.tell():
            paid.write("paid\n")
    (ledger / f"{order}.end").write_text("refunded")
