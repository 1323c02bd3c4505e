"""What a workspace holds when it starts: team, people, channels, user groups. Values only; nothing here changes."""

from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

TEAM_ID = "T0LOCAL"
OTHER_TEAM_ID = "T0PARTNER"
BOT_USER_ID = "U0BOT"
BOT_ID = "B0BOT"


class Value(BaseModel):
    """A frozen value that refuses fields it does not know, so a typing mistake in a seed file is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Team(Value):
    """The workspace itself."""

    id: str = TEAM_ID
    name: str = "Local workspace"
    domain: str = "local"
    enterprise_id: str | None = None


class User(Value):
    """A person or bot with the flags of Slack's user object."""

    id: str
    name: str
    real_name: str
    email: str | None = None
    title: str = ""
    tz: str = "Europe/Berlin"
    locale: str = "en-US"
    team_id: str | None = None
    enterprise_id: str | None = None
    is_admin: bool = False
    is_owner: bool = False
    is_bot: bool = False
    deleted: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_invited_user: bool = False


class Channel(Value):
    """A channel, or a direct message when `is_im` is set (then `user` is the person the bot talks to)."""

    id: str
    name: str = ""
    members: tuple[str, ...] = ()
    is_private: bool = False
    is_archived: bool = False
    is_im: bool = False
    user: str | None = None
    topic: str = ""


class Group(Value):
    """A user group, what people mention as @managers."""

    id: str
    handle: str
    name: str
    members: tuple[str, ...] = ()
    disabled: bool = False


class Seed(Value):
    """Everything a workspace starts with."""

    team: Team = Team()
    users: tuple[User, ...]
    channels: tuple[Channel, ...] = ()
    groups: tuple[Group, ...] = ()
    bot_user_id: str = BOT_USER_ID

    @model_validator(mode="after")
    def _everybody_exists(self) -> Self:
        known = {user.id for user in self.users}
        holders: tuple[Channel | Group, ...] = (*self.channels, *self.groups)
        for holder in holders:
            missing = sorted(set(holder.members) - known)
            if missing:
                raise ValueError(f"{holder.id} has members that are no users: {', '.join(missing)}")
        if self.bot_user_id not in known:
            raise ValueError(f"the bot {self.bot_user_id} is not among the users")
        return self


def _person(user_id: str, name: str, real_name: str, **flags: Any) -> User:
    return User(id=user_id, name=name, real_name=real_name, email=f"{name}@example.com", **flags)


def default_seed() -> Seed:
    """Build the workspace with one person per role; the bot is a member of #approvals and not of #general."""
    users = (
        _person("U0REQUESTER", "requester", "Requester", tz="Europe/Berlin"),
        _person("U0MANAGER", "manager", "Manager", tz="America/New_York"),
        _person("U0MANAGER2", "manager2", "Second Manager", tz="Europe/London"),
        _person("U0VP", "vp", "Vice President", tz="Asia/Tokyo", is_admin=True),
        _person("U0OPERATOR", "operator", "Operator", tz="Etc/UTC"),
        _person("U0AUDITOR", "auditor", "Auditor", tz="Etc/UTC"),
        _person("U0GUEST", "guest", "Guest", is_restricted=True),
        _person("U0GONE", "former", "Former Employee", deleted=True),
        _person("U0STRANGER", "stranger", "Stranger", team_id=OTHER_TEAM_ID, is_stranger=True),
        User(id=BOT_USER_ID, name="bot", real_name="Local bot", is_bot=True),
    )
    inside = tuple(user.id for user in users if not user.deleted and not user.is_bot)
    staff = tuple(user_id for user_id in inside if user_id not in {"U0GUEST", "U0STRANGER"})
    return Seed(
        users=users,
        channels=(
            Channel(id="C0APPROVALS", name="approvals", members=(*inside, BOT_USER_ID)),
            Channel(id="C0GENERAL", name="general", members=staff),
        ),
        groups=(
            Group(id="S0MANAGERS", handle="managers", name="Managers", members=("U0MANAGER", "U0MANAGER2")),
            Group(id="S0VPS", handle="vps", name="Vice Presidents", members=("U0VP",)),
            Group(id="S0OPERATORS", handle="operators", name="Operators", members=("U0OPERATOR",)),
            Group(id="S0AUDITORS", handle="auditors", name="Auditors", members=("U0AUDITOR",)),
        ),
    )


def load_seed(path: Path) -> Seed:
    """Read a seed from YAML. Raises pydantic.ValidationError with the field that is wrong."""
    return Seed.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
