"""What people do to instances: start, pause, resume, terminate, purge, one or many."""
