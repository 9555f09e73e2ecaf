"""What people receive: workbooks to put findings right, report pages, documents, the summary of a night.

Belongs here: reading the published tables and laying them out for readers. Does not belong here: judging or counting
anything that is not in the published tables already.
"""

from phqc_pipeline.reports.summary import night_summary
from phqc_pipeline.reports.write import write_reports

__all__ = ["night_summary", "write_reports"]
