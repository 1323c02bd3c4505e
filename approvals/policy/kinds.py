"""Kinds of request: what the policy says that a request of one must say, and who may ask for it.

A kind that the policy does not declare needs a rule all the same; its fields are texts, as the asker names them.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from approvals.policy.fields import FieldRule
from approvals.policy.file import Node, Scalar
from approvals.policy.principals import ONE_OR_MORE, NamedPrincipal
from approvals.policy.reading import PolicyEntry, Problems, from_node, listed, mapping, pattern, text_of

KIND_NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?")
MOST_KIND_FIELDS = 20


class FieldsError(ValueError):
    """The fields of a request are not what its kind wants. `problems` has a message for each field that is wrong."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(" ".join(self.problems.values()))


def _host(node: Node) -> str:
    return pattern(node, HOST, what="a host", like="docs.example.com")


def webhook_url(written: str) -> str:
    """Return an https URL without credentials. Raises ValueError."""
    try:
        parts = urlsplit(written)
        plain = parts.scheme == "https" and parts.hostname and not parts.username and parts.password is None
    except ValueError:
        plain = False
    if not plain or not written.isprintable() or " " in written:
        raise ValueError("it must be an https URL without a user name, like https://iam.example.com/grants")
    return written


def _effect(node: Node) -> str:
    entry = mapping(node, what="effect")
    if list(entry.entries) != ["webhook"]:
        raise ValueError("effect has one key: `webhook`, the https URL that is told of every end")
    found = entry.entries["webhook"]
    return webhook_url(found.text.strip() if isinstance(found, Scalar) else "")


class KindRule(PolicyEntry):
    """A kind of request: what its requests must say, and who may ask."""

    what: ClassVar[str] = "a kind"

    title: Annotated[str, text_of("title")] = Field(
        default="", description="what people call it; without it, its name", examples=["Access to a system"]
    )
    who: Annotated[tuple[NamedPrincipal, ...], listed("who", or_one=ONE_OR_MORE)] = Field(
        default=(),
        description="who may ask: people and groups, one or a list; without it, everybody who may ask at all",
        examples=[{"group": "staff"}],
    )
    fields: Annotated[tuple[FieldRule, ...], listed("fields")] = Field(
        default=(),
        description="what a request must say, each field with the keys of a field",
        examples=[[{"name": "system", "type": "choice", "options": ["prod-db"]}]],
    )
    documents: Annotated[tuple[Annotated[str, from_node(_host)], ...], listed("documents", or_one=(Scalar,))] = Field(
        default=(), description="hosts that a `link` may lead to, one or a list", examples=["docs.example.com"]
    )
    effect: Annotated[str, from_node(_effect)] = Field(
        default="",
        description="a `webhook` that is told of the end of every request that names no callback itself",
        examples=[{"webhook": "https://iam.example.com/grants"}],
    )

    @field_validator("fields")
    @classmethod
    def _distinct(cls, fields: tuple[FieldRule, ...]) -> tuple[FieldRule, ...]:
        if len(fields) > MOST_KIND_FIELDS:
            raise ValueError(f"a kind has at most {MOST_KIND_FIELDS} fields")
        for names in ([each.name for each in fields], [each.shown for each in fields]):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"two fields are called {twice!r}: each needs a name and a label of its own")
        return fields

    @model_validator(mode="after")
    def _links_lead_somewhere(self) -> "KindRule":
        if any(each.type == "link" for each in self.fields) and not self.documents:
            raise ValueError("a kind with a link needs `documents`: the hosts that it may lead to")
        return self

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a request's `fields`."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {each.name: each.json_schema() for each in self.fields},
            "required": [each.name for each in self.fields if each.required],
            "additionalProperties": False,
        }

    def checked(self, given: Mapping[str, Any], today: date | None) -> dict[str, str]:
        """Return the fields as they are kept, as texts in the kind's order. Raises: FieldsError with all mistakes.

        Without `today`, a date is not held against its bound: it was when the request was asked.
        """
        known = {each.name: each for each in self.fields}
        problems = {name: self._unknown(name) for name in given if name not in known}
        found: dict[str, str] = {}
        for name, field in known.items():
            value = given.get(name)
            if value is None or value == "":
                if field.required:
                    problems[name] = f"The field {name} ({field.shown}) is missing."
                continue
            try:
                found[name] = field.read(value, self.documents, today)
            except ValueError as error:
                problems[name] = f"The field {name} {error}."
        if problems:
            raise FieldsError(problems)
        return found

    def _unknown(self, name: str) -> str:
        has = ", ".join(each.name for each in self.fields) or "none"
        return f"There is no field {name[:60]!r}; the fields are: {has}."


def kinds_of(node: Node, problems: Problems) -> dict[str, Node]:
    """Return the declared kinds by their names; a name that cannot be one is noted."""
    entry = mapping(node, what="kinds")
    for name in entry.entries:
        if not KIND_NAME.fullmatch(name):
            problems.add(entry.lines[name], f"{name[:60]!r} is no kind: write small letters, digits, - and _")
    return {name: found for name, found in entry.entries.items() if KIND_NAME.fullmatch(name)}
