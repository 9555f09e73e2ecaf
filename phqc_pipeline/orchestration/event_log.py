"""Dagster's embedded event log, with its SQLite files kept open.

Belongs here: how connections of the event log are made. Does not belong here: what is logged.

Dagster makes an engine, connects, and waits for the disk for each of a night's thousand events, several times for some;
measured, that was a fifth of a night on the founding institution. Here an engine stays, and a commit does not wait for
the disk: in WAL mode the file cannot be damaged by that, and what a power cut may lose of a run's log tells of a run
that is repeated anyhow.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine

_BUSY_SECONDS = 60  # as long as Dagster itself waits for another process to finish writing
_OPEN_RUNS = 4


class HomeEventLog(SqliteEventLogStorage):
    """``dagster.yaml``: ``event_log_storage``. Lies where Dagster's own would: ``$DAGSTER_HOME/history/runs``."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> Any:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> HomeEventLog:
        return cls(str(Path(os.environ["DAGSTER_HOME"]) / "history" / "runs"), inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            engine = sqlalchemy.create_engine(
                self.conn_string_for_shard(shard), connect_args={"timeout": _BUSY_SECONDS}, pool_size=1
            )
            sqlalchemy.event.listen(engine, "connect", _does_not_wait)
        self._engines[shard] = engine
        if len(self._engines) > _OPEN_RUNS:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def dispose(self) -> None:
        while self._engines:
            self._engines.popitem()[1].dispose()
        super().dispose()


def _does_not_wait(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
