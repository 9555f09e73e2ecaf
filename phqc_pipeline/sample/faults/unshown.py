"""Rules of which no extract of a sample can carry a fault, and why not.

Belongs here: the reasons, as the sample's README gives them. Does not belong here: rules that a sample is merely too
small for, which every sample names (``SampleSummary.without_fault``).
"""

from __future__ import annotations

from collections.abc import Mapping

_NOT_COLLECTED = "所需数据不在任何提取文件里，当夜为 not_evaluable"
_VERIFIED = "看的是核查之后回填的结果（registry/verification.csv），不是交付文件"
_WHOLE = "要一家机构整年的数据都是编造的，其他差错就无从埋起"
_SHARED = "要两家机构；只有一家时没有（不止一家时第二家另建了第一家一名居民的档案）"
_EXAMINED_TWICE = "要两家机构为同一居民体检；示范机构之间没有共同的体检对象"

#: rule → why no extract shows it (Chinese, for the README). Each is shown by a scenario of the tests instead.
UNSHOWN: Mapping[str, str] = {
    **dict.fromkeys(("AUT-A-003", "AUT-A-011", "AUT-A-018", "AUT-A-028", "COM-T-003"), _NOT_COLLECTED),
    **dict.fromkeys(("RPT-R-043", "RPT-R-053", "RPT-R-056", "VAC-A-001"), _NOT_COLLECTED),
    **dict.fromkeys(("AUT-A-026", "AUT-A-027", "AUT-A-031"), _VERIFIED),
    **dict.fromkeys(("AUT-A-024", "AUT-A-029"), _WHOLE),
    "UNI-U-009": _SHARED,
    "UNI-U-010": _EXAMINED_TWICE,
    "COM-F-016": "行内机构编码不属投递机构的行入湖时即拒收，示范机构又都已登记",
    "COM-T-004": "要整家机构 35 天内没有任何录入，期末的其他差错就无从埋起",
}
