# PostgreSQL as the official image behaves in what the stack uses of it: user, password file, first scripts, data folder.
FROM localhost/debian:trixie-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql-17 \
    && rm -rf /var/lib/apt/lists/* && usermod --uid 999 postgres && mkdir -p /var/lib/postgresql/data \
    && chown -R 999 /var/lib/postgresql /var/run/postgresql
COPY postgres.sh /usr/local/bin/
USER 999
ENTRYPOINT ["sh", "/usr/local/bin/postgres.sh"]
