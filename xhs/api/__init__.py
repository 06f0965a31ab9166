"""The provider's API: endpoints, envelopes and the objects in them. Pure functions only."""
