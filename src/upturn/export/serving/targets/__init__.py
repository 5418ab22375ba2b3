"""One file per server. To add one: write its file here, and end it with ``TARGET = ...``."""
