"""auth.test, api.test, team.info."""

from local.slack.errors import SlackError
from local.slack.values import Json
from local.slack.web_api.call import Call, Method


def auth_test(call: Call) -> Json:
    """Say who the token belongs to."""
    world = call.world
    user_id = call.caller.user or world.bot_user_id
    body = {
        "url": f"{call.base_url}/",
        "team": world.team.name,
        "user": world.users[user_id].name,
        "team_id": world.team.id,
        "user_id": user_id,
        "is_enterprise_install": False,
    }
    if call.caller.kind == "bot":
        body["bot_id"] = world.bot_id
    if world.team.enterprise_id:
        body["enterprise_id"] = world.team.enterprise_id
    return body


def api_test(call: Call) -> Json:
    """Echo the arguments, or fail with the error one asks for."""
    arguments = {key: value for key, value in call.arguments.items() if key != "token"}
    if "error" in arguments:
        raise SlackError(str(arguments["error"]), args=arguments)
    return {"args": arguments}


def team_info(call: Call) -> Json:
    """Describe the workspace."""
    team = call.world.team
    return {"team": {"id": team.id, "name": team.name, "domain": team.domain, "email_domain": "", "icon": {}}}


METHODS = {
    "auth.test": Method(auth_test, per_minute=600),
    "api.test": Method(api_test, tokens=("none", "bot", "user", "app")),
    "team.info": Method(team_info, scope="team:read", per_minute=50),
}
