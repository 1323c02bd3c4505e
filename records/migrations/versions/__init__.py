"""The steps from one schema to the next, applied by records.schema. Written once, never edited after a release."""
