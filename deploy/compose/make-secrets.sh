#!/bin/sh
# Makes the passwords that are missing below a directory, and leaves alone those that are there.
# Files can be read by every user, for each container has another one; the directory lets nobody else in.
set -eu
umask 022
cd "$1"
chmod 700 .
mkdir -p redis grafana daemon

for secret in redis/password grafana/password daemon/token; do
  [ -s "$secret" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$secret"
done
printf 'requirepass %s\n' "$(cat redis/password)" >redis/requirepass.conf
