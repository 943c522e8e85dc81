from metrics.validity.metric import Validity

__all__ = ["Validity"]
