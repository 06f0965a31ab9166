"""What logs show, and in which form."""
