"""The schema's history: one reversible file a step, run by :meth:`storage.metadata.database.Metadata.migrate`."""
