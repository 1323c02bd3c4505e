"""apps.connections.open: the address of a Socket Mode connection."""

from local.slack.values import Json
from local.slack.web_api.call import Call, Method


def connections_open(call: Call) -> Json:
    """Give a WebSocket address that is good for one connection."""
    return {"url": call.new_socket_url()}


METHODS = {"apps.connections.open": Method(connections_open, scope="connections:write", tokens=("app",))}
