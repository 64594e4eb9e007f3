"""A member of MySQL's group replication: what the other members commit cannot be seen."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest

from support import clusters, mysqlserver
from support.databases import MariaServer
from support.followed import Followed
from support.roles import PASSWORD, mariadb_user, url_as
from support.servers import missing, start_once
from support.worlds.mariadb import driver

pytestmark = pytest.mark.live("mysql9")
NAME = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"


def _start(folder):
    root = mysqlserver.mysql_root()
    if root is None:
        missing("mysql9")
    place = f"127.0.0.1:{clusters.free_port()}"
    chosen = {
        "group-name": NAME,
        "local-address": place,
        "group-seeds": place,
        "bootstrap-group": "ON",
        "start-on-boot": "OFF",
        "ssl-mode": "DISABLED",
    }
    settings = {f"loose-group-replication-{name}": value for name, value in chosen.items()}
    plugin = {"server-id": "77", "plugin-load-add": "group_replication.so"}
    return mysqlserver.start_mysql(root, folder, {**settings, **plugin})


def test_a_window_of_a_member_is_never_complete(tmp_path):
    running = start_once("mysqlgroup", _start)
    server = MariaServer(running.url, running.admin_url, Path(running.home))
    with (
        server.fresh_database() as found,
        driver(found.admin_url) as ask,
        mariadb_user(found) as user,
    ):
        followed = Followed("mysql", found, tmp_path)
        ask(
            "INSERT INTO t VALUES (1, '2024-05-01');;"
            f"GRANT SELECT ON {found.name}.* TO {user};;"
            f"GRANT PROCESS, REPLICATION CLIENT ON *.* TO {user}"
        )
        # Over TLS, so that the server has the digest: without it none is sent but that.
        place = urlsplit(found.url)
        login = {"host": place.hostname, "port": place.port, "user": user, "password": PASSWORD}
        pymysql.connect(**login).close()
        assert followed.run().guarantee.startswith("complete")
        ask("START GROUP_REPLICATION")
        try:
            assert "one of a cluster" in followed.run().guarantee
            followed.url = url_as(found.url, user)
            assert "replication_group_members" in followed.run().guarantee
        finally:
            ask("STOP GROUP_REPLICATION;;SET GLOBAL super_read_only = OFF, read_only = OFF")
