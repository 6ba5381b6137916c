"""Fleet records, intents, lease and journal, in Redis and in memory."""
