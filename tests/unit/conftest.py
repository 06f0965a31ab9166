from hypothesis import settings

# A slow machine is no failure.
settings.register_profile("xhs", deadline=None)
settings.load_profile("xhs")
