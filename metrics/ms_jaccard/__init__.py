from metrics.ms_jaccard.metric import MsJaccard

__all__ = ["MsJaccard"]
