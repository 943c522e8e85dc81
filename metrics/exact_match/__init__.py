from metrics.exact_match.metric import ExactMatch

__all__ = ["ExactMatch"]
