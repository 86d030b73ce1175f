"""The screener's language, its parsed form, and its evaluation over many symbols."""

from apps.marketdata.domain.screening.evaluation import Screened, evaluate
from apps.marketdata.domain.screening.kinds import Column, Fact, Query, Term
from apps.marketdata.domain.screening.parsing import FACTS, query_parse, term_parse

__all__ = ["FACTS", "Column", "Fact", "Query", "Screened", "Term", "evaluate", "query_parse", "term_parse"]
