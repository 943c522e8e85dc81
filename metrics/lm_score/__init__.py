from metrics.lm_score.metric import LmScore

__all__ = ["LmScore"]
