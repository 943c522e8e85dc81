from metrics.reverse_lm_score.metric import ReverseLmScore

__all__ = ["ReverseLmScore"]
