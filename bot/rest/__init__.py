"""REST: orders, workflows, health. Every error is an application/problem+json document (RFC 9457)."""
