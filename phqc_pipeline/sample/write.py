"""A whole sample: institution by institution, clean records first, then faults, then files and the answer key.

Belongs here: the order of the work, how many residents and faults each institution gets.
Does not belong here: any of the steps, what is said of the whole (``summary``).

Memory is bounded by the largest institution. Rates at which faults are put in, by the size of an institution:

* the founding institution at full size: every rule once for 2,000 records of the form, and at least once; a field rule
  at least once on every field it applies to;
* any other institution of 2,000 residents or more: every rule once for 2,000 records of the form (the first
  institution of a sample: at least once);
* smaller ones: the rules are dealt out among the sample's institutions; each injects its part once, a field rule on
  one field. No form has more than three quarters of its records faulty (larger ones: half), but for the sake of a
  rule that nothing else can stand for; rules on many forms spare those with few records.

Reports are made wrong (``misreports``) in periods other than the one that is charged.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import polars as pl

from phqc_pipeline.catalogue import Catalogue, Context, Rule
from phqc_pipeline.extracts.rows import record_keys
from phqc_pipeline.home import Home
from phqc_pipeline.sample.calendar import Times, times_for
from phqc_pipeline.sample.children import child_services
from phqc_pipeline.sample.community import community_work
from phqc_pipeline.sample.conditions import describe
from phqc_pipeline.sample.copd import copd_visits
from phqc_pipeline.sample.delivery import deliver, deliver_report, report_style, style_for
from phqc_pipeline.sample.encounters import receptions_and_consultations, referrals
from phqc_pipeline.sample.exact_count import settle_count
from phqc_pipeline.sample.exams import examinations
from phqc_pipeline.sample.faults import shared
from phqc_pipeline.sample.faults.cross import cross_findings
from phqc_pipeline.sample.faults.injection import Rates, inject
from phqc_pipeline.sample.faults.judge import RAW, judge_of
from phqc_pipeline.sample.faults.proposals import Setting
from phqc_pipeline.sample.faults.recipes import ON_ONE_FORM, ORDER, RECIPES, add_drafts, cook
from phqc_pipeline.sample.faults.truth import Finding, Truth, judged_rows
from phqc_pipeline.sample.faults.unshown import UNSHOWN
from phqc_pipeline.sample.faults.work import Work
from phqc_pipeline.sample.infectious import infectious_cards
from phqc_pipeline.sample.mental import mental_health
from phqc_pipeline.sample.misreports import MISREPORTS, misreport
from phqc_pipeline.sample.mothers import maternal_services, mothers_archives
from phqc_pipeline.sample.people import settle
from phqc_pipeline.sample.places import FOUNDING_ELECTRONIC, LARGE, Institution, found_institutions
from phqc_pipeline.sample.profile import profiles, registry
from phqc_pipeline.sample.refused import SampleRefusedError
from phqc_pipeline.sample.registry import write_registry
from phqc_pipeline.sample.report import report_rows
from phqc_pipeline.sample.rows import PREFIX, enter
from phqc_pipeline.sample.summary import RATE, SampleSummary, key_entry, readme, write_key
from phqc_pipeline.sample.tcm import constitutions
from phqc_pipeline.sample.tuberculosis import tuberculosis
from phqc_pipeline.sample.vaccination import vaccinations
from phqc_pipeline.sample.visits import follow_ups

DEFAULT_SNAPSHOT = date(2024, 12, 31)
FOUNDING_RESIDENTS = 10_700  # archives it takes to have 10,129 of them counted at the end of the basis year
MANIFEST = "files.txt"  # what a sample wrote, so that the next one can take its place
LEAST = 20  # residents an institution must have
_FEW_RECORDS = 60

Log = Callable[[str], object]
_Meant = tuple[str, str, str, int | None]  # rule, form, field, _row of the record
_Violated = tuple[int, str, frozenset[int]]  # a record's number, its key, positions of the checks it violates

#: What makes the records of the other forms, each some forms' clean frames: form_id → frame (as in ``rows``).
MAKERS: tuple[Callable[[pl.DataFrame, Institution, Times, Catalogue, int], dict[str, pl.DataFrame]], ...] = (
    child_services,
    maternal_services,
    vaccinations,
    copd_visits,
    tuberculosis,
    receptions_and_consultations,
    infectious_cards,
    community_work,
)
#: The same for forms that hang on what others say (referrals on the visit that referred): these see the frames so far.
AFTERWARDS: tuple[
    Callable[[Mapping[str, pl.DataFrame], pl.DataFrame, Institution, Times, Catalogue, int], dict[str, pl.DataFrame]],
    ...,
] = (constitutions, mental_health, referrals, mothers_archives)


def write_sample(
    home: Home,
    cat: Catalogue,
    *,
    institutions: int = 1,
    residents: int | None = None,
    snapshot: date = DEFAULT_SNAPSHOT,
    seed: int = 1,
    log: Log = lambda message: None,
) -> SampleSummary:
    """Write a sample into ``home``: ``landing/``, ``registry/``, ``sample/answer_key.csv``.

    ``residents``: archives of all institutions together; None: the founding institution's own size, others between
    4,000 and 16,000. The same arguments and catalogue give the same bytes. ValueError (in Chinese) when the numbers or
    the date cannot be.
    """
    lacking = [form_id for form_id in PREFIX if form_id not in cat.forms]
    if lacking:
        raise SampleRefusedError(f"规则库里没有表单 {'、'.join(lacking)}，写不出示范数据；请换一个规则目录（--rules）")
    times = times_for(snapshot)
    sizes = _sizes(institutions, residents, seed)
    places = found_institutions(institutions, sizes, seed)
    _make_room(home, places, snapshot)
    maker = _Maker(home, cat, times, seed, log)
    charged: dict[str, int] = {}
    key: list[dict[str, str]] = []
    for place in places:
        entries, count = maker.make(place)
        key += entries
        charged[place.code] = count
    key += maker.shared
    write_registry(home.registry, places, charged, times)
    write_key(home, key)
    summary = maker.summary
    summary.institutions, summary.key_entries, summary.electronic = len(places), len(key), charged
    stood_for = {entry["rule_id"] for entry in key}
    delivered = {*summary.records, *cat.reports}
    concerned = {rule.rule_id for rule in cat.rules if delivered & set(rule.form_ids or rule.forms)}
    summary.without_fault = sorted(concerned - stood_for - UNSHOWN.keys())
    (home.sample / "README.md").write_text(readme(summary, institutions, residents, seed), encoding="utf-8")
    _write_manifest(home, places, snapshot)
    return summary


def _make_room(home: Home, places: Sequence[Institution], snapshot: date) -> None:
    """Remove the files of an earlier sample. ValueError when others stand where this one's would go."""
    manifest = home.sample / MANIFEST
    earlier = set(manifest.read_text(encoding="utf-8").split("\n")) - {""} if manifest.is_file() else set()
    foreign = [path for path in _files(home, places, snapshot) if path not in earlier]
    if foreign:
        raise SampleRefusedError(
            f"{home.root / foreign[0]} 已经存在，又不是示范数据写的；不覆盖，请换一个数据目录（--home）"
        )
    for path in earlier:
        (home.root / path).unlink(missing_ok=True)


def _files(home: Home, places: Sequence[Institution], snapshot: date) -> list[str]:
    """Registry and landing files where this sample writes, relative to the home."""
    folders = [home.registry, *(home.landing / place.code / snapshot.isoformat() for place in places)]
    found = [path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_file()]
    return sorted(path.relative_to(home.root).as_posix() for path in found)


def _write_manifest(home: Home, places: Sequence[Institution], snapshot: date) -> None:
    text = "\n".join(_files(home, places, snapshot)) + "\n"
    (home.sample / MANIFEST).write_text(text, encoding="utf-8")


def _sizes(institutions: int, residents: int | None, seed: int) -> list[int]:
    """Archives of each institution. The founding one keeps its size as long as the others are left a hundred each."""
    from phqc_pipeline.sample.chance import Chance

    weights = Chance(seed, "sizes").uniform(max(institutions - 1, 1), 0.6, 1.6)[: institutions - 1]
    if residents is None:
        return [FOUNDING_RESIDENTS, *(int(10_000 * weight) for weight in weights)]
    least = LEAST * institutions
    if residents < least:
        raise SampleRefusedError(
            f"{institutions} 家机构至少要有 {least} 名居民，给出的是 {residents}；请加大 --residents"
        )
    if institutions > 1 and residents - FOUNDING_RESIDENTS >= 100 * (institutions - 1):
        shares, rest = list(weights), residents - FOUNDING_RESIDENTS
        first = [FOUNDING_RESIDENTS]
    else:
        shares, rest = [1.0, *weights], residents
        first = []
    # A few each, and the rest in proportion.
    over = rest - LEAST * len(shares)
    made = [LEAST + int(over * share / sum(shares)) for share in shares]
    made[0] += rest - sum(made)
    return first + made


class _Maker:
    """Makes one institution after another; what lasts from one to the next."""

    def __init__(self, home: Home, cat: Catalogue, times: Times, seed: int, log: Log) -> None:
        self.home = home
        self.cat = cat
        self.times = times
        self.seed = seed
        self.log = log
        self.ctx = Context.natural_year(times.snapshot)
        self.judge = judge_of(cat, self.ctx)
        self.serial: Iterator[int] = itertools.count(1_000_003 * (seed % 97 + 1), 7_919)
        self.summary = SampleSummary(home, times.snapshot, 0)
        self.offered: Mapping[str, object] | None = None  # the profile of whom a later institution is to manage too
        self.shared: list[dict[str, str]] = []  # what the institution that offered it is found with then
        self.pending: set[tuple[str, str]] = set()  # rules dealt to an earlier institution that could not hold them

    def make(self, place: Institution) -> tuple[list[dict[str, str]], int]:
        """Write one institution's files; its answer key and the electronic archives it reported for the basis year."""
        work = self._clean(place)
        clean = {form_id: rows.height for form_id, rows in work.frames.items()}
        missing = self._put_faults_in(work)
        self._share(work)
        if place.residents == FOUNDING_RESIDENTS and place.is_founding:
            settle_count(work, FOUNDING_ELECTRONIC)
        work.finish()
        judged = {form_id: self._judge_records(work, form_id, rows) for form_id, rows in work.frames.items()}
        honest, counted = report_rows(work, self._severe(judged))
        reports = dict(honest)
        for rule_id in self._misreported(place):
            if misreport(reports, self.times, rule_id):
                self._count(rule_id)
        key = self._key(work, judged, reports, honest)
        self._check(work, key)
        self._deliver(work, reports)
        self._tell(place, clean, work, missing, key)
        return key, counted[self.times.basis_year, "Y"]

    def _clean(self, place: Institution) -> Work:
        """The institution's records without any fault."""
        cat, times, seed = self.cat, self.times, self.seed
        people = describe(settle(place, times, seed), place, times, seed)
        frames = {
            "resident_profile": profiles(people, place, times, cat, seed),
            "chronic_registry": registry(people, place, times, cat, seed),
        }
        exams, assessed = examinations(people, place, times, cat, seed)
        frames["htn_followup"], frames["t2dm_followup"] = follow_ups(people, exams, place, times, cat, seed)
        frames["health_exam"], frames["elderly_self_care"] = exams, assessed
        always = set(frames)
        for made in MAKERS:
            frames |= made(people, place, times, cat, seed)
        for following in AFTERWARDS:
            frames |= following(frames, people, place, times, cat, seed)
        # A form nobody has a record of is not delivered; those every institution has are, be they empty.
        held = {form_id for form_id, rows in frames.items() if rows.height} | always
        frames = {form_id: frames[form_id] for form_id in cat.forms if form_id in held}
        frames = enter(frames, place, seed)
        _drop_columns(place, cat, frames)
        work = Work(cat, place, times, people, frames, place.chance(seed, "faults"))
        _blind(work)
        return work

    def _rates(self, place: Institution) -> Rates:
        if place.is_founding and place.residents == FOUNDING_RESIDENTS:
            return Rates(RATE, at_least=1, every_field=True)
        if place.residents >= LARGE:
            return Rates(RATE, at_least=1 if place.is_founding else 0)
        return Rates(RATE, at_least=1, share=(place.index, place.count), dealt=True, fullest=0.75)

    def _put_faults_in(self, work: Work) -> list[str]:
        """Cross rules first (they need whole people), then record and field rules; rules nobody could stand for."""
        place = work.institution
        rates = self._rates(place)
        failed = self._cook(work, rates)
        _drop_columns(place, self.cat, work.frames)  # a recipe may have written into a column the file will not have
        setting = Setting(
            self.cat, self.times.snapshot, place.chance(self.seed, "proposals"), lambda: next(self.serial)
        )
        carried = {rule.rule_id for rule in self.cat.rules if rule.carrier == "pandera"}
        for position, form_id in enumerate(work.frames):
            form = self.cat.forms[form_id]
            dropped = style_for(place, form, position).dropped
            also = frozenset(
                rule_id for rule_id, where in failed | self.pending if where == form_id and rule_id in carried
            )
            left = inject(work, form, self.judge, rates, setting, dropped, also)
            failed -= {(rule_id, form_id) for rule_id in also}
            failed |= {(rule_id, form_id) for rule_id, _ in left}
        self.pending = failed if rates.dealt else set()
        missing = sorted(f"{rule_id}（{form_id}）" for rule_id, form_id in failed)
        add_drafts(work)
        for fault in work.faults:
            self._count(fault.rule_id)
        return missing

    def _share(self, work: Work) -> None:
        """The first institution offers a resident, the second takes them on; both manage the archive then."""
        rule = next((one for one in self.cat.rules if one.rule_id == shared.RULE), None)
        if rule is None or work.institution.count < 2 or self.shared:
            return
        if self.offered is None:
            self.offered, self.offering = shared.offer(work), work.institution
        elif (fault := shared.take_on(work, rule, self.offered)) is not None:
            self._count(fault.rule_id)
            found = Finding(fault.rule_id, fault.form_id, fault.field, "person", str(fault.subject))
            self.shared = [key_entry(found, self.offering, True)]

    def _cook(self, work: Work, rates: Rates) -> set[tuple[str, str]]:
        """Faults of cross rules: on every form at the rate; where rules are dealt out, each on one form that has room.

        The rules and forms that could not be had.
        """
        part, parts = rates.share
        waiting = {rule_id for rule_id, _ in self.pending}
        failed: set[tuple[str, str]] = set()
        cross = sorted(
            (rule for rule in self.cat.rules if rule.rule_id in RECIPES), key=lambda rule: ORDER.index(rule.rule_id)
        )
        for position, rule in enumerate(cross):
            asked = rule.form_ids or rule.forms
            forms = [one for one in asked if one in work.frames and not (rates.dealt and _spared(work, rule, one))]
            if rates.dealt:
                turn = position % max(len(forms), 1)
                mine = position % parts == part or rule.rule_id in waiting
                if mine and not any(cook(work, rule, form_id, 1) for form_id in forms[turn:] + forms[:turn]):
                    failed.add((rule.rule_id, asked[0]))
                continue
            for form_id in forms:
                expected = work.frames[form_id].height / rates.per_records
                times = max(rates.at_least, int(expected) + int(work.chance.uniform(1)[0] < expected % 1))
                if cook(work, rule, form_id, min(times, 4)) < min(times, 1):
                    failed.add((rule.rule_id, form_id))
        done = {fault.rule_id for fault in work.faults} & set(ON_ONE_FORM)
        return {(rule_id, form_id) for rule_id, form_id in failed if rule_id not in done}

    def _misreported(self, place: Institution) -> list[str]:
        known = {rule.rule_id for rule in self.cat.rules}
        wanted = [rule_id for rule_id in MISREPORTS if rule_id in known]
        part, parts = self._rates(place).share
        return [rule_id for n, rule_id in enumerate(wanted) if n % parts == part]

    def _key(
        self,
        work: Work,
        judged: dict[str, list[_Violated]],
        reports: dict[str, pl.DataFrame],
        honest: dict[str, pl.DataFrame],
    ) -> list[dict[str, str]]:
        """Everything that is violated in the final records, with its cause: ``injected`` or ``collateral``."""
        meant: set[_Meant] = {(f.rule_id, f.form_id, f.field, f.row) for f in work.faults if f.row is not None}
        meant_subjects = {(f.rule_id, f.form_id, f.field, f.subject) for f in work.faults if f.subject is not None}
        entries: list[dict[str, str]] = []
        numbers: dict[tuple[str, str], int] = {}
        for form_id, violated in judged.items():
            entries += self._record_entries(work, form_id, violated, meant, numbers)
        for finding in cross_findings(Truth(work, self.ctx, reports, honest)):
            row = numbers.get((finding.form_id, finding.subject_id))
            injected = (finding.rule_id, finding.form_id, finding.field, row) in meant if row is not None else False
            injected |= (finding.rule_id, finding.form_id, finding.field, finding.subject_id) in meant_subjects
            injected |= finding.form_id in reports
            entries.append(key_entry(finding, work.institution, injected))
        # No judgement tells what a rule with a stated rate of false ones finds; but it finds whom a recipe makes plain.
        statistical = {rule.rule_id for rule in self.cat.rules if rule.statistical}
        for fault in (one for one in work.faults if one.rule_id in statistical and one.subject is not None):
            finding = Finding(fault.rule_id, fault.form_id, fault.field, "doctor", str(fault.subject))
            entries.append(key_entry(finding, work.institution, True))
        return sorted(entries, key=lambda one: tuple(one.values()))

    def _judge_records(self, work: Work, form_id: str, rows: pl.DataFrame) -> list[_Violated]:
        """Of each record that a fault touched: its number, its key, and the checks it violates."""
        form = self.cat.forms[form_id]
        judged = set(judged_rows(work, form_id)["_row"].to_list())
        touched = rows.filter(pl.col("_row").is_in(sorted(work.touched[form_id] & judged)))
        lake = work.lake_rows(form_id, touched)
        keys = record_keys(_with_raw(lake, [f.name for f in form.fields]), form).to_list()
        return list(zip(touched["_row"].to_list(), keys, self.judge.violations(form, lake), strict=True))

    def _severe(self, judged: dict[str, list[_Violated]]) -> dict[str, set[int]]:
        """Numbers of the records in which a record rule finds a severe problem."""
        checks = self.judge.checks
        return {
            form_id: {
                number for number, _, broken in found if any(checks[form_id][n].rule.severity == "严重" for n in broken)
            }
            for form_id, found in judged.items()
        }

    def _record_entries(
        self,
        work: Work,
        form_id: str,
        violated: list[_Violated],
        meant: set[_Meant],
        numbers: dict[tuple[str, str], int],
    ) -> list[dict[str, str]]:
        checks = self.judge.checks[form_id]
        entries = []
        for number, key, broken in violated:
            numbers[form_id, key] = number
            for n in sorted(broken):
                check = checks[n]
                finding = Finding(
                    check.rule.rule_id, form_id, check.field, "record", key, key if not key.startswith("#") else ""
                )
                entries.append(
                    key_entry(finding, work.institution, (check.rule.rule_id, form_id, check.field, number) in meant)
                )
        return entries

    def _check(self, work: Work, key: list[dict[str, str]]) -> None:
        """Say which faults came to nothing, because a later one undid them; the key never lists those."""
        injected = Counter(
            (entry["rule_id"], entry["form_id"], entry["field"]) for entry in key if entry["cause"] == "injected"
        )
        wanted = Counter({(f.rule_id, f.form_id, f.field, f.row, f.subject) for f in work.faults})
        lost = Counter(one[:3] for one in wanted) - injected
        for (rule_id, form_id, name), count in sorted(lost.items()):
            self.summary.faults[rule_id] -= count
            self.log(f"  注意：{work.institution.name} 的 {rule_id}（{form_id}.{name}）有 {count} 处差错没有形成违规")

    def _deliver(self, work: Work, reports: dict[str, pl.DataFrame]) -> None:
        folder = self.home.landing / work.institution.code / self.times.snapshot.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        for position, (form_id, rows) in enumerate(work.frames.items()):
            form = self.cat.forms[form_id]
            style = style_for(work.institution, form, position)
            self.summary.files += len(
                deliver(folder, form, rows, work.texts[form_id], style, self.cat, work.institution, self.times.snapshot)
            )
            self.summary.records[form_id] = self.summary.records.get(form_id, 0) + rows.height
        for position, (report_id, rows) in enumerate(reports.items()):
            report = self.cat.reports[report_id]
            style = report_style(work.institution, report, position)
            deliver_report(folder, report, rows, style, self.cat, work.institution, self.times.snapshot)
            self.summary.files += 1

    def _count(self, rule_id: str) -> None:
        self.summary.faults[rule_id] = self.summary.faults.get(rule_id, 0) + 1

    def _tell(
        self, place: Institution, clean: dict[str, int], work: Work, missing: list[str], key: list[dict[str, str]]
    ) -> None:
        self.summary.residents += work.frames["resident_profile"].height
        self.log(
            f"{place.code} {place.name}：{sum(clean.values())} 条记录，{len(work.faults)} 处差错，答案 {len(key)} 条"
        )
        if missing:
            self.log(f"  未能埋入：{'、'.join(missing)}")


def _spared(work: Work, rule: Rule, form_id: str) -> bool:
    """Whether a form has so few records that rules on many forms must leave them to its own."""
    return len(rule.form_ids or rule.forms) > 2 and work.frames[form_id].height < _FEW_RECORDS


def _drop_columns(place: Institution, cat: Catalogue, frames: dict[str, pl.DataFrame]) -> None:
    """Empty the columns that each form's file will not have."""
    for position, form_id in enumerate(list(frames)):
        dropped = style_for(place, cat.forms[form_id], position).dropped
        rows = frames[form_id]
        frames[form_id] = rows.with_columns(
            pl.lit(None).cast(rows.schema[name]).alias(name) for name in sorted(dropped)
        )


def _blind(work: Work) -> None:
    """Some old people are blind in one eye: a word in a numeric column, which is a valid answer."""
    exams = work.frames["health_exam"]
    blind = exams.filter((pl.col("_person") % 83 == 7) & pl.col("elder_adl_code").is_not_null())["_row"].to_list()
    eye = pl.when(pl.col("_row").is_in(blind)).then(None).otherwise(pl.col("vision_left"))
    work.frames["health_exam"] = exams.with_columns(eye.alias("vision_left"))
    for row in blind:
        work.texts["health_exam"][row] = {"vision_left": "盲"}


def _with_raw(rows: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    return rows.with_columns(
        pl.lit(None, pl.String).alias(name + RAW) for name in names if name + RAW not in rows.columns
    )
