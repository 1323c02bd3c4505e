"""Authentication, roles, refusals."""
