"""Export of the store to files: tables, their formats, and files that are replaced when whole."""
