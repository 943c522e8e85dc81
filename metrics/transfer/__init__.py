from metrics.transfer.metric import Transfer

__all__ = ["Transfer"]
