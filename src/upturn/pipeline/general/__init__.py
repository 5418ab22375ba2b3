"""Short invented tasks that show whether a model still answers in the form it is asked for."""
