"""The upper end of Wilson's score interval: how large a share may be, seen from a few cases."""

from math import sqrt

#: The 97.5 % quantile of the normal distribution: two such tails leave 95 %.
_Z = 1.959964


def wilson_upper(acted: int, sent: int) -> float:
    """Return the largest plausible share of mails that people act on, at 95 %; 1 without mails.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22
    (1927), 209-212.
    """
    if not sent:
        return 1.0
    share, square = acted / sent, _Z * _Z
    spread = _Z * sqrt(share * (1 - share) / sent + square / (4 * sent * sent))
    return min(1.0, (share + square / (2 * sent) + spread) / (1 + square / sent))
