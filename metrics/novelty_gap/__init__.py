from metrics.novelty_gap.metric import NoveltyGap

__all__ = ["NoveltyGap"]
