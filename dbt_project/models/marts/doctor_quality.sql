{{ quality_by(['institution_code', 'doctor_name']) }}
