"""Publishers: what makes the recorded parts of a run visible to readers, each by its own rules."""
