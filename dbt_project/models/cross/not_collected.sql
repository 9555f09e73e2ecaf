-- 没有数据可判的规则: rules that rest on data no form and no registry file holds. Nobody is their subject, so each is
-- not_evaluable with what the catalogue says it needs.

{{ no_findings() }}
