"""The workflow engine: the client and the worker. All types of the Dapr SDK end here."""
