"""What people see: lists, one instance, statistics, the event stream."""
