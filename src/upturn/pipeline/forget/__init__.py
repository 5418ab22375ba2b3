"""The parts of forgetting: who is meant, what is searched for, what is changed where it lies."""
