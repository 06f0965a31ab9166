"""Where notes and items are kept: MongoDB, the spill beside it, and the embedded server."""
