"""Reading: lists, one instance, statistics, the event stream."""
