"""Many exports of one invocation: one after another, in threads or in child processes."""
