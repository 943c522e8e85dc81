from metrics.ngram_entropy.metric import NgramEntropy

__all__ = ["NgramEntropy"]
