"""The progress display: what a crawl or a command is doing, for the person who waits for it."""
