"""The post-incident loss report: one document from one published state, written as PDF, HTML and XLSX.

``gathering`` takes figures from a snapshot, ``author`` what people keep beside it; ``sections`` make a ``Document`` of both, which the three writers write.
"""
