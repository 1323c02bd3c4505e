"""The form of a signed payload, checked before it is handled: Slack's own always have it.

Without this check all sixteen kinds of payload in tests/security/test_odd_payloads.py can be bent until they get a 500.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Id = Annotated[str, Field(min_length=1, max_length=255)]


class PayloadPart(BaseModel):
    """A part of a payload. Fields that we don't read may be anything."""

    model_config = ConfigDict(extra="ignore", strict=True)


class Named(PayloadPart):
    """Something with an id, such as a team or a channel."""

    id: Id


class User(Named):
    """The person who acted."""

    team_id: str | None = None
    name: str | None = None


class Container(PayloadPart):
    """The place of the action."""

    channel_id: str | None = None
    message_ts: str | None = None
    view_id: str | None = None


class Element(PayloadPart):
    """The element that was used."""

    action_id: Id
    block_id: str | None = None
    type: str | None = None
    value: str | None = None


class ViewState(PayloadPart):
    """The values of a form."""

    values: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)


class ViewPart(PayloadPart):
    """A modal or the App Home."""

    id: str | None = None
    type: str | None = None
    callback_id: str | None = None
    private_metadata: str | None = None
    hash: str | None = None
    state: ViewState | None = None


class Interaction(PayloadPart):
    """block_actions, view_submission and their kin."""

    type: Id
    user: User
    team: Named | None = None
    enterprise: Named | None = None
    channel: Named | None = None
    container: Container | None = None
    message: dict[str, Any] | None = None
    actions: list[Element] | None = None
    view: ViewPart | None = None
    trigger_id: str | None = None
    response_url: str | None = None


class InnerEvent(PayloadPart):
    """The inside of an event."""

    type: Id
    user: str | dict[str, Any] | None = None
    channel: str | dict[str, Any] | None = None
    tab: str | None = None
    view: ViewPart | None = None


class HomeOpened(InnerEvent):
    """The App Home was opened."""

    user: Id


class Event(PayloadPart):
    """An event_callback."""

    type: Id
    team_id: str | None = None
    event: InnerEvent

    @model_validator(mode="before")
    @classmethod
    def _by_type(cls, value: Any) -> Any:
        """Check payloads that we listen to against their form."""
        inner = value.get("event") if isinstance(value, dict) else None
        if isinstance(inner, dict) and inner.get("type") == HOME_OPENED:
            HomeOpened.model_validate(inner)
        return value


class Command(PayloadPart):
    """A slash command."""

    command: Id
    user_id: Id
    team_id: str | None = None
    channel_id: str | None = None
    text: str = ""
    response_url: str | None = None
    trigger_id: str | None = None


HOME_OPENED = "app_home_opened"
PEOPLE_CHANGES = frozenset({"user_change", "team_join"})
CHANGES = frozenset({*PEOPLE_CHANGES, "subteam_created", "subteam_updated", "subteam_members_changed"})
"""Events of Slack's directory: a workspace may send many, and to forget twice is to forget once."""

WITH_ACTIONS = "block_actions"
WITH_VIEW = frozenset({"view_submission", "view_closed"})


def is_change(payload: dict[str, Any]) -> bool:
    """Return whether a payload is an event of Slack's directory."""
    event = payload.get("event")
    return isinstance(event, dict) and event.get("type") in CHANGES


def is_listened_to(payload: dict[str, Any]) -> bool:
    """Return whether this app has listeners for such a payload at all: Bolt is not asked about any other."""
    if "command" in payload:
        return True
    if "event" in payload:
        return payload["event"]["type"] in {HOME_OPENED, *CHANGES}
    return payload.get("type") in {WITH_ACTIONS, *WITH_VIEW}


def is_slacks(payload: dict[str, Any]) -> bool:
    """Return whether a payload has the form of something that Slack sends."""
    try:
        if "command" in payload:
            Command.model_validate(payload)
        elif "event" in payload:
            Event.model_validate(payload)
        else:
            return _is_complete(Interaction.model_validate(payload))
    except ValidationError:
        return False
    return True


def _is_complete(interaction: Interaction) -> bool:
    if interaction.type == WITH_ACTIONS:
        return bool(interaction.actions)
    return interaction.type not in WITH_VIEW or (interaction.view is not None and interaction.view.type is not None)
