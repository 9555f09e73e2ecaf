"""Cells as delivered → columns of the lake: typed value, and the delivered text where the cell is irregular.

Belongs here: what is empty, what a number, a date, a code, a choice of several codes looks like (contract, section 2;
rules.md 0a.20 to 22). Does not belong here: rows and files (``rows``, ``take_in``).

Every conversion takes a column of texts and gives ``Cells``; where it has few distinct texts, each is converted once.
The delivered text stays beside the value when the cell cannot be converted (the value is then null: unreadable), when
trimming or completing changed it, when a number has more decimals than its column, or when the cell was repaired: it
could not be read as it stands but has a single sense (``rules/repairs.yaml``). So a value beside a text that says
something else is a repaired cell (``repaired``).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from threading import Lock

import polars as pl
import pyarrow.compute as pc

from phqc_pipeline.catalogue.delivered import Repairs
from phqc_pipeline.catalogue.model import CodeList, Field
from phqc_pipeline.catalogue.repairing import Repairer, beyond, inferred, repairer
from phqc_pipeline.extracts.dates import NO_SERIALS, Serials, parse_times
from phqc_pipeline.extracts.shapes import ROW_NUMBER, UnreadableError

#: Texts that say nothing (0a.20), unless the column's code list or text_values hold them; in full width as well.
#: ``——`` is how Chinese keyboards write ``—``.
EMPTY = ("", "-", "/", "—", "——", "－", "／")
#: Words that say why there is no value: empty in numeric and date columns, with the word kept (0a.20).
NULL_REASONS = ("无", "不详", "未查", "拒查", "拒绝")
SEPARATORS = ",，;；|、"

VALUE_TYPES: Mapping[str, pl.DataType] = {
    "text": pl.String(),
    "code": pl.String(),
    "int": pl.Float64(),
    "dec": pl.Float64(),
    "date": pl.Date(),
    "ym": pl.Date(),
    "dt": pl.Datetime("us"),
    "multi": pl.List(pl.String),
}

_CODED = frozenset({"code", "multi", "text"})

# White space of Unicode, and the marks that leave no trace on screen (zero width space and joiners, byte order mark).
_SPACES = " \t\r\n\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_SPACES += "\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff"
_NUMBER = r"^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)$"
_GROUPED = r"^([+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?)$"
_LEADING_ZEROS = r"^0+(\d)"
NO_REPAIRS = Repairs()
_FEW_TEXTS = 500
_MOST_REMEMBERED = 100_000
_MANY_CHUNKS = 16
#: What a reader puts before the text of a cell that holds an error (#N/A): unreadable whatever the column's type.
ERROR_MARK = "\x00"


@dataclass(frozen=True)
class Cells:
    """One converted column: ``value``, ``raw`` (text, null where regular), ``word`` (a null reason) if there is any."""

    value: pl.Series
    raw: pl.Series
    word: pl.Series | None = None


Converter = Callable[[pl.Series], Cells]


def converter(
    field: Field,
    codes: Mapping[str, CodeList],
    serials: Serials = NO_SERIALS,
    *,
    errors: bool = True,
    repairs: Repairs = NO_REPAIRS,
    mapped: Mapping[str, str | None] | None = None,
    dates: Sequence[str] = (),
) -> Converter:
    """How the cells of ``field`` are converted: a function from delivered texts (String, null = empty) to ``Cells``.

    It may be called by several threads. Without ``errors`` no cell is an error cell (only workbooks have them).
    ``mapped`` and ``dates``: of the institution's system, its code → ours (None: it says nothing) and how it writes
    dates (``SourceMap``); ``repairs``: what is put right.
    """
    return Converters(codes, repairs).of(field, serials, errors=errors, mapped=mapped, dates=dates)


class Converters:
    """Converters of many columns, which remember together: what one date column read, the next one knows.

    Most of a small file's cost is converting the same few texts again for every column (a form has a hundred columns
    and, of most forms, an institution has a hundred records), so columns that are converted alike share one memory.
    """

    def __init__(self, codes: Mapping[str, CodeList], repairs: Repairs = NO_REPAIRS) -> None:
        self._codes = codes
        self._repairs = repairs
        self._memories: dict[Hashable, _Memory] = {}
        named = {name for unit in repairs.units for other in unit.others for name in other.fields}
        self._named = frozenset(named)

    def of(
        self,
        field: Field,
        serials: Serials = NO_SERIALS,
        *,
        errors: bool = True,
        mapped: Mapping[str, str | None] | None = None,
        dates: Sequence[str] = (),
    ) -> Converter:
        """See ``converter``."""
        key = self._key(field, serials, mapped, dates)
        memory = self._memories.get(key) if key is not None else None
        if memory is None:
            memory = _Memory(self._convert(field, serials, mapped or {}, dates))
            if key is not None:
                memory = self._memories.setdefault(key, memory)
        convert = _Remembering(memory, field)
        return _with_errors(convert) if errors else convert

    def _convert(
        self, field: Field, serials: Serials, mapped: Mapping[str, str | None], dates: Sequence[str]
    ) -> Converter:
        convert = _by_kind(field, self._codes, serials, mapped)
        if dates and field.is_date:
            convert = _with_spellings(convert, dates, field)
        if mapped:
            convert = _with_map(convert, mapped, coded=field.kind in _CODED and field.codes in self._codes)
        return _with_repairs(convert, field, self._codes, self._repairs)

    def _key(
        self, field: Field, serials: Serials, mapped: Mapping[str, str | None] | None, dates: Sequence[str]
    ) -> Hashable:
        """All of a field that its conversion depends on; None for free text, which is not worth sharing."""
        if field.kind == "text" and not field.codes:
            return None
        return (
            field.kind,
            field.scale,
            field.codes,
            tuple(sorted(field.text_values)),
            field.unit,
            field.hard if field.is_numeric else None,
            field.name if field.name in self._named else None,
            serials if field.is_date else None,
            tuple(sorted(mapped.items(), key=str)) if mapped else None,
            tuple(dates) if field.is_date else None,
        )


def empty_cells(field: Field, rows: int) -> Cells:
    """The column of a field that the file does not have."""
    return Cells(pl.Series(field.name, [None], VALUE_TYPES[field.kind]).new_from_index(0, rows), _nulls(rows))


def repaired(cells: Cells) -> pl.Series | None:
    """Which cells of a number, date or code column were repaired; None when none was."""
    if cells.raw.null_count() == len(cells.raw):
        return None
    mended = cells.value.is_not_null() & cells.raw.is_not_null()
    if cells.value.dtype.is_float():
        mended &= (cells.raw.cast(pl.Float64, strict=False) != cells.value).fill_null(True)
    return mended if mended.any() else None


def silent_words(field: Field, codes: Mapping[str, CodeList]) -> tuple[str, ...]:
    """Texts that say nothing in the field's column."""
    known: AbstractSet[str] = set(field.text_values)
    if field.codes and field.codes in codes:
        known |= _Spellings(codes[field.codes]).exact.keys()
    return tuple(word for word in EMPTY if word not in known)


def one_column(cells: pl.DataFrame, places: Sequence[int], title: str) -> pl.Series:
    """The cells of a field. Columns with the same header count as one as long as they do not contradict each other."""
    text = cells[str(places[0])]
    for place in places[1:]:
        other = cells[str(place)]
        if other.null_count() == len(other):
            continue
        one, two = stripped(text), stripped(other)
        differ = (one != two).fill_null(False)
        if differ.any():
            both = f"第 {places[0] + 1} 列和第 {place + 1} 列都是“{title}”，内容却不同，不知以哪一列为准"
            said = f"{both}；请删去其一后重新导出"
            raise UnreadableError(said, row=cells.filter(differ)[ROW_NUMBER][0])
        text = text.set(one.is_null(), None).fill_null(other)
    return text


def stripped(text: pl.Series) -> pl.Series:
    """Without white space around, empty as null."""
    bare = text.str.strip_chars(_SPACES)
    return bare.set(bare == "", None)


def narrowed(text: pl.Series) -> pl.Series:
    """Full-width digits and letters as narrow ones (NFKC)."""
    if (text.str.len_bytes() == text.str.len_chars()).all():
        return text
    return text.str.normalize("NFKC")


class _Spellings:
    """A code list as cells are looked up in it: narrow, and letter case aside when that is unambiguous."""

    def __init__(self, codes: CodeList, mapped: Mapping[str, str | None] | None = None) -> None:
        """``mapped``: a system's own codes, which go before the list's."""
        exact = pl.Series(list(codes.spellings), dtype=pl.String)
        narrow = stripped(narrowed(exact)).to_list()
        self.exact: dict[str, str] = {}
        folded: dict[str, set[str]] = {}
        for text, code in zip(narrow, codes.spellings.values(), strict=True):
            if text is not None:
                self.exact.setdefault(text, code)
                folded.setdefault(text.lower(), set()).add(code)
        theirs = {text: code for text, code in (mapped or {}).items() if code is not None}
        self.exact |= theirs
        self.folded = {text: next(iter(found)) for text, found in folded.items() if len(found) == 1}
        self.folded |= {text.lower(): code for text, code in theirs.items()}
        self.empty = tuple(text for text in EMPTY if text not in self.exact)
        # A name such as 肝、胆 must not be taken apart at its separator.
        self.whole = {text: code for text, code in self.exact.items() if any(mark in text for mark in SEPARATORS)}

    def find(self, text: pl.Series) -> pl.Series:
        """The code of every text, null where there is none: as written, without leading zeros, in other letter case."""
        found = _looked_up(text, self.exact)
        for other, spellings in (
            (text.str.replace(_LEADING_ZEROS, "$1"), self.exact),
            (text.str.to_lowercase(), self.folded),
        ):
            if found.null_count() == text.null_count():
                break
            found = found.fill_null(_looked_up(other, spellings))
        return found


def _by_kind(
    field: Field, codes: Mapping[str, CodeList], serials: Serials, mapped: Mapping[str, str | None]
) -> Converter:
    theirs = {key: code for text, code in mapped.items() if (key := _bare(text)) is not None}
    spellings = _Spellings(codes[field.codes], theirs) if field.codes and field.codes in codes else None
    if field.is_numeric:
        return lambda text: _number(text, field, spellings)
    if field.is_date:
        return lambda text: _date(text, field, serials)
    if spellings is not None:
        convert = {"text": _coded_text, "code": _code, "multi": _choice}[field.kind]
        return lambda text: convert(text, spellings)
    narrow = field.role in ("identifier", "phone")
    return lambda text: _text(text, narrow)


def _with_errors(convert: Converter) -> Converter:
    """Error cells of a workbook made null, with their text kept."""

    def converted(text: pl.Series) -> Cells:
        errors = text.str.starts_with(ERROR_MARK).fill_null(False)
        if not errors.any():
            return convert(text)
        made = convert(_set_null(text, errors))
        return Cells(made.value, made.raw.fill_null(_where(errors, text.str.strip_prefix(ERROR_MARK))), made.word)

    return converted


def _with_map(convert: Converter, mapped: Mapping[str, str | None], *, coded: bool) -> Converter:
    """Texts of another system: those that say nothing as empty, their word kept; the others as ours.

    ``coded``: the column's spellings hold those already (each code of a cell with several is looked up there).
    """
    silent = [key for text, code in mapped.items() if code is None and (key := _bare(text)) is not None]
    ours = {key: code for text, code in mapped.items() if code is not None and (key := _bare(text)) is not None}

    def converted(text: pl.Series) -> Cells:
        bare = narrowed(stripped(text))
        if not coded and ours:
            text = text.set(bare.is_in(list(ours)).fill_null(False), None).fill_null(_looked_up(bare, ours))
        quiet = bare.is_in(silent).fill_null(False)
        if not quiet.any():
            return convert(text)
        made = convert(_set_null(text, quiet))
        word = _where(quiet, bare)
        return Cells(made.value, made.raw, word if made.word is None else made.word.fill_null(word))

    return converted


def _with_spellings(convert: Converter, spellings: Sequence[str], field: Field) -> Converter:
    """Dates that could not be read otherwise, in a system's own spellings."""

    def read(text: pl.Series) -> Cells:
        made = _nulls(len(text)).cast(pl.Datetime("us"))
        for spelling in spellings:
            made = made.fill_null(text.str.to_datetime(spelling, time_unit="us", strict=False))
        return Cells(made if field.kind == "dt" else made.dt.date(), _nulls(len(text)))

    def converted(text: pl.Series) -> Cells:
        made = convert(text)
        failed = _failed(made)
        return made if failed is None else _mended(made, text, failed, lambda bare: bare, read, keep=False)

    return converted


def _with_repairs(convert: Converter, field: Field, codes: Mapping[str, CodeList], repairs: Repairs) -> Converter:
    """Cells that cannot be read, or lie far beyond what is possible, put right where they have a single sense."""
    rewrite, explain = repairer(field, codes, repairs), inferred(field, repairs)
    if rewrite is None and explain is None:
        return convert
    low, high = beyond(field)

    def converted(text: pl.Series) -> Cells:
        made = convert(text)
        failed = _failed(made) if rewrite else None
        if rewrite and failed is not None:
            made = _mended(made, text, failed, rewrite, convert)
        if explain and made.value.null_count() < len(text):
            far = (made.value < low) | (made.value > high)
            if far.any():
                made = _mended(made, text, far.fill_null(False), explain, convert)
        return made

    return converted


def _failed(cells: Cells) -> pl.Series | None:
    """Which cells could not be converted; None when all could."""
    if cells.raw.null_count() == len(cells.raw):
        return None
    failed = cells.value.is_null() & cells.raw.is_not_null()
    return failed if failed.any() else None


def _mended(
    made: Cells, text: pl.Series, mask: pl.Series, rewrite: Repairer, convert: Converter, *, keep: bool = True
) -> Cells:
    """The cells of ``mask`` converted again from what they are rewritten to, where that can be read.

    The delivered text stays beside the value (``keep``), unless it is how the cell is written there.
    """
    places = mask.arg_true()
    delivered = text.filter(mask)
    rewritten = rewrite(narrowed(stripped(delivered)))
    if rewritten.null_count() == len(rewritten):
        return made
    again = convert(rewritten.alias(text.name))
    done = again.value.is_not_null()
    if not done.any():
        return made
    places, delivered = places.filter(done), delivered.filter(done)
    rows = pl.int_range(len(text), dtype=pl.UInt32, eager=True).scatter(
        places, pl.int_range(len(text), len(text) + len(places), dtype=pl.UInt32, eager=True)
    )
    raw = delivered if keep else _nulls(len(places))
    return Cells(
        pl.concat([made.value, again.value.filter(done)]).gather(rows),
        pl.concat([made.raw, raw]).gather(rows),
        made.word,
    )


class _Memory:
    """Every text ever converted in one way, once. Any thread may ask."""

    def __init__(self, convert: Converter) -> None:
        self.convert = convert
        self._lock = Lock()
        self._places: dict[str, int] = {}
        self._known: Cells | None = None

    def of(self, distinct: list[str], name: str) -> tuple[Cells, pl.Series]:
        """What is known of all texts so far, and where in it ``distinct`` are."""
        with self._lock:
            if len(self._places) > _MOST_REMEMBERED:
                self._places, self._known = {}, None
            fresh = [text for text in distinct if text not in self._places]
            if fresh or self._known is None:
                made = self.convert(pl.Series(name, fresh, pl.String))
                self._places.update(zip(fresh, range(len(self._places), len(self._places) + len(fresh)), strict=True))
                self._known = made if self._known is None else _appended(self._known, made)
            return self._known, pl.Series([self._places[text] for text in distinct], dtype=pl.UInt32)


class _Remembering:
    """Converts every distinct text of a column once, as long as it has few of them."""

    def __init__(self, memory: _Memory, field: Field) -> None:
        self._memory = memory
        self._nothing = pl.Series([None], dtype=VALUE_TYPES[field.kind])
        self._many = False  # as many distinct texts as rows, nearly: remembering would cost more than it saves

    def __call__(self, text: pl.Series) -> Cells:
        if text.null_count() == len(text):
            return Cells(self._nothing.alias(text.name).new_from_index(0, len(text)), _nulls(len(text)))
        if self._many:
            return self._memory.convert(text)
        encoded = pc.dictionary_encode(text.to_arrow(compat_level=pl.CompatLevel.oldest()))
        if len(encoded.dictionary) > max(_FEW_TEXTS, len(text) // 4):
            self._many = True
            return self._memory.convert(text)
        known, places = self._memory.of(encoded.dictionary.to_pylist(), text.name)
        rows = places.gather(pl.Series(encoded.indices, dtype=pl.UInt32))
        word = None if known.word is None else known.word.gather(rows)
        raw = _nulls(len(text)) if known.raw.null_count() == len(known.raw) else known.raw.gather(rows)
        return Cells(known.value.gather(rows).alias(text.name), raw, word)


def _appended(one: Cells, other: Cells) -> Cells:
    # Every column adds a few texts: gathering from hundreds of little chunks would be slow.
    whole = one.value.n_chunks() > _MANY_CHUNKS
    word = None
    if one.word is not None or other.word is not None:
        words = [cells.word if cells.word is not None else _nulls(len(cells.raw)) for cells in (one, other)]
        word = pl.concat(words, rechunk=whole)
    value = pl.concat([one.value, other.value], rechunk=whole)
    return Cells(value, pl.concat([one.raw, other.raw], rechunk=whole), word)


def _text(text: pl.Series, narrow: bool) -> Cells:
    bare = text.str.strip_chars(_SPACES)
    frame = pl.DataFrame({"text": text, "bare": narrowed(bare) if narrow else bare})
    frame = frame.with_columns(value=pl.when(~pl.col("bare").is_in(EMPTY)).then("bare"))
    if frame.select((pl.col("value") == pl.col("text")).all()).item():
        return Cells(frame["value"], _nulls(len(text)))
    return Cells(frame["value"], frame.select(pl.when(pl.col("value") != pl.col("text")).then("text")).to_series())


def _coded_text(text: pl.Series, spellings: _Spellings) -> Cells:
    bare = stripped(text)
    narrow = narrowed(bare)
    bare = _set_null(bare, narrow.is_in(spellings.empty))
    value = spellings.find(narrow).fill_null(bare)
    value = _set_null(value, bare.is_null())
    return Cells(value, _where(bare.is_not_null() & (bare != text), text))


def _code(text: pl.Series, spellings: _Spellings) -> Cells:
    narrow = _without_empty(narrowed(stripped(text)), spellings.empty)
    value = spellings.find(narrow)
    return Cells(value, _where(value.is_null() & narrow.is_not_null(), text))


def _choice(text: pl.Series, spellings: _Spellings) -> Cells:
    """Several codes in one cell; one unknown code makes the whole cell unreadable."""
    narrow = _without_empty(narrowed(stripped(text)), spellings.empty)
    whole = spellings.find(narrow)
    codes = _split_codes(_set_null(narrow, whole.is_not_null()), spellings)
    cells = pl.DataFrame({"whole": whole, "codes": codes})
    several = pl.when(pl.col("codes").list.len() > 0).then("codes")
    value = cells.select(pl.when(pl.col("whole").is_not_null()).then(pl.concat_list("whole")).otherwise(several))
    unreadable = whole.is_null() & narrow.is_not_null() & codes.is_null()
    return Cells(value.to_series().rename(text.name), _where(unreadable, text))


def _split_codes(narrow: pl.Series, spellings: _Spellings) -> pl.Series:
    """The codes of every text, each once, in the order given; null where one is unknown, [] where there is none."""
    if spellings.whole:
        names = sorted(spellings.whole, key=len, reverse=True)
        narrow = narrow.str.replace_many(names, [spellings.whole[name] for name in names], leftmost=True)
    for mark in SEPARATORS[1:]:
        narrow = narrow.str.replace_all(mark, ",", literal=True)
    cells = pl.int_range(len(narrow), eager=True).alias("cell")
    parts = pl.DataFrame([cells, narrow.str.split(",").alias("part")]).explode("part")
    parts = parts.with_columns(stripped(parts["part"])).drop_nulls("part")
    parts = parts.with_columns(spellings.find(parts["part"]).alias("code"))
    known = pl.col("code").is_not_null().all()
    lists = parts.group_by("cell").agg(
        codes=pl.when(known).then(pl.col("code").drop_nulls().unique(maintain_order=True).implode())
    )
    found = cells.to_frame().join(lists, on="cell", how="left", maintain_order="left", coalesce=True)
    nothing = ~cells.is_in(parts["cell"].implode())
    return found.select(
        pl.when(nothing & narrow.is_not_null()).then(pl.lit([], pl.List(pl.String))).otherwise("codes")
    ).to_series()


def _number(text: pl.Series, field: Field, spellings: _Spellings | None) -> Cells:
    """Numbers; where the column has a code list (a score, ticked as 独立完成), its names stand for them as well."""
    named = spellings.exact if spellings else {}
    frame = _said_apart(text, {*field.text_values, *named}).with_columns(
        plain=pl.coalesce(
            pl.col("said").str.extract(_NUMBER), pl.col("said").str.extract(_GROUPED).str.replace_all(",", "")
        )
    )
    if spellings is not None:
        frame = frame.with_columns(pl.col("plain").fill_null(spellings.find(frame["said"])))
    frame = frame.with_columns(value=pl.col("plain").cast(pl.Float64, strict=False))
    excess = _decimals(pl.col("plain")) > (field.scale or 0 if field.kind == "dec" else 0)
    frame = frame.with_columns(
        value=pl.when(pl.col("value").is_finite()).then("value"),
        raw=pl.when(excess).then("plain").when(~pl.col("value").is_finite() | pl.col("value").is_null()).then("text"),
    )
    return _as_cells(frame, text.name)


def _date(text: pl.Series, field: Field, serials: Serials) -> Cells:
    frame = _said_apart(text, set(field.text_values))
    times = parse_times(frame["said"], month_only=field.kind == "ym", serials=serials)
    frame = frame.with_columns(
        value=times if field.kind == "dt" else times.dt.date(), raw=pl.when(times.is_null()).then("text")
    )
    return _as_cells(frame, text.name)


def _said_apart(text: pl.Series, words: AbstractSet[str]) -> pl.DataFrame:
    """``text``; ``said``: narrow, and null where the cell says nothing; ``word``: why it says nothing, where it tells.

    ``words`` say something in this column, whatever they would say elsewhere.
    """
    empty = [word for word in EMPTY if word not in words]
    reasons = [word for word in NULL_REASONS if word not in words]
    frame = pl.DataFrame({"text": text, "narrow": narrowed(text.str.strip_chars(_SPACES))})
    return frame.with_columns(
        said=pl.when(~pl.col("narrow").is_in([*empty, *reasons])).then("narrow"),
        word=pl.when(pl.col("narrow").is_in(reasons)).then("narrow"),
    )


def _as_cells(frame: pl.DataFrame, name: str) -> Cells:
    raw = pl.when(pl.col("said").is_not_null()).then("raw")
    made = frame.select(pl.col("value").alias(name), raw, "word")
    words = made["word"]
    return Cells(made.to_series(0), made.to_series(1), words if words.null_count() < len(words) else None)


def _decimals(plain: pl.Expr) -> pl.Expr:
    """How many decimals a number is written with; 0s at the end do not count, powers of ten count as none."""
    return plain.str.extract(r"\.(\d*[1-9])0*$").str.len_bytes().fill_null(0)


def _bare(text: str) -> str | None:
    """A spelling as cells are compared with it."""
    return narrowed(stripped(pl.Series([text], dtype=pl.String)))[0]  # type: ignore[no-any-return]


def _without_empty(text: pl.Series, empty: tuple[str, ...]) -> pl.Series:
    return _set_null(text, text.is_in(empty))


def _set_null(series: pl.Series, mask: pl.Series) -> pl.Series:
    return series.set(mask.fill_null(False), None) if mask.any() else series


def _where(mask: pl.Series, text: pl.Series) -> pl.Series:
    """``text`` where ``mask``, null elsewhere."""
    mask = mask.fill_null(False)
    return text.set(~mask, None) if mask.any() else _nulls(len(text))


def _nulls(rows: int) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, rows)


def _looked_up(text: pl.Series, spellings: Mapping[str, str]) -> pl.Series:
    if not spellings:
        return _nulls(len(text))
    return text.replace_strict(list(spellings), list(spellings.values()), default=None, return_dtype=pl.String)
