"""Slack's Web API, one module per family of methods."""

from local.slack.web_api import apps, auth, chat, conversations, openid, usergroups, users, views
from local.slack.web_api.call import Call, Caller, Method

METHODS: dict[str, Method] = {
    **auth.METHODS,
    **apps.METHODS,
    **chat.METHODS,
    **conversations.METHODS,
    **openid.METHODS,
    **usergroups.METHODS,
    **users.METHODS,
    **views.METHODS,
}

__all__ = ["METHODS", "Call", "Caller", "Method"]
