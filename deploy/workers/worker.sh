#!/bin/sh
# A worker that says itself what it does, and obeys the drain mark: docs/workers.md. It serves a Redis list.

lease_s=120 # after so long without its worker a job is taken by another
fleet="autoscaler:{$AUTOSCALER_FLEET}:"
me=$AUTOSCALER_INSTANCE
ask() { redis-cli -u "$REDIS_URL" --raw "$@"; }

# beat BUSY DRAINED: say what this machine does, and then look whether it carries the drain mark; 1 if it does.
beat() {
  marked=
  ask HSET "${fleet}workers" "$me" "{\"busy\": $1, \"drained\": $2, \"at\": \"$(date +%s.%N)\"}" >/dev/null &&
    marked=$(ask EXISTS "${fleet}drain:$me")
}

# keep JOB: put the end of its lease off.
keep() {
  now=$(ask TIME | head -n 1)
  [ -n "$now" ] && ask ZADD jobs:processing XX $((now + lease_s)) "$1" >/dev/null
}

# Yours. Here a job is the number of seconds that it takes.
work() { sleep "$1"; }

drained=false
while true; do
  beat 0 $drained
  job=
  # whoever has said that it pulls no more takes that back first
  [ "$marked$drained" = 0false ] && job=$(ask --eval "${0%/*}/take.lua" jobs jobs:processing , $lease_s)
  drained=false
  [ "$marked" = 1 ] && drained=true
  if [ -z "$job" ]; then
    sleep 1
    continue
  fi
  work "$job" &
  while kill -0 $! 2>/dev/null; do
    beat 1 false
    keep "$job"
    sleep 1
  done
  ask ZREM jobs:processing "$job" >/dev/null
done
