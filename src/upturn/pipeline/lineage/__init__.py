"""From a release back to the rows and the feedback that caused it."""
