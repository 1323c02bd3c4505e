"""The SQLite driver: prepared statements, threads, the write-ahead log."""
