"""users.*: people, with the e-mail only for tokens that may see it."""

from datetime import datetime
from zoneinfo import ZoneInfo

from local.slack.arguments import flag, required
from local.slack.errors import SlackError
from local.slack.seed import User
from local.slack.values import Json
from local.slack.web_api.call import Call, Method
from local.slack.web_api.paging import page_of


def describe(call: Call, user: User) -> Json:
    """Give Slack's JSON form of a user."""
    body: Json = {
        "id": user.id,
        "team_id": call.world.team_of(user),
        "name": user.name,
        "deleted": user.deleted,
        "real_name": user.real_name,
        "profile": _profile(call, user),
        "is_bot": user.is_bot,
        "is_app_user": False,
        "updated": int(call.world.now()),
    }
    if not user.deleted:
        body |= _flags(user) | _zone(user)
    if user.enterprise_id:
        body["enterprise_user"] = {"id": user.id, "enterprise_id": user.enterprise_id}
    if flag(call.arguments, "include_locale"):
        body["locale"] = user.locale
    return body


def _profile(call: Call, user: User) -> Json:
    profile: Json = {
        "real_name": user.real_name,
        "display_name": user.name,
        "title": user.title,
        "team": call.world.team_of(user),
    }
    if user.email and not user.is_bot and "users:read.email" in call.caller.scopes:
        profile["email"] = user.email
    if user.is_bot:
        profile |= {"bot_id": call.world.bot_id, "api_app_id": call.world.app_id}
    return profile


def _flags(user: User) -> Json:
    flags: Json = {
        "is_admin": user.is_admin,
        "is_owner": user.is_owner,
        "is_primary_owner": False,
        "is_restricted": user.is_restricted,
        "is_ultra_restricted": user.is_ultra_restricted,
        "is_email_confirmed": not user.is_invited_user,
    }
    rare = {"is_stranger": user.is_stranger, "is_invited_user": user.is_invited_user}
    return flags | {name: True for name, value in rare.items() if value}


def _zone(user: User) -> Json:
    now = datetime.now(ZoneInfo(user.tz))
    offset = now.utcoffset()
    return {"tz": user.tz, "tz_label": now.tzname(), "tz_offset": int(offset.total_seconds()) if offset else 0}


def info(call: Call) -> Json:
    """Describe one user. Raises user_not_found."""
    (user_id,) = required(call.arguments, "user")
    user = call.world.users.get(user_id)
    if user is None:
        raise SlackError("user_not_found")
    return {"user": describe(call, user)}


def list_users(call: Call) -> Json:
    """List everybody, deactivated users too."""
    page, cursor = page_of(list(call.world.users.values()), call.arguments, default=1000)
    members = [describe(call, user) for user in page]
    return {"members": members, "cache_ts": int(call.world.now()), "response_metadata": {"next_cursor": cursor}}


def lookup_by_email(call: Call) -> Json:
    """Find an active person by e-mail. Raises users_not_found."""
    (email,) = required(call.arguments, "email")
    for user in call.world.users.values():
        if user.email and user.email.lower() == email.lower() and not user.deleted and not user.is_bot:
            return {"user": describe(call, user)}
    raise SlackError("users_not_found")


METHODS = {
    "users.info": Method(info, scope="users:read"),
    "users.list": Method(list_users, scope="users:read", per_minute=20),
    "users.lookupByEmail": Method(lookup_by_email, scope="users:read.email", per_minute=50),
}
