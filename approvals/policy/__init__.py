"""policy.yml: reading, schema, conditions, lint, and the route they give a request."""
