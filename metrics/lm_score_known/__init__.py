from metrics.lm_score_known.metric import LmScoreKnown

__all__ = ["LmScoreKnown"]
