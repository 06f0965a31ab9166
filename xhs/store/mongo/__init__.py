"""The store in MongoDB: client, writer, and the modules for its collections."""
