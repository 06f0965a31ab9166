"""Storage of notes and items: MongoDB, the spill, and the embedded server."""
