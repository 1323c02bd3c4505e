"""SQL: intake, read model, audit chain, keys, ledger. No Slack, no Dapr, no policy rules."""
