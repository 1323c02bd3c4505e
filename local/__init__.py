"""Parts for one machine, for development, demo and tests: a workflow sidecar and a Slack workspace."""
