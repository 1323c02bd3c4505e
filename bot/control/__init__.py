"""Seeing and managing workflows: one service each for REST, Slack, the dashboard and the command line."""
