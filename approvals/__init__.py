"""The domain: who must approve what, by when, and whether a decision counts.

Pure values and rules. Nothing here reads a clock, a file, Slack or Dapr: everything comes in as a value.
"""
