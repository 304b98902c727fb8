"""One file a change of the schema, never edited after its release."""
