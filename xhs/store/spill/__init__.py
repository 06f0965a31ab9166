"""The spill: files with paid answers that the database did not accept."""
