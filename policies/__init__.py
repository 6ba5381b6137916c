"""Pure policies: what turns a snapshot into the number of machines wanted."""
