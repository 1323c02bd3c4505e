"""The Slack adapter: client, directory, rendering, announcing."""
