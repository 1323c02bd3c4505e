"""The message for a role that does not include an action: about which request, and which role it takes."""

from approvals.authority import TABLE, Action, Role
from approvals.decision import Reason, Verdict
from approvals.messages import message_for

CONDITIONS = {
    "own": "if the request is your own",
    "asked": "if the request asks you",
    "own_or_asked": "if the request is your own or asks you",
}


def denial(verdict: Verdict, action: Action, about: str = "") -> str:
    """Return why an action is denied, with the request's name if there is one.

    A guest hears no name: an id that is there and one that is not get the same answer.
    """
    text = message_for(verdict.reason)
    if verdict.reason is Reason.MEMBERS_ONLY:
        return text
    if verdict.reason is Reason.NOT_PERMITTED:
        text = OTHERWISE.get(verdict.rule, "{text} {needed}").format(
            text=text, needed=needed(action), action=action.value
        )
    return f"{about}: {text}" if about and about not in text else text


OTHERWISE = {
    "scope": (
        "Nothing was done because this API key's scopes do not include it. Use a key with the scope {action}, or one "
        "without scopes."
    ),
    "transport": (
        "Nothing was done because it is not offered here. Use the command line or REST with an API key. {needed}"
    ),
}
"""Messages by what denied, if it was not the role."""


def needed(action: Action) -> str:
    """Return which roles include an action, and on which requests: `It takes the role operator`, with a full stop."""
    by_condition: dict[str, list[Role]] = {}
    for role, relation in TABLE[action].roles.items():
        if role is Role.ASKER:
            continue  # a program's, and no person can be given it
        by_condition.setdefault(relation, []).append(role)
    always = by_condition.pop("any", [])
    parts = [_one_of(always)] if always else []
    parts += [f"{_one_of(roles)} {CONDITIONS[relation]}" for relation, roles in by_condition.items()]
    return f"It takes the role {'; or '.join(parts)}."


def _one_of(roles: list[Role]) -> str:
    *most, last = roles
    return f"{', '.join(most)} or {last}" if most else str(last)
