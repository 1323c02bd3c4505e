"""The typed fields of a kind: how a policy declares one, and how a request's value for it is read."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from approvals.canonical import decimal_text
from approvals.durations import duration_text
from approvals.policy.file import Node, Scalar
from approvals.policy.reading import (
    Amount,
    Duration,
    PolicyEntry,
    from_node,
    listed,
    pattern,
    text_of,
    whole_number,
    yes_or_no,
)
from approvals.request import LONGEST_DETAIL

FieldType = Literal["text", "number", "date", "choice", "yes_no", "link"]
FIELD_TYPES: Final[tuple[FieldType, ...]] = ("text", "number", "date", "choice", "yes_no", "link")
FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
CORE_FIELDS: Final = frozenset({"kind", "subject", "amount", "currency", "description", "requester", "status", "id"})
"""A field of a kind never has one of these names: in an answer it would read as the request's own."""

MOST_OPTIONS = 100
LONGEST_LINK = 1000
LONGEST_NUMBER = 40
LARGEST_NUMBER = Decimal(10) ** 15
HTTPS_PORTS: Final = (None, 443)
ONE_LINE_OF_ASCII = re.compile(r"[!-\[\]-~]+")
BOUNDS_OF: Final[dict[str, FieldType]] = {
    "options": "choice",
    "longest": "text",
    "at_least": "number",
    "at_most": "number",
    "within": "date",
}
"""The keys that only one type of field has."""


def _field_type(node: Node) -> str:
    found = node.text.strip() if isinstance(node, Scalar) else ""
    if found not in FIELD_TYPES:
        raise ValueError(f"a field's type is one of {', '.join(FIELD_TYPES)}, not {found[:40]!r}")
    return found


def _field_name(node: Node) -> str:
    found = pattern(node, FIELD_NAME, what="a field's name", like="system or ends_at")
    if found in CORE_FIELDS:
        raise ValueError(f"every request has {found!r} already: give the field another name")
    return found


class FieldRule(PolicyEntry):
    """A field of a kind."""

    what: ClassVar[str] = "a field"

    name: Annotated[str, from_node(_field_name)] = Field(
        description="what programs call it: small letters, digits and _", examples=["system"]
    )
    label: Annotated[str, text_of("label")] = Field(
        default="", description="what people read on the card; without it, the name", examples=["System"]
    )
    type: Annotated[FieldType, from_node(_field_type)] = Field(
        default="text",
        description="`text`, `number`, `date`, `choice`, `yes_no` or `link` (https, to one of the kind's `documents`)",
        examples=["choice"],
    )
    required: Annotated[bool, from_node(lambda node: yes_or_no(node, what="required"))] = Field(
        default=True, description="whether a request without it is refused", examples=[False]
    )
    options: Annotated[tuple[Annotated[str, text_of("an option")], ...], listed("options")] = Field(
        default=(), description="of a choice: what can be chosen", examples=[["prod-db", "billing"]]
    )
    longest: Annotated[int, whole_number("longest", LONGEST_DETAIL)] = Field(
        default=LONGEST_DETAIL, description="of a text: the most characters it may have", examples=[200]
    )
    at_least: Amount | None = Field(default=None, description="of a number: the smallest that is taken", examples=[1])
    at_most: Amount | None = Field(default=None, description="of a number: the largest that is taken", examples=[10])
    within: Duration | None = Field(
        default=None, description="of a date: how far from today (UTC) it may be", examples=["30 days"]
    )

    @model_validator(mode="after")
    def _bounds_fit(self) -> "FieldRule":
        for key, type_ in BOUNDS_OF.items():
            if self.type != type_ and getattr(self, key) != FieldRule.model_fields[key].default:
                raise ValueError(f"only a field of the type {type_} has `{key}`, and {self.name} is a {self.type}")
        if self.type == "choice" and not 0 < len(self.options) <= MOST_OPTIONS:
            raise ValueError(f"{self.name} is a choice: give it 1 to {MOST_OPTIONS} `options`")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"{self.name} takes no number: `at_least` is above `at_most`")
        return self

    @property
    def shown(self) -> str:
        """The label, or the name if it has none."""
        return self.label or self.name

    def read(self, value: Any, hosts: tuple[str, ...], today: date | None) -> str:
        """Return a request's value as the text that is kept. Raises: ValueError that goes on from the field's name."""
        return _READ[self.type](value, self, hosts, today)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the value."""
        return {"title": self.shown} | _schema_of(self)


def _text(value: Any, field: FieldRule, hosts: tuple[str, ...], today: date | None) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    if len(value) > field.longest:
        raise ValueError(f"has {len(value)} characters; {field.longest} at most")
    return value.strip()


def _number(value: Any, field: FieldRule, hosts: tuple[str, ...], today: date | None) -> str:
    written = str(value).strip() if isinstance(value, int | float | str | Decimal) else ""
    if isinstance(value, bool) or not written.isascii() or len(written) > LONGEST_NUMBER:
        raise ValueError("must be a number, like 3 or 2.5")
    try:
        found = Decimal(written)
    except InvalidOperation:
        raise ValueError("must be a number, like 3 or 2.5") from None
    if not found.is_finite() or abs(found) > LARGEST_NUMBER:
        raise ValueError("must be a number below a thousand trillion")
    if field.at_least is not None and found < field.at_least:
        raise ValueError(f"must be at least {decimal_text(field.at_least)}")
    if field.at_most is not None and found > field.at_most:
        raise ValueError(f"must be at most {decimal_text(field.at_most)}")
    return decimal_text(found)


def _date(value: Any, field: FieldRule, hosts: tuple[str, ...], today: date | None) -> str:
    try:
        found = date.fromisoformat(value) if isinstance(value, str) and len(value) == len("2026-08-14") else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError("must be a date, like 2026-08-14")
    if field.within is not None and today is not None and abs(found - today) > field.within:
        raise ValueError(f"must be a date within {duration_text(field.within)} of today")
    return found.isoformat()


def _choice(value: Any, field: FieldRule, hosts: tuple[str, ...], today: date | None) -> str:
    if value not in field.options:
        raise ValueError(f"must be one of: {', '.join(field.options)}")
    return str(value)


def _yes_no(value: Any, field: FieldRule, hosts: tuple[str, ...], today: date | None) -> str:
    found = {"true": "yes", "yes": "yes", "false": "no", "no": "no"}.get(str(value).casefold())
    if found is None or not isinstance(value, bool | str):
        raise ValueError("must be true or false")
    return found


def _link(value: Any, field: FieldRule, hosts: tuple[str, ...], today: date | None) -> str:
    try:
        parts = urlsplit(value) if isinstance(value, str) and len(value) <= LONGEST_LINK else None
        good = parts is not None and parts.scheme == "https" and parts.username is None and parts.port in HTTPS_PORTS
        host = (parts.hostname or "") if parts else ""
    except ValueError:
        good, host = False, ""
    if not good or not isinstance(value, str) or not ONE_LINE_OF_ASCII.fullmatch(value):
        raise ValueError(f"must be an https link, like https://{hosts[0]}/…")
    if host not in hosts:
        raise ValueError(f"must lead to {' or '.join(hosts)}, not to {host[:100]!r}")
    return value


_READ: Final[dict[FieldType, Callable[[Any, FieldRule, tuple[str, ...], date | None], str]]] = {
    "text": _text,
    "number": _number,
    "date": _date,
    "choice": _choice,
    "yes_no": _yes_no,
    "link": _link,
}


def _schema_of(field: FieldRule) -> dict[str, Any]:
    match field.type:
        case "text":
            return {"type": "string", "minLength": 1, "maxLength": field.longest}
        case "number":
            bounds = {"minimum": field.at_least, "maximum": field.at_most}
            return {"type": "number"} | {key: float(each) for key, each in bounds.items() if each is not None}
        case "date":
            return {"type": "string", "format": "date"}
        case "choice":
            return {"type": "string", "enum": list(field.options)}
        case "yes_no":
            return {"type": "boolean"}
        case _:
            return {"type": "string", "format": "uri", "maxLength": LONGEST_LINK}
