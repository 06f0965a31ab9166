"""The spill: files for paid answers that the database did not take."""
