-- The engine keeps its state apart from the records, on the same server.
CREATE DATABASE dapr;
