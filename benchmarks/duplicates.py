"""Probable duplicates measured on generated archives whose truth is known: precision, recall, time, memory.

    .venv/bin/python benchmarks/duplicates.py [--residents 300000] [--write] [--train]

Residents are those of the sample (households, twins, namesakes), to which known duplicates are added: a name off by a
character, the old number of 15 digits, no number or a mistyped one, another telephone, village or birth date. Twins
with names alike and numbers of their own are added as well: they must not match. ``--train`` fits the weights of
``rules/linkage/residents.json`` on archives made with another seed, so that what is measured was not trained on.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.tables import write_table
from phqc_pipeline.home import DEFAULT_RULES
from phqc_pipeline.sample.calendar import times_for
from phqc_pipeline.sample.people import settle
from phqc_pipeline.sample.places import found_institutions
from phqc_pipeline.sample.write import DEFAULT_SNAPSHOT
from phqc_pipeline.warehouse.db import open_duckdb
from phqc_pipeline.warehouse.linkage import ARCHIVE, link_archives, make_linker, prepare, read_model

INSTITUTIONS = 20
_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])  # GB 11643
_OTHER_CHARACTERS = np.array(list("伟卫维明民敏丽莉力晓小军君平萍江疆尔娜那汗罕古别提迪阿艾"), dtype=object)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--residents", default="75000,300000", help="sizes of the county, comma separated")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--train", action="store_true")
    given = parser.parse_args()
    if given.train:
        train()
    rows = [_measured(size) for size in map(int, given.residents.split(","))]
    header = ("档案", "其中重复", "双胞胎对", "查准率", "查全率", "比对的对数", "秒", "峰值内存 MB")
    about = "splink 找疑似重复档案（概率 ≥ 0.95 的对），重复与双胞胎都是生成的、真相已知"
    print(write_table("duplicates", header, rows, about, given.write))


def archives(residents: int, seed: int, share: float = 0.03) -> tuple[pl.DataFrame, int, int]:
    """Archives (columns of ``linkage.ARCHIVE`` and ``who``, the person), how many of them repeat another, and how many
    pairs of twins were added."""
    sizes = [residents // INSTITUTIONS] * INSTITUTIONS
    times = times_for(DEFAULT_SNAPSHOT)
    people = pl.concat([_people(place, times, seed) for place in found_institutions(INSTITUTIONS, sizes, seed)])
    people = people.with_row_index("who").with_columns(pl.col("who").cast(pl.Int64))
    random = np.random.default_rng(seed)
    again = _spoiled(people[random.choice(people.height, int(people.height * share), replace=False)], random)
    twins = _twins(people, random, residents // 200)
    every = pl.concat([people, again, twins]).sample(fraction=1, shuffle=True, seed=seed)
    return every, again.height, twins.height


def _people(place: Any, times: Any, seed: int) -> pl.DataFrame:
    people = settle(place, times, seed)
    return people.select(
        pl.lit(place.code).alias("institution_code"),
        "archive_no",
        "name",
        (pl.lit(np.datetime64("1970-01-01")).cast(pl.Date) + pl.duration(days=pl.col("birth")))
        .dt.strftime("%Y%m%d")
        .alias("birth"),
        pl.when(pl.col("female")).then(pl.lit("2")).otherwise(pl.lit("1")).alias("sex"),
        pl.col("id_card").alias("number"),
        pl.lit(True).alias("number_ok"),
        pl.when(pl.col("phone") != "无").then("phone").alias("phone"),
        (pl.lit(place.code) + pl.col("village").cast(pl.String)).alias("village"),
    )


def _spoiled(rows: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """The same people archived again: other archive numbers, and now and then something written otherwise."""
    size = rows.height
    chosen = random.choice(5, size, p=[0.45, 0.2, 0.15, 0.1, 0.1])  # same, 15 digits, none, mistyped, none and name off
    old = pl.Series(chosen == 1) & (rows["birth"].str.slice(0, 2) == "19")
    names = pl.Series(
        [
            _one_off(name, random) if off else name
            for name, off in zip(rows["name"], (random.random(size) < 0.3) | (chosen == 4), strict=True)
        ]
    )
    typed = pl.Series([_mistyped(one, random) for one in rows["number"]])
    number = pl.col("number")
    return rows.with_columns(
        pl.format("{}{}", pl.col("archive_no").str.slice(0, 12), pl.Series(70000 + np.arange(size) % 29999)).alias(
            "archive_no"
        ),
        names.alias("name"),
        pl.when(old)
        .then(number.str.slice(0, 6) + number.str.slice(8, 9))
        .when(pl.Series(np.isin(chosen, [2, 4])))
        .then(None)
        .when(pl.Series(chosen == 3))
        .then(typed)
        .otherwise(number)
        .alias("number"),
        (pl.Series(np.isin(chosen, [0, 1])) & ~old).alias("number_ok"),
        pl.when(pl.Series(random.random(size) < 0.4)).then(pl.col("phone").reverse()).otherwise("phone").alias("phone"),
        pl.when(pl.Series(random.random(size) < 0.1)).then(pl.lit("elsewhere")).otherwise("village").alias("village"),
        pl.when(pl.Series((random.random(size) < 0.06) & np.isin(chosen, [0, 1])))
        .then(pl.col("birth").str.slice(0, 6) + pl.lit("01"))
        .otherwise("birth")
        .alias("birth"),
    )


def _twins(people: pl.DataFrame, random: np.random.Generator, count: int) -> pl.DataFrame:
    """A twin of some residents: one birth date, sex, village and telephone, names alike, another valid number."""
    rows = people[random.choice(people.height, count, replace=False)]
    bodies = rows["number"].str.slice(0, 14) + pl.Series(
        [f"{(int(one[14:17]) + 2) % 1000:03d}" for one in rows["number"]]
    )
    return rows.with_columns(
        (pl.col("who") + 10_000_000).alias("who"),
        pl.format("{}{}", pl.col("archive_no").str.slice(0, 11), pl.Series(900000 + np.arange(count))).alias(
            "archive_no"
        ),
        pl.Series([_one_off(name, random) for name in rows["name"]]).alias("name"),
        pl.Series([body + _check(body) for body in bodies]).alias("number"),
    )


def _one_off(name: str, random: np.random.Generator) -> str:
    place = int(random.integers(1, len(name))) if len(name) > 1 else 0
    others = [one for one in _OTHER_CHARACTERS if one != name[place]]
    return name[:place] + others[int(random.integers(len(others)))] + name[place + 1 :]


def _mistyped(number: str, random: np.random.Generator) -> str:
    place = int(random.integers(14, 17))
    return number[:place] + str((int(number[place]) + int(random.integers(1, 9))) % 10) + number[place + 1 :]


def _check(body: str) -> str:
    return "10X98765432"[int((np.array(list(body), dtype=np.int64) * _WEIGHTS).sum()) % 11]


def _measured(residents: int) -> tuple[str, ...]:
    every, repeated, twins = archives(residents, seed=20241231)
    model = read_model(DEFAULT_RULES)
    with tempfile.TemporaryDirectory() as scratch, open_duckdb(scratch=Path(scratch)) as connection:
        connection.register("given", every.select(*ARCHIVE).to_arrow())
        connection.execute("CREATE TABLE archive AS FROM given")
        started = time.perf_counter()
        links = link_archives(connection, model)
        seconds = time.perf_counter() - started
        each = [_COMPARED.format(rule["blocking_rule"]) for rule in model["settings"][_BLOCKED_BY]]
        compared = connection.execute(f"SELECT count(*) FROM ({' UNION '.join(each)})").fetchone()
    who = every.select("institution_code", "archive_no", "who")
    strong = links.filter(pl.col("probability") >= model["merge_from"])
    for side in "ab":
        strong = strong.join(
            who.rename(
                {"institution_code": f"institution_{side}", "archive_no": f"archive_{side}", "who": f"who_{side}"}
            ),
            on=[f"institution_{side}", f"archive_{side}"],
        )
    right = strong.filter(pl.col("who_a") == pl.col("who_b")).height
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{every.height:,}",
        f"{repeated:,}",
        f"{twins:,}",
        f"{right / max(strong.height, 1):.4f}",
        f"{right / repeated:.4f}",
        f"{compared[0]:,}" if compared else "",
        f"{seconds:.0f}",
        f"{memory:.0f}",
    )


_BLOCKED_BY = "blocking_rules_to_generate_predictions"
_COMPARED = (
    "SELECT l.unique_id AS a, r.unique_id AS b FROM person AS l JOIN person AS r ON l.unique_id < r.unique_id AND {}"
)


def train(residents: int = 60_000) -> None:
    """Fit the weights on archives made with another seed and write them into the catalogue."""
    from splink import SettingsCreator

    every, _, _ = archives(residents, seed=7, share=0.05)
    path = DEFAULT_RULES / "linkage" / "residents.json"
    path.parent.mkdir(exist_ok=True)
    with open_duckdb() as connection:
        connection.register("given", every.select(*ARCHIVE).to_arrow())
        connection.execute("CREATE TABLE archive AS FROM given")
        prepare(connection, SHARED_BY_AT_MOST)
        connection.register("truth", every.select("institution_code", "archive_no", "who").to_arrow())
        connection.execute(
            "CREATE OR REPLACE TABLE person AS SELECT p.*, CAST(t.who AS VARCHAR) AS who FROM person AS p "
            "JOIN truth AS t ON p.unique_id = t.institution_code || '|' || t.archive_no"
        )
        creator = SettingsCreator(
            link_type="dedupe_only",
            comparisons=comparisons(),
            blocking_rules_to_generate_predictions=BLOCKING,
            retain_intermediate_calculation_columns=False,
            retain_matching_columns=True,
            probability_two_random_records_match=1e-7,
        )
        linker = make_linker(connection, creator.create_settings_dict("duckdb"))
        linker.training.estimate_u_using_random_sampling(max_pairs=5e6, seed=7)
        linker.training.estimate_m_from_pairwise_labels(_labels(linker, connection))
        settings = linker.misc.save_model_to_json(None)
    settings.pop("linker_uid", None)
    for comparison in settings["comparisons"]:
        for level in comparison["comparison_levels"]:
            if not level.get("is_null_level"):
                level.setdefault("m_probability", NEVER_SEEN)
                if level.get("label_for_charts") == TWO_NUMBERS:
                    level["m_probability"] = ONE_PERSON_TWO_NUMBERS
                level.setdefault("u_probability", NEVER_SEEN)
    model = {
        "how_made": (
            "benchmarks/duplicates.py --train：生成的档案（种子 7，60,000 人，5% 重复，另有双胞胎），u 由随机对估计，"
            "m 由已知真相的对估计；固定为数据，夜间不训练。没有出现过的档次取 0.001；"
            "一人两个有效号码取 1e-8，使双胞胎不被合并。"
        ),
        "publish_from": 0.5,
        "merge_from": 0.95,
        "phone_shared_by_at_most": SHARED_BY_AT_MOST,
        "settings": settings,
    }
    path.write_text(json.dumps(model, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _labels(linker: Any, connection: Any) -> Any:
    connection.execute(
        "CREATE OR REPLACE TABLE label AS SELECT a.unique_id AS unique_id_l, b.unique_id AS unique_id_r, "
        "1.0 AS clerical_match_score FROM person AS a JOIN person AS b ON a.who = b.who AND a.unique_id < b.unique_id"
    )
    return linker.table_management.register_labels_table(connection.execute("FROM label").df(), overwrite=True)


NEVER_SEEN = 0.001  # of a level no pair of the training data had, such as another sex
TWO_NUMBERS = "都有效而不同"
# Set, not trained: what twins share (birth, sex, telephone, village, half the name) hangs together; the model takes it
# for independent evidence. So small that even archives alike in everything else are shown for checking, not merged.
ONE_PERSON_TWO_NUMBERS = 1e-8
SHARED_BY_AT_MOST = 20  # UNI-U-007: above it a telephone is taken for the doctor's or the village's
BLOCKING = [
    "l.number = r.number",
    "l.birth = r.birth and l.sex = r.sex and l.initial = r.initial",
    "l.birth = r.birth and l.phone = r.phone",
    "l.birth = r.birth and l.sex = r.sex and l.village = r.village",
    "l.name = r.name and l.sex = r.sex and l.village = r.village",
    "l.name = r.name and l.phone = r.phone",
]


def comparisons() -> list[Any]:
    """What is compared, level by level, the best first."""
    import splink.comparison_level_library as cll
    import splink.comparison_library as cl

    def comparison(name: str, *levels: tuple[str, str]) -> Any:
        return cl.CustomComparison(
            output_column_name=name,
            comparison_levels=[
                cll.NullLevel(name),
                *(cll.CustomLevel(sql, label_for_charts=label) for sql, label in levels),
                cll.ElseLevel(),
            ],
        )

    return [
        comparison(
            "number",
            ("number_l = number_r", "相同"),
            ("number_ok_l and number_ok_r", TWO_NUMBERS),
            ("damerau_levenshtein(number_l, number_r) <= 2", "差一两位"),
        ),
        comparison("name", ("name_l = name_r", "相同"), ("levenshtein(name_l, name_r) <= 3", "差一个字")),
        comparison(
            "birth", ("birth_l = birth_r", "相同"), ("damerau_levenshtein(birth_l, birth_r) <= 2", "差一两位数字")
        ),
        comparison("sex", ("sex_l = sex_r", "相同")),
        comparison("phone", ("phone_l = phone_r", "相同")),
        comparison("village", ("village_l = village_r", "相同")),
    ]


if __name__ == "__main__":
    main()
