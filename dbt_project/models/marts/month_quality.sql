{{ quality_by(['institution_code', 'form_id', 'month']) }}
