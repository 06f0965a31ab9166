"""The embedded MongoDB server: a process of its own, started on demand."""
