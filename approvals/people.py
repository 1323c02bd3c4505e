"""People as Slack knows them, and how a policy names them. The caller looks them up."""

from typing import Annotated, Literal

from pydantic import Field

from approvals.values import Value


class Person(Value):
    """A Slack user: the team (T…) or enterprise (E…) id with the user id (U… or W…).

    Names and e-mails are no identity.
    """

    team: str
    user: str

    @property
    def key(self) -> str:
        """One string for comparisons and storage: `T024/U071`."""
        return f"{self.team}/{self.user}"


class Profile(Value):
    """The fields of Slack's users.info on which a decision depends."""

    person: Person
    email: str | None = None
    name: str = ""
    time_zone: str = "UTC"
    enterprise: str | None = None
    bot: bool = False
    deactivated: bool = False
    guest: bool = False
    stranger: bool = False
    invited: bool = False


class UserGroup(Value):
    """A Slack user group by its id (S…) or handle, as `group: managers` in a policy."""

    type: Literal["group"] = "group"
    group: str


class SlackUser(Value):
    """One Slack user by id, as `user: U071` in a policy."""

    type: Literal["user"] = "user"
    user: str


class EmailAddress(Value):
    """One person by e-mail, as `email: vp@example.com` in a policy. Slack resolves it to a user."""

    type: Literal["email"] = "email"
    email: str


Principal = Annotated[UserGroup | SlackUser | EmailAddress, Field(discriminator="type")]
"""A person or a group that a policy names."""
