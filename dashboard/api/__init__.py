"""The same figures for programs: a read-only HTTP API beside the pages, on their port, under their rules.

``endpoints`` says what there is, ``parameters`` reads what was asked, ``answers`` writes it, ``openapi`` describes it, ``serving`` puts it together.
"""
