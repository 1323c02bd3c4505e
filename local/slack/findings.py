"""Collects what is wrong with a document, in the form Slack lists it. Knows no rule itself."""

from collections.abc import Collection
from typing import Any


class Findings:
    """A growing list of complaints, each with the JSON pointer of its place."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def add(self, pointer: str, sentence: str) -> None:
        """Note one complaint."""
        self.messages.append(f"[ERROR] {sentence} [json-pointer:{pointer}]")

    def too_long(self, pointer: str, most: int) -> None:
        """Note that something has more than `most` characters."""
        self.add(pointer, f"must be less than {most + 1} characters")

    def length(self, value: Any, pointer: str, most: int, *, least: int = 0) -> None:
        """Check an optional string's length."""
        if value is None:
            return
        if not isinstance(value, str):
            self.add(pointer, "must be a string")
        elif len(value) > most:
            self.too_long(pointer, most)
        elif len(value) < least:
            self.add(pointer, f"must be more than {least - 1} characters")

    def items(self, value: Any, pointer: str, *, most: int | None = None, least: int = 1) -> list[Any]:
        """Check an array's size and give it back, empty when it is no array."""
        if not isinstance(value, list):
            self.add(pointer, "must provide an array")
            return []
        if len(value) < least:
            self.add(pointer, f"no fewer than {least} items allowed")
        if most is not None and len(value) > most:
            self.add(pointer, f"no more than {most} items allowed")
        return value


def unknown_fields(findings: Findings, value: dict[str, Any], known: Collection[str], pointer: str) -> None:
    """Complain about fields that the object does not have."""
    for name in value:
        if name not in known:
            findings.add(pointer, f"invalid additional property: {name}")
