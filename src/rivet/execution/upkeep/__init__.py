"""What is done beside runs: prune, repair, backfill, commands on the state, the read API."""
