"""The mutation proof as text: a line a rule, and for what no example catches the change and the example missing.

Belongs here: wording. Does not belong here: making and judging mutants (``mutation``).
"""

from __future__ import annotations

from collections.abc import Sequence

from phqc_pipeline.catalogue.layout import fact, table
from phqc_pipeline.catalogue.model import Derived
from phqc_pipeline.catalogue.mutation import Proof

HEADER = ("编号", "变异", "识破", "等价", "漏网", "名称")


def report(proofs: Sequence[Proof]) -> str:
    """Every rule's figures, then what is wrong, then the sums."""
    rows = [(_name(proof), *map(str, _figures(proof)), proof.subject.title) for proof in proofs]
    blocks = ["\n".join(table([HEADER, *rows]))] if rows else []
    blocks += ["\n".join(_wrong(proof)) for proof in proofs if not proof.holds]
    return "\n\n".join([*blocks, _sums(proofs)])


def _wrong(proof: Proof) -> list[str]:
    place = proof.subject.place
    lines = [f"{_name(proof)}  {proof.subject.title}（{place.file}:{place.line}）"]
    for mutant in proof.survivors:
        lines += fact("漏网", str(mutant))
        lines += fact("缺样例", mutant.wants)
    for entry in proof.stale:
        lines += fact("过时", entry)
        lines += fact(
            "", "equivalent_mutants 里的这一条：已没有这个变异，或已有样例识破它。删去这一条，或改成现在的写法"
        )
    return lines


def _sums(proofs: Sequence[Proof]) -> str:
    mutants, caught, equivalents, survivors = (sum(column) for column in zip(*map(_figures, proofs), strict=True))
    stale = sum(len(proof.stale) for proof in proofs)
    proven = sum(proof.holds for proof in proofs)
    rate = 100 * (mutants - survivors) / mutants if mutants else 100.0
    return (
        f"规则和派生名 {len(proofs)} 条，变异 {mutants} 个：样例识破 {caught}，写明等价 {equivalents}，漏网 {survivors}"
        f"（{rate:.1f}% 有着落）；等价说明过时 {stale} 条。"
        + ("每条的样例都经得起变异" if proven == len(proofs) else f"{len(proofs) - proven} 条的样例还不够")
    )


def _figures(proof: Proof) -> tuple[int, int, int, int]:
    return proof.mutants, proof.caught, len(proof.equivalents), len(proof.survivors)


def _name(proof: Proof) -> str:
    subject = proof.subject
    if isinstance(subject, Derived):
        return subject.name
    return subject.rule_id + (f" v{subject.version}" if subject.version > 1 else "")
