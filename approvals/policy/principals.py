"""People and groups in a policy: one key each, or `reports_to`."""

from collections.abc import Callable
from typing import Annotated, Literal

from approvals.people import EmailAddress, SlackUser, UserGroup
from approvals.policy.file import Mapping, Node, Scalar
from approvals.policy.reading import email, from_node, listed, mapping, text, user
from approvals.values import Value


class ReportsTo(Value):
    """The requester's own manager, by the policy's `reports_to` map."""

    type: Literal["reports_to"] = "reports_to"


def group_handle(node: Node) -> str:
    """Return a Slack user group's id or handle, without its @. Raises ValueError."""
    return text(node, what="a group's id or handle").lstrip("@")


PRINCIPALS: dict[str, Callable[[Node], UserGroup | SlackUser | EmailAddress]] = {
    "group": lambda node: UserGroup(group=group_handle(node)),
    "user": lambda node: SlackUser(user=user(node)),
    "email": lambda node: EmailAddress(email=email(node)),
}
"""The ways to name a person or a group: one key each."""


def _principal(node: Node) -> UserGroup | SlackUser | EmailAddress:
    if isinstance(node, Scalar):
        raise ValueError("name a person or group like `group: managers`, `user: U024BE7LH` or `email: …`")  # noqa: TRY004 pydantic takes ValueErrors
    entry = mapping(node, what="a person or group")
    if len(entry.entries) != 1 or not entry.entries.keys() <= PRINCIPALS.keys():
        raise ValueError(f"a person or group has exactly one key: {', '.join(PRINCIPALS)}")
    ((key, value),) = entry.entries.items()
    return PRINCIPALS[key](value)


def _approver(node: Node) -> UserGroup | SlackUser | EmailAddress | ReportsTo:
    if isinstance(node, Scalar) and node.text.strip() == "reports_to":
        return ReportsTo()
    return _principal(node)


NamedPrincipal = Annotated[UserGroup | SlackUser | EmailAddress, from_node(_principal)]
Approver = Annotated[UserGroup | SlackUser | EmailAddress | ReportsTo, from_node(_approver)]
"""A person or group whom a rule names, before it is resolved for one request."""

ONE_OR_MORE = (Scalar, Mapping)
Approvers = Annotated[tuple[Approver, ...], listed("approve", or_one=ONE_OR_MORE)]


def approver_text(approver: Approver) -> str:
    """Return whom a policy names, in words."""
    match approver:
        case UserGroup():
            return f"group {approver.group}"
        case SlackUser():
            return f"user {approver.user}"
        case EmailAddress():
            return approver.email
        case _:
            return "the requester's manager"
