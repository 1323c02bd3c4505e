"""The process: settings, logs, limits, correlation ids, background work."""
