"""The embedded MongoDB server: a separate process, started on demand."""
