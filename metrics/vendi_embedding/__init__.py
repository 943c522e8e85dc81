from metrics.vendi_embedding.metric import VendiEmbedding

__all__ = ["VendiEmbedding"]
