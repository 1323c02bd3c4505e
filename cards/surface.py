"""The two things Slack can be sent: a message and a view (modal or App Home). Values only; no wording here."""

from typing import Any, Literal

from approvals.values import Value

Block = dict[str, Any]
"""One Block Kit block or element."""

BLOCKS_PER_MESSAGE = 50
BLOCKS_PER_VIEW = 100


class Message(Value):
    """A message. `text` is what notifications and screen readers get; `metadata` makes it findable."""

    text: str
    blocks: tuple[Block, ...] = ()
    metadata: dict[str, Any] | None = None

    def payload(self) -> dict[str, Any]:
        """Return the arguments of chat.postMessage, chat.update or a response_url, without the channel."""
        body: dict[str, Any] = {"text": self.text, "blocks": list(self.blocks)}
        return body | ({"metadata": self.metadata} if self.metadata else {})


class View(Value):
    """A modal or App Home. Strings are plain text; an empty one is left out."""

    type: Literal["modal", "home"] = "modal"
    title: str = ""
    blocks: tuple[Block, ...]
    submit: str = ""
    close: str = ""
    callback_id: str = ""
    private_metadata: str = ""

    def payload(self) -> dict[str, Any]:
        """Return the `view` argument of views.open, views.update and views.publish."""
        words = {"title": self.title, "submit": self.submit, "close": self.close}
        named = {"callback_id": self.callback_id, "private_metadata": self.private_metadata}
        return {
            "type": self.type,
            "blocks": list(self.blocks),
            **{key: {"type": "plain_text", "text": text, "emoji": False} for key, text in words.items() if text},
            **{key: text for key, text in named.items() if text},
        }
