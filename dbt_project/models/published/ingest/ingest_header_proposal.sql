{{ config(alias='header_proposal') }}
select file_id, institution_code, form_id, header, proposed_field, proposed_title, similarity, comment
from {{ input('header_proposal') }}
