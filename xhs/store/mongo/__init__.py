"""The store in MongoDB: its client, one module a collection, and the writer that they share."""
