"""What happens to an item: validated, stored, and then handed to the feeds."""
