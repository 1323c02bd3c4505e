"""usergroups.*: what people mention as @managers."""

from local.slack.arguments import flag, required
from local.slack.errors import SlackError
from local.slack.seed import Group
from local.slack.values import Json
from local.slack.web_api.call import Call, Method


def _describe(call: Call, group: Group) -> Json:
    body: Json = {
        "id": group.id,
        "team_id": call.world.team.id,
        "is_usergroup": True,
        "name": group.name,
        "handle": group.handle,
        "description": "",
        "date_delete": 1 if group.disabled else 0,
    }
    if flag(call.arguments, "include_users"):
        body["users"] = list(group.members)
    if flag(call.arguments, "include_count"):
        body["user_count"] = len(group.members)
    return body


def list_groups(call: Call) -> Json:
    """List the user groups, disabled ones only when asked for."""
    disabled = flag(call.arguments, "include_disabled")
    groups = [group for group in call.world.groups.values() if disabled or not group.disabled]
    return {"usergroups": [_describe(call, group) for group in groups]}


def list_members(call: Call) -> Json:
    """List the members of a user group: a deactivated person is in none. Raises no_such_subteam."""
    (group_id,) = required(call.arguments, "usergroup")
    group = call.world.groups.get(group_id)
    if group is None or (group.disabled and not flag(call.arguments, "include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": [user for user in group.members if not call.world.users[user].deleted]}


METHODS = {
    "usergroups.list": Method(list_groups, scope="usergroups:read", per_minute=20),
    "usergroups.users.list": Method(list_members, scope="usergroups:read", per_minute=20),
}
