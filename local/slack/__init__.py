"""A local Slack workspace: Web API, interactions, Socket Mode, a page in the browser. Knows no app."""

from local.slack.actor import Actor
from local.slack.call_log import ApiCall, Delivery
from local.slack.driver import LocalSlack
from local.slack.errors import SlackError, UsageError
from local.slack.faults import Fault
from local.slack.interactions import Outcome
from local.slack.manifest import AppManifest
from local.slack.seed import Channel, Group, Seed, Team, User, default_seed, load_seed
from local.slack.values import Message, Notice, View
from local.slack.workspace import Settings

__all__ = [
    "Actor",
    "ApiCall",
    "AppManifest",
    "Channel",
    "Delivery",
    "Fault",
    "Group",
    "LocalSlack",
    "Message",
    "Notice",
    "Outcome",
    "Seed",
    "Settings",
    "SlackError",
    "Team",
    "UsageError",
    "User",
    "View",
    "default_seed",
    "load_seed",
]
