#!/bin/sh
# Make the database at the first start, then serve.
set -eu
PATH=/usr/lib/postgresql/17/bin:$PATH
data=/var/lib/postgresql/data/pgdata
if [ ! -f "$data/PG_VERSION" ]; then
  initdb --pgdata="$data" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 >/dev/null
  echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
  PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") && export PGPASSWORD
  pg_ctl --pgdata="$data" --wait start >/dev/null
  createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
  for script in /docker-entrypoint-initdb.d/*.sql; do psql --quiet --username="$POSTGRES_USER" --file="$script" "$POSTGRES_DB"; done
  pg_ctl --pgdata="$data" --wait stop >/dev/null
fi
exec postgres -D "$data" -c listen_addresses='*'
