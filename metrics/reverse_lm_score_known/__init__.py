from metrics.reverse_lm_score_known.metric import ReverseLmScoreKnown

__all__ = ["ReverseLmScoreKnown"]
