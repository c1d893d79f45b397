"""The same examples in every run: a property that fails here fails everywhere."""

from hypothesis import settings

settings.register_profile("daybook", derandomize=True, deadline=None, database=None)
settings.load_profile("daybook")
