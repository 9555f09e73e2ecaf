"""Archives that probably are of one person: every pair with its match probability, and who belongs together.

Belongs here: preparing the archives, splink's model as it stands in ``rules/linkage``, pairs and groups.
Does not belong here: which archive to keep (``dbt_project/models/marts/merge_proposal.sql``), training the model
(``benchmarks/duplicates.py --train``: no night trains, so nights can be repeated), the exact rules UNI-U-*.

Fellegi and Sunter's model weighs the evidence: numbers, names, birth dates, sexes, telephones, villages. Two valid and
different numbers tell twins and namesakes apart. Only pairs that share enough to be worth a look are weighed; each way
of sharing is selective, so that the pairs grow as the archives do.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from phqc_pipeline.home import DEFAULT_RULES, Home
from phqc_pipeline.warehouse.db import empty_select, literal, open_duckdb

#: What links two archives: empty where nothing was linked. ``agreement_*``: the level of each comparison, 0 the worst,
#: -1 where one side has no value.
LINK: dict[str, str] = {
    "institution_a": "VARCHAR",
    "archive_a": "VARCHAR",
    "institution_b": "VARCHAR",
    "archive_b": "VARCHAR",
    "probability": "DOUBLE",
    "agreement_number": "INTEGER",
    "agreement_name": "INTEGER",
    "agreement_birth": "INTEGER",
    "agreement_sex": "INTEGER",
    "agreement_phone": "INTEGER",
    "agreement_village": "INTEGER",
    "group_id": "VARCHAR",
}
#: What an archive is known by, as ``link_archives`` wants it.
ARCHIVE: dict[str, str] = {
    "institution_code": "VARCHAR",
    "archive_no": "VARCHAR",
    "name": "VARCHAR",
    "birth": "VARCHAR",
    "sex": "VARCHAR",
    "number": "VARCHAR",
    "number_ok": "BOOLEAN",
    "phone": "VARCHAR",
    "village": "VARCHAR",
}
#: What else is told of an archive: nothing that names a person.
FACTS: dict[str, str] = {
    "institution_code": "VARCHAR",
    "archive_no": "VARCHAR",
    "archive_status": "VARCHAR",
    "archive_date": "DATE",
    "has_valid_number": "BOOLEAN",
    "has_phone": "BOOLEAN",
}
_MODEL = Path("linkage") / "residents.json"
_COMPARED = ("number", "name", "birth", "sex", "phone", "village")


def read_model(rules: Path) -> dict[str, Any]:
    """``linkage/residents.json`` of the catalogue, else the project's own: splink's settings with trained weights, and
    the thresholds."""
    path = rules / _MODEL if (rules / _MODEL).is_file() else DEFAULT_RULES / _MODEL
    model: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return model


def link_warehouse(home: Home, rules: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The links (``LINK``) among the archives of the home's working file, and what is told of each archive
    (``FACTS``). Both are empty where the catalogue has no resident profile with these columns."""
    with open_duckdb(home.warehouse_db, scratch=home.warehouse / "tmp", read_only=True) as connection:
        there = {row[0] for row in connection.execute(_COLUMNS).fetchall()}
        if _NEEDED - there:
            return _none(LINK), _none(FACTS)
        archives = connection.execute(_ARCHIVES).to_arrow_table()
    with open_duckdb(scratch=home.warehouse / "tmp") as connection:
        connection.register("given", archives)
        connection.execute("CREATE TABLE archive AS FROM given")
        facts: pl.DataFrame = connection.execute(_FACTS).pl()
        links = link_archives(connection, read_model(rules)) if facts.height > 1 else _none(LINK)
    return links, facts


def link_archives(connection: duckdb.DuckDBPyConnection, model: Mapping[str, Any]) -> pl.DataFrame:
    """The links among the rows of the connection's table ``archive`` (columns of ``ARCHIVE``), in ``LINK``.

    Pairs from ``model["publish_from"]`` on; those from ``model["merge_from"]`` on make groups. The same rows and model
    give the same links.
    """
    prepare(connection, model["phone_shared_by_at_most"])
    linker = make_linker(connection, dict(model["settings"]))
    scored = linker.inference.predict(threshold_match_probability=model["publish_from"])
    connection.execute(
        f"CREATE OR REPLACE TABLE pair AS SELECT unique_id_l AS a, unique_id_r AS b, match_probability AS probability, "
        f"{', '.join(f'gamma_{name} AS agreement_{name}' for name in _COMPARED)} FROM {scored.physical_name}"
    )
    _group(connection, model["merge_from"])
    found: pl.DataFrame = connection.execute(_LINKS).pl()
    return found


def prepare(connection: duckdb.DuckDBPyConnection, shared_by_at_most: int) -> None:
    """``archive`` as splink compares it, in the table ``person``: a telephone of half a village tells nothing."""
    connection.execute(_PERSON.format(most=int(shared_by_at_most)))


def make_linker(connection: duckdb.DuckDBPyConnection, settings: Mapping[str, Any]) -> Any:
    """splink on the table ``person``, without a word on the terminal."""
    warnings.filterwarnings("ignore", module="splink")
    from splink import DuckDBAPI, Linker

    logging.getLogger("splink").setLevel(logging.ERROR)  # after the import, which sets its own
    return Linker("person", dict(settings), db_api=DuckDBAPI(connection), set_up_basic_logging=False)


def _group(connection: duckdb.DuckDBPyConnection, merge_from: float) -> None:
    """``member``: the smallest archive each hangs together with, by links strong enough. Groups are small: the smallest
    name travels along the links until nothing changes."""
    connection.execute(
        f"""CREATE OR REPLACE TABLE edge AS
            SELECT a AS x, b AS y FROM pair WHERE probability >= {merge_from}
            UNION SELECT b, a FROM pair WHERE probability >= {merge_from}"""
    )
    connection.execute("CREATE OR REPLACE TABLE member AS SELECT DISTINCT x AS id, x AS group_id FROM edge")
    while True:
        connection.execute(
            """CREATE OR REPLACE TABLE moved AS
               SELECT m.id, least(m.group_id, min(n.group_id)) AS group_id
               FROM member AS m JOIN edge AS e ON e.x = m.id JOIN member AS n ON n.id = e.y
               GROUP BY m.id, m.group_id"""
        )
        changed = connection.execute(
            "SELECT count(*) FROM moved JOIN member USING (id) WHERE moved.group_id <> member.group_id"
        ).fetchone()
        connection.execute("CREATE OR REPLACE TABLE member AS FROM moved")
        if not changed or not changed[0]:
            return


def _none(shape: Mapping[str, str]) -> pl.DataFrame:
    with duckdb.connect() as connection:
        empty: pl.DataFrame = connection.execute(empty_select(dict(shape))).pl()
    return empty


_COLUMNS = """SELECT column_name FROM duckdb_columns()
    WHERE schema_name = 'stg' AND table_name = 'judged_resident_profile'"""
_NEEDED = frozenset(
    (
        *("archive_no", "person_name", "birth_date", "sex_code", "id_card_no", "_id_ok", "phone", "village_name"),
        *("region_code", "archive_status", "archive_date"),
    )
)
_FACTS = """
    SELECT institution_code, archive_no, archive_status, archive_date, coalesce(number_ok, false) AS has_valid_number,
        phone IS NOT NULL AS has_phone
    FROM archive
    QUALIFY row_number() OVER (
        PARTITION BY institution_code, archive_no ORDER BY archive_status, archive_date, phone
    ) = 1
    ORDER BY institution_code, archive_no"""
_LINKS = """
    SELECT split_part(a, '|', 1) AS institution_a, split_part(a, '|', 2) AS archive_a,
        split_part(b, '|', 1) AS institution_b, split_part(b, '|', 2) AS archive_b,
        round(probability, 6) AS probability,
        agreement_number, agreement_name, agreement_birth, agreement_sex, agreement_phone, agreement_village,
        CASE WHEN m.group_id = n.group_id THEN md5(m.group_id) END AS group_id
    FROM pair LEFT JOIN member AS m ON m.id = a LEFT JOIN member AS n ON n.id = b
    ORDER BY archive_a, archive_b, institution_a, institution_b"""

_PERSON = """CREATE OR REPLACE TABLE person AS
    SELECT
        institution_code || '|' || archive_no AS unique_id, name, left(name, 1) AS initial, birth, sex, village,
        CASE WHEN number_ok THEN left(number, 17)
            WHEN regexp_full_match(number, '[0-9]{{15}}') THEN left(number, 6) || '19' || substr(number, 7)
            WHEN length(number) >= 15 THEN left(number, 17) END AS number,
        number_ok OR regexp_full_match(number, '[0-9]{{15}}') AS number_ok,
        CASE WHEN count(*) OVER (PARTITION BY phone) <= {most} THEN phone END AS phone
    FROM archive
    -- one row an archive and institution, whatever the order they came in
    QUALIFY row_number() OVER (
        PARTITION BY institution_code, archive_no
        ORDER BY number_ok DESC NULLS LAST, number, name, birth, phone, village
    ) = 1"""

_ARCHIVES = f"""
    SELECT {", ".join(ARCHIVE)}, archive_status, archive_date FROM (
        SELECT _institution_code AS institution_code, archive_no,
            upper(nfc_normalize(regexp_replace(regexp_replace(person_name, '[\\s\\x{{3000}}]', '', 'g'),
                '[•・．.‧]', '·', 'g'))) AS name,
            strftime(birth_date, '%Y%m%d') AS birth, sex_code AS sex, upper(id_card_no) AS number, _id_ok AS number_ok,
            CASE WHEN regexp_full_match(phone, {literal("1[3-9][0-9]{9}|0[0-9]{2,3}-?[0-9]{7,8}")}) THEN phone END
                AS phone,
            coalesce(village_name, region_code) AS village, archive_status, archive_date
        FROM stg.judged_resident_profile WHERE archive_no IS NOT NULL
    )"""
