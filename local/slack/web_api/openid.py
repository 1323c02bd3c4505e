"""openid.connect.*: the two methods of Sign in with Slack."""

from local.slack.errors import SlackError
from local.slack.values import Json
from local.slack.web_api.call import Call, Method


def token(call: Call) -> Json:
    """Exchange a code for an access token and an id_token."""
    return call.sign_in.redeem(call.arguments, call.base_url)


def user_info(call: Call) -> Json:
    """Give the claims about whoever signed in."""
    if call.caller.user is None:
        raise SlackError("not_allowed_token_type")
    return call.sign_in.profile(call.caller.user)


METHODS = {
    "openid.connect.token": Method(token, tokens=("none", "bot", "user", "app")),
    "openid.connect.userInfo": Method(user_info, tokens=("user",)),
}
