from metrics.ngram_jsd.metric import NgramJsd

__all__ = ["NgramJsd"]
