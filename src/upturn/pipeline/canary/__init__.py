"""Whether a model is still the one that it was: a few rows asked again, past the cache."""
