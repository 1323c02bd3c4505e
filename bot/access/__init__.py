"""Who is calling, and may they: authentication, roles, refusals."""
