"""What people receive: the workbook of an institution's findings, its report page, the summary of a night.

Belongs here: reading the published tables and laying them out for readers. Does not belong here: judging or counting
anything that is not in the published tables already.
"""

from phqc_pipeline.reports.page import write_page
from phqc_pipeline.reports.summary import night_summary
from phqc_pipeline.reports.workbook import write_workbook
from phqc_pipeline.reports.write import write_institution_reports

__all__ = ["night_summary", "write_institution_reports", "write_page", "write_workbook"]
