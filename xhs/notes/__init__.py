"""What to ask for: how notes are named, where they come from, and how each begins."""
