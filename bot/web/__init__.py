"""What REST and the dashboard have in common of HTTP. The faces do not import each other."""
