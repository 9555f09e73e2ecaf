"""``rules/verification.yaml``: how many people are asked by telephone and at home, as data.

Belongs here: reading and checking that file. Does not belong here: who is drawn (``dbt_project/models/marts``). No
fingerprint covers it: another sample is no reason to judge a night again.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from phqc_pipeline.catalogue.model import RISK_LEVELS, SamplingTerms
from phqc_pipeline.catalogue.reading import Reader
from phqc_pipeline.catalogue.schema import Closed, wrong

VERIFICATION_FILE = "verification.yaml"
_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=1)]


class VerificationIn(Closed):
    seed: _Count = SamplingTerms.seed
    size: _Count = SamplingTerms.size
    shares: dict[str, _Share] = Field(default_factory=lambda: dict(SamplingTerms().shares))
    home_every: _Count = SamplingTerms.home_every

    @model_validator(mode="after")
    def _whole(self) -> VerificationIn:
        if set(self.shares) != set(RISK_LEVELS) or abs(sum(self.shares.values()) - 1) > 1e-6:
            raise wrong(f"shares 应写 {'、'.join(RISK_LEVELS)} 四层的份额，合计为 1", "补齐四层，使合计为 1")
        return self


def read_verification(reader: Reader) -> SamplingTerms:
    """``verification.yaml``, or the usual sample when there is none."""
    document = reader.document(VERIFICATION_FILE, required=False)
    source = document and reader.check(VerificationIn, document.data, document, (), "抽样核查")
    return SamplingTerms(**source.model_dump()) if source else SamplingTerms()
