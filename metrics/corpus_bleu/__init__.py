from metrics.corpus_bleu.metric import CorpusBleu

__all__ = ["CorpusBleu"]
