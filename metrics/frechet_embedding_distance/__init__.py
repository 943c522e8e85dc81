from metrics.frechet_embedding_distance.metric import FrechetEmbeddingDistance

__all__ = ["FrechetEmbeddingDistance"]
