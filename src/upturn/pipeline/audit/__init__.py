"""What is written down for an auditor, and how it is held against itself."""
