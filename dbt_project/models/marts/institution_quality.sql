{{ quality_by(['institution_code']) }}
