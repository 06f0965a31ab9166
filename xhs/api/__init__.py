"""What the provider says: endpoints, envelopes and the objects in them. Pure functions only."""
