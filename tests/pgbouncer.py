"""A PgBouncer of one's own in front of a cluster, where its program is installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.end_to_end.system import eventually
from tests.postgres import PASSWORD, Cluster, free_port, unprivileged

CONFIG = """
[databases]
postgres = host={folder} port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir = {folder}
auth_type = plain
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 200
"""


def program() -> str:
    """Return PgBouncer's program. In CI a missing one fails; elsewhere its tests are skipped."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None and os.environ.get("CI"):
        pytest.fail("pgbouncer is missing: install it")
    if found is None:
        pytest.skip("pgbouncer is not installed")
    return found


@contextmanager
def pooled(cluster: Cluster, connections: int = 3) -> Iterator[str]:
    """Run one with few connections to the server, so that transactions change places; give its URL."""
    port = free_port()
    (cluster.folder / "users.txt").write_text(f'"postgres" "{PASSWORD}"\n')
    config = cluster.folder / "pgbouncer.ini"
    config.write_text(CONFIG.format(folder=cluster.folder, server=cluster.port, port=port, connections=connections))
    with subprocess.Popen(  # type: ignore[call-overload]
        [program(), "-q", config], stderr=(cluster.folder / "pgbouncer.log").open("wb"), **unprivileged()
    ) as process:
        try:
            eventually(lambda: Path(cluster.folder / f".s.PGSQL.{port}").exists())
            yield f"postgresql://postgres:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
