"""Operations on instances, one or many: start, pause, resume, terminate, purge."""
