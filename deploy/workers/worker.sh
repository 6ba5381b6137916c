#!/bin/sh
# A worker that says itself what it does, and obeys the drain mark: docs/workers.md. It serves a Redis list.

fleet="autoscaler:{$AUTOSCALER_FLEET}:"
me=$AUTOSCALER_INSTANCE
ask() { redis-cli -u "$REDIS_URL" --raw "$@"; }

# beat BUSY DRAINED: say what this machine does, and then look whether it carries the drain mark; 1 if it does.
beat() {
  marked=
  ask HSET "${fleet}workers" "$me" "{\"busy\": $1, \"drained\": $2, \"at\": \"$(date +%s.%N)\"}" >/dev/null &&
    marked=$(ask EXISTS "${fleet}drain:$me")
}

# Yours. Here a job is the number of seconds that it takes.
work() { sleep "$1"; }

drained=false
while true; do
  beat 0 $drained
  drained=false
  job=
  [ "$marked" = 1 ] && drained=true
  [ "$marked" = 0 ] && job=$(ask LMOVE jobs jobs:processing LEFT RIGHT)
  if [ -z "$job" ]; then
    sleep 1
    continue
  fi
  work "$job" &
  while kill -0 $! 2>/dev/null; do
    beat 1 false
    sleep 1
  done
  ask LREM jobs:processing 1 "$job" >/dev/null
done
