from metrics.vendi_ngram.metric import VendiNgram

__all__ = ["VendiNgram"]
