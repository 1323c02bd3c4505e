"""Slack's side of the bot: the door that verifies, and the Bolt app that listens."""
