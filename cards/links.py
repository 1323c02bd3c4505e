"""The address under which Slack opens a message."""

from approvals.request import CardRef


def card_link(card: CardRef, slack_url: str | None) -> str:
    """Return the workspace's address, then archives/CHANNEL/pTS; empty for a card or a workspace that is not known."""
    if not card.ts or not slack_url:
        return ""
    return f"{slack_url.rstrip('/')}/archives/{card.channel}/p{card.ts.replace('.', '')}"
