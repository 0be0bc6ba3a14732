#!/bin/sh
# A database's password comes in as a file, and reaches the driver as libpq's own variable.
set -eu
if [ -n "${DATABASE_PASSWORD_FILE:-}" ]; then
    PGPASSWORD="$(cat "$DATABASE_PASSWORD_FILE")"
    export PGPASSWORD
fi
# exec: the signals of whoever stops the container reach the program itself.
exec "$@"
