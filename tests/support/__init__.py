"""What the tests stand on: servers, commands, tables, readers and a faulty network."""
