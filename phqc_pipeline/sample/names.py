"""Made-up names in the spelling of the place: Han and Hui names; Kazakh, Uyghur, Mongol names in Chinese letters.

Belongs here: the vocabulary and how names are put together. Does not belong here: who is whose child (``people``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phqc_pipeline.sample.chance import Bools, Chance

Texts = NDArray[np.object_]

# Code of CL_ETHNIC, share of the township's households. Altay prefecture is about half Kazakh, two fifths Han.
ETHNIC: tuple[tuple[str, float], ...] = (
    ("17", 0.58),
    ("01", 0.29),
    ("03", 0.055),
    ("05", 0.04),
    ("02", 0.025),
    ("26", 0.01),
)
PATRONYMIC = frozenset({"17", "05"})  # given name · father's given name; the others put a surname first
HAN = "01"

_SURNAMES = tuple(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
)
_HUI_SURNAMES = tuple("马杨李丁白沙金王张哈穆纳海虎苏冶")
_MONGOL = (
    ("巴图", "巴特尔", "那木加甫", "才仁", "道尔吉", "蒙克", "布仁", "乌力吉", "巴音", "额尔登", "苏和", "那森"),
    ("其其格", "萨仁", "乌兰", "娜仁", "高娃", "托娅", "塔娜", "琪琪格", "阿拉腾", "敖登", "斯琴", "格日勒"),
)
_HAN_MALE = tuple("伟强磊军洋勇杰涛明超辉刚平鹏飞波斌宇浩凯健俊帆帅旭宁龙林建国志文德海永春福贵学成忠义山新民祥庆江生")
_HAN_FEMALE = tuple("芳娜敏静丽艳娟霞秀英玲燕红梅玉兰凤洁琴云莲雪荣爱香月桂珍莉萍丹萱欣怡婷倩慧巧淑华春蓉菊琳素")
_KAZAKH_MALE_FIRST = (
    "叶尔",
    "努尔",
    "巴合提",
    "赛力克",
    "居马",
    "木拉提",
    "达吾列提",
    "哈孜",
    "阿斯",
    "热合",
    "加尔",
    "托列",
    "杰恩斯",
    "马合",
)
_KAZAKH_MALE_LAST = ("别克", "江", "兰", "汗", "拜", "波力", "泰", "肯", "沙提", "木汗")
_KAZAKH_MALE_WHOLE = (
    "海拉提",
    "波拉提",
    "阿扎提",
    "吾拉孜",
    "对山",
    "胡安德克",
    "艾登",
    "卡孜别克",
    "哈布力",
    "木合亚提",
    "叶斯木汗",
    "沙吾列",
)
_KAZAKH_FEMALE_FIRST = (
    "阿依",
    "古丽",
    "努尔",
    "巴合提",
    "加娜",
    "叶尔克",
    "马依",
    "库丽",
    "沙依",
    "阿勒腾",
    "江阿",
    "再娜",
)
_KAZAKH_FEMALE_LAST = ("古丽", "努尔", "加玛丽", "娜尔", "巴努", "扎提", "拉", "依扎", "帕丽", "西古丽")
_KAZAKH_FEMALE_WHOLE = ("哈丽亚", "迪娜", "热娅", "祖丽菲娅", "玛合帕丽", "沙拉买提", "阿依达娜", "玛丽亚木")
_UYGHUR_MALE = (
    "买买提",
    "阿不都拉",
    "吐尔逊",
    "艾合买提",
    "依明",
    "艾力",
    "库尔班",
    "卡德尔",
    "玉素甫",
    "亚森",
    "热合曼",
    "肉孜",
    "依布拉音",
    "木沙",
    "司马义",
    "塔依尔",
    "托合提",
    "阿布力孜",
    "吾甫尔",
    "牙生",
)
_UYGHUR_FEMALE = (
    "阿依夏木",
    "帕提古丽",
    "热依汗",
    "努尔古丽",
    "古丽尼沙",
    "阿米娜",
    "吐尔逊古丽",
    "再同古丽",
    "玛依拉",
    "阿孜古丽",
    "左热木",
    "海丽且",
    "买热木",
    "热孜亚",
    "古丽巴哈尔",
    "阿曼古丽",
    "布尔布",
    "哈丽旦",
    "沙尼亚",
    "阿提古丽",
)


def given_names(ethnic: Texts, female: Bools, chance: Chance) -> Texts:
    """Given names by ethnic group and sex: object array of the length of ``ethnic``."""
    size = len(ethnic)
    drawn = np.full(size, "", dtype=object)
    for code in sorted({str(one) for one in ethnic}):
        for is_female in (False, True):
            here = (ethnic == code) & (female == is_female)
            drawn[here] = _given(code, is_female, int(here.sum()), chance)
    return drawn


def surnames(ethnic: Texts, chance: Chance) -> Texts:
    """Surnames for those who have one; for a patronymic a man's given name in its place."""
    male = np.zeros(len(ethnic), dtype=bool)
    found = given_names(ethnic, male, chance)
    for code, pool in (("01", _SURNAMES), ("03", _HUI_SURNAMES), ("26", _HUI_SURNAMES), ("02", ("",))):
        here = ethnic == code
        weights = [1.0 / (rank + 4) for rank in range(len(pool))]
        found[here] = chance.pick(int(here.sum()), pool, weights)
    return found


def full_names(ethnic: Texts, given: Texts, family: Texts) -> Texts:
    """``叶尔江·巴合提汗`` for a patronymic, ``马建国`` for a surname."""
    patronymic = np.isin(ethnic.astype(str), sorted(PATRONYMIC))
    return np.where(patronymic, given + "·" + family, family + given)


def random_names(size: int, ethnic: Texts, female: Bools, chance: Chance) -> Texts:
    """Whole names of strangers (contacts who are not residents)."""
    return full_names(ethnic, given_names(ethnic, female, chance), surnames(ethnic, chance))


def distinct_names(size: int, chance: Chance) -> list[str]:
    """Different names for a health centre's staff, of the place's ethnic groups."""
    found: dict[str, None] = {}
    while len(found) < size:
        ethnic = chance.pick(size, [code for code, _ in ETHNIC], [share for _, share in ETHNIC])
        for name in random_names(size, ethnic, chance.flags(size, 0.6), chance):
            found.setdefault(str(name))
    return list(found)[:size]


def _given(ethnic: str, female: bool, size: int, chance: Chance) -> Texts:
    if ethnic == "17":
        first, last, whole = (
            (_KAZAKH_FEMALE_FIRST, _KAZAKH_FEMALE_LAST, _KAZAKH_FEMALE_WHOLE)
            if female
            else (_KAZAKH_MALE_FIRST, _KAZAKH_MALE_LAST, _KAZAKH_MALE_WHOLE)
        )
        joined = chance.pick(size, first) + chance.pick(size, last)
        return np.where(chance.flags(size, 0.2), chance.pick(size, whole), joined)
    if ethnic == "05":
        return chance.pick(size, _UYGHUR_FEMALE if female else _UYGHUR_MALE)
    if ethnic == "02":
        pool = _MONGOL[1 if female else 0]
        return chance.pick(size, pool) + np.where(chance.flags(size, 0.5), chance.pick(size, pool), "")
    letters = _HAN_FEMALE if female else _HAN_MALE
    second = chance.pick(size, letters)
    return np.where(chance.flags(size, 0.78), chance.pick(size, letters) + second, second)
