"""The project's commands: each refuses what it does not know, and exits 2 for wrong usage."""
