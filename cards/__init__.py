"""Requests in Slack: pure functions from values to Block Kit.

Nothing here calls Slack, reads a clock or remembers anything. A view's build, parse and ids stand in one module.
"""

from cards.surface import Block, Message, View

__all__ = ["Block", "Message", "View"]
