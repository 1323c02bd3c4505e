"""Programs that prove who they are by a token of the system that runs them, such as a job of GitHub Actions or GitLab.

The policy says which issuer is believed, for which audience, and which claims a token must have to be this program. So
a job needs no stored secret.
"""

from collections.abc import Mapping as Claims
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator

from approvals.policy.file import Listing, Mapping, Node, Scalar
from approvals.policy.reading import PolicyEntry, from_node, listed, mapping, text, text_of

MOST_CLAIMS = 10
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _issuer(node: Node) -> str:
    written = text(node, what="issuer")
    try:
        parts = urlsplit(written)
        good = bool(parts.hostname) and not parts.username and not parts.query and not parts.fragment
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    except ValueError:
        good = safe = False
    if not good or not safe:
        raise ValueError("an issuer is an https address, like https://token.actions.githubusercontent.com")
    return written


def _claims(value: Any) -> Any:
    if not isinstance(value, Scalar | Listing | Mapping):
        return value
    found = mapping(value, what="claims")
    return {name: _values(name, node) for name, node in found.entries.items()}


def _values(name: str, node: Node) -> tuple[str, ...]:
    items = node.items if isinstance(node, Listing) else (node,)
    if not items or not all(isinstance(each, Scalar) and each.text.strip() for each in items):
        raise ValueError(f"the claim {name!r} must be a text, or a list of texts one of which the token must have")
    return tuple(each.text.strip() for each in items if isinstance(each, Scalar))


class WorkloadRule(PolicyEntry):
    """A program that may ask with a token of its platform. Its name is the requester of what it asks."""

    what: ClassVar[str] = "a workload"

    name: Annotated[str, text_of("a workload's name")] = Field(
        description="what people and the audit call it; no person's e-mail", examples=["shop-ci"]
    )
    issuer: Annotated[str, from_node(_issuer)] = Field(
        description="who signs the token: an https address", examples=["https://token.actions.githubusercontent.com"]
    )
    audience: Annotated[str, text_of("audience")] = Field(
        default="countersign", description="the audience that the token must name", examples=["countersign"]
    )
    claims: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_claims)] = Field(
        description="what the token must claim, each exactly: a text, or a list of texts one of which will do",
        examples=[{"repository": "acme/shop", "ref": "refs/heads/main"}],
    )
    may_ask: Annotated[tuple[Annotated[str, text_of("a kind")], ...], listed("may_ask", or_one=(Scalar,))] = Field(
        description="the kinds of request that it may ask for, one or a list", examples=["deploy"]
    )

    @field_validator("claims")
    @classmethod
    def _narrow(cls, claims: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if not 1 <= len(claims) <= MOST_CLAIMS:
            raise ValueError(f"claims needs 1 to {MOST_CLAIMS} entries: without one every job at this issuer could ask")
        if forbidden := sorted({"iss", "aud", "exp", "nbf", "iat"} & claims.keys()):
            raise ValueError(f"{forbidden[0]} is no claim to choose: issuer and audience have keys of their own")
        return claims

    @field_validator("name")
    @classmethod
    def _no_person(cls, name: str) -> str:
        if "@" in name:
            raise ValueError("a workload is no person: give it a name without an @")
        return name

    def fits(self, claims: Claims[str, Any]) -> bool:
        """Return whether a verified token is this program's."""
        return all(name in claims and _text(claims[name]) in wanted for name, wanted in self.claims.items())


def _text(value: Any) -> str | None:
    """Return a claim as the policy writes it; GitLab's and GitHub's are texts, numbers or true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None
