"""Pydantic's errors in the words of every face: what is wrong with a value, as a clause about "it"."""

import re

from pydantic import ValidationError
from pydantic_core import ErrorDetails

CLAUSES = {"missing": "it is missing", "extra_forbidden": "it is not known here"}
"""By pydantic's type of error; all others say how the value should be."""

SUBJECT = re.compile(r"^(?:Input|String|Data|List|Dictionary|Tuple|Set|Decimal input|URL) should")


def first_mistake(error: ValidationError) -> ErrorDetails:
    """Return a model's first error, without the value: it may be a secret, or megabytes."""
    return error.errors(include_input=False, include_url=False)[0]


def clause(error: ErrorDetails) -> str:
    """Return `it should be a valid decimal` for pydantic's message; our own validators' messages stay as they are."""
    return CLAUSES.get(error["type"]) or plain(str(error["msg"]))


def plain(message: str) -> str:
    """Return pydantic's message as a clause; Typer has it without its error's type."""
    return SUBJECT.sub("it should", message.removeprefix("Value error, ").rstrip("."))
