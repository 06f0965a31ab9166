"""Log output: no personal data, no secrets, as text or JSON."""
