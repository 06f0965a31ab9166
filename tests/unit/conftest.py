from hypothesis import settings

# No deadline: a slow machine must not fail a test.
settings.register_profile("xhs", deadline=None)
settings.load_profile("xhs")
