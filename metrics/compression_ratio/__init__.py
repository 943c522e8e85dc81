from metrics.compression_ratio.metric import CompressionRatio

__all__ = ["CompressionRatio"]
