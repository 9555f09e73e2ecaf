"""The functions of the rule language: one entry each with signature and meaning, and nothing off this list.

Belongs here: what a function is called, takes, gives and means. Does not belong here: how an engine computes it
(``render_polars``, ``render_duckdb``); a test holds that both engines know every entry, and that the language page
(``docs/规则表达式语言.md``) explains it.
"""

from __future__ import annotations

from dataclasses import dataclass

from phqc_pipeline.catalogue.expressions.nodes import Type

ANY: frozenset[Type] = frozenset({"bool", "int", "num", "text", "date", "ts", "list"})
TEXT: frozenset[Type] = frozenset({"text"})
NUMBER: frozenset[Type] = frozenset({"int", "num"})
DATE: frozenset[Type] = frozenset({"date", "ts"})
LIST: frozenset[Type] = frozenset({"list"})
BOOL: frozenset[Type] = frozenset({"bool"})
MOMENT: frozenset[Type] = frozenset({"ts"})


@dataclass(frozen=True)
class Parameter:
    """One parameter: its Chinese label, the types it takes, and whether it must be a constant or a field's name."""

    label: str
    types: frozenset[Type]
    constant: bool = False
    column: bool = False


@dataclass(frozen=True)
class Function:
    """One function. ``optional`` of the last parameters may be left out; ``variadic`` repeats the last one.

    ``result`` None means: the common type of the arguments.
    """

    name: str
    parameters: tuple[Parameter, ...]
    result: Type | None
    meaning: str
    optional: int = 0
    variadic: bool = False

    @property
    def signature(self) -> str:
        """``substr(文本, 起始位, 长度)`` as faults and documentation show it."""
        labels = [parameter.label for parameter in self.parameters]
        if self.optional:
            labels[-self.optional :] = [f"[{label}]" for label in labels[-self.optional :]]
        return f"{self.name}({', '.join(labels)}{', …' if self.variadic else ''})"

    def takes(self, count: int) -> bool:
        """Whether the function may be called with ``count`` arguments."""
        least = len(self.parameters) - self.optional
        return count >= least and (self.variadic or count <= len(self.parameters))

    def parameter(self, position: int) -> Parameter:
        return self.parameters[min(position, len(self.parameters) - 1)]


def _function(
    name: str,
    parameters: tuple[Parameter, ...],
    result: Type | None,
    meaning: str,
    *,
    optional: int = 0,
    variadic: bool = False,
) -> Function:
    return Function(name, parameters, result, meaning, optional, variadic)


_CELL = Parameter("字段", ANY, column=True)
_TEXT = Parameter("文本", TEXT)
_NUMBER = Parameter("数值", NUMBER)
_DATE = Parameter("日期", DATE)
_MULTI = Parameter("多选字段", LIST)
_ID = Parameter("证号", TEXT)
_LIST_ID = Parameter("'代码表'", TEXT, constant=True)

FUNCTIONS: dict[str, Function] = {
    entry.name: entry
    for entry in (
        # the cell
        _function("missing", (Parameter("字段", ANY),), "bool", "未填；与 x is null 相同，格子不可用时为 NULL"),
        _function("unreadable", (_CELL,), "bool", "有内容但无法识别"),
        _function("repaired", (_CELL,), "bool", "写法不规范，读入时已自动换算"),
        _function("raw", (_CELL,), "text", "交来的原文；数值、日期、代码列只有格子不规范时才有，否则 NULL"),
        _function("typed", (_CELL,), None, "转换后的值，超出硬范围也照读"),
        _function("required_count", (), "int", "本记录应填的字段数（文件里没有的列不计）"),
        _function("required_missing_count", (), "int", "本记录应填而未填的字段数（文件里没有的列不计）"),
        # any type
        _function("coalesce", (Parameter("值", ANY),), None, "第一个非空的值", variadic=True),
        _function("greatest", (Parameter("值", NUMBER | DATE),), None, "最大者，空值不计，全空为 NULL", variadic=True),
        _function("least", (Parameter("值", NUMBER | DATE),), None, "最小者，空值不计，全空为 NULL", variadic=True),
        _function("count_true", (Parameter("条件", BOOL),), "int", "成立的条件个数，NULL 不计", variadic=True),
        # numbers
        _function("abs", (_NUMBER,), None, "绝对值"),
        _function("floor", (_NUMBER,), "int", "不大于它的最大整数"),
        _function(
            "round",
            (_NUMBER, Parameter("小数位数", NUMBER, constant=True)),
            "num",
            "四舍五入到几位小数，不写为 0 位",
            optional=1,
        ),
        # text
        _function("length", (_TEXT,), "int", "字符个数（一个汉字算一个）"),
        _function(
            "substr",
            (_TEXT, Parameter("起始位", NUMBER, constant=True), Parameter("长度", NUMBER, constant=True)),
            "text",
            "从第几个字符起取几个字符，首位是 1；不写长度取到末尾",
            optional=1,
        ),
        _function("upper", (_TEXT,), "text", "字母变大写"),
        _function("lower", (_TEXT,), "text", "字母变小写"),
        _function("trim", (_TEXT,), "text", "去掉首尾空白，包括全角空格"),
        _function("contains", (_TEXT, Parameter("片段", TEXT)), "bool", "文本里有这个片段"),
        _function("starts_with", (_TEXT, Parameter("开头", TEXT)), "bool", "文本以它开头"),
        _function(
            "regexp",
            (_TEXT, Parameter("'正则'", TEXT, constant=True)),
            "bool",
            "文本中有一处符合正则（要整段符合须写 ^…$）",
        ),
        _function("concat", (_TEXT,), "text", "连接；有一个为 NULL 即为 NULL", variadic=True),
        _function("decimal_places", (_TEXT,), "int", "数字文本的小数位数，末尾的 0 不计；不是数字为 NULL"),
        # code lists and small dictionaries
        _function("in_list", (_TEXT, _LIST_ID), "bool", "文本是代码表里的一个代码"),
        _function(
            "list_attr",
            (_TEXT, _LIST_ID, Parameter("'属性'", TEXT, constant=True)),
            None,
            "文本对应条目的属性：先按代码、名称、同义词整段对，再按文中最先提到的名称；对不上为 NULL",
        ),
        _function("mentions_any", (_TEXT, _LIST_ID), "bool", "文本是其中一个代码，或提到其中任一名称、同义词"),
        # dates
        _function("date", (_DATE,), "date", "日期时间的日期部分"),
        _function(
            "has_time",
            (Parameter("日期时间", MOMENT),),
            "bool",
            "写有时刻；只有日期的（时刻是 00:00:00）为假",
        ),
        _function("year", (_DATE,), "int", "年"),
        _function("month", (_DATE,), "int", "月"),
        _function("day", (_DATE,), "int", "日"),
        _function("weekday", (_DATE,), "int", "星期几，1 是星期一，7 是星期日"),
        _function("yyyymmdd", (_DATE,), "text", "写成 8 位数字文本，如 20240131"),
        _function(
            "date_diff",
            (Parameter("'day'|'month'|'year'", TEXT, constant=True), Parameter("起", DATE), Parameter("止", DATE)),
            "int",
            "从起到止相差几天；month、year 数的是跨过的月界、年界，不是满月、满年",
        ),
        _function(
            "age_at", (_DATE,), "int", "birth_date 到该日的周岁；早于出生为 NULL；2 月 29 日生者平年 3 月 1 日长"
        ),
        _function("age_months_at", (_DATE,), "int", "birth_date 到该日的满月龄；早于出生为 NULL"),
        _function("service_date", (), "date", "本表的服务日期列（日期部分）"),
        _function(
            "growth_z",
            (
                Parameter("'指标'", TEXT, constant=True),
                _NUMBER,
                Parameter("性别代码", TEXT),
                Parameter("出生日期", DATE),
                Parameter("测量日期", DATE),
            ),
            "num",
            "儿童生长的 Z 值（rules/growth/ 的数值）；性别不明、年龄不在表内、测量值不大于 0 为 NULL",
        ),
        # identity numbers
        _function("id_checksum_ok", (_ID,), "bool", "18 位证号的校验位是否正确；不是 18 位为 NULL"),
        _function("id_birth_date", (_ID,), "date", "18 或 15 位证号里的出生日期；不成日期为 NULL"),
        _function("id_sex_code", (_ID,), "text", "18 或 15 位证号里的性别，'1' 男 '2' 女；位数、字符不对为 NULL"),
        # multi-choice cells
        _function("cardinality", (_MULTI,), "int", "选了几项"),
        _function("contains_any", (_MULTI, Parameter("['代码', …]", LIST, constant=True)), "bool", "选了其中任一项"),
        _function("only", (_MULTI, Parameter("'代码'", TEXT, constant=True)), "bool", "只选了这一项"),
    )
}
