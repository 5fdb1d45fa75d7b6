"""How little a share of few cases proves: the upper end of Wilson's score interval. Pure arithmetic.

E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
Statistical Association 22 (1927), 209-212.
"""

import math

#: The quantile of the normal distribution for 95 %, two-sided.
Z = 1.959964


def wilson_upper(hits: int, cases: int) -> float:
    """The largest share that so many hits among so many cases still allow for, with 95 % confidence.

    1.0 where there are no cases: nothing is known then. Raises ValueError for more hits than cases.
    """
    if not 0 <= hits <= cases:
        raise ValueError("more hits than cases")
    if not cases:
        return 1.0
    share, square = hits / cases, Z * Z
    middle = share + square / (2 * cases)
    spread = Z * math.sqrt(share * (1 - share) / cases + square / (4 * cases * cases))
    return (middle + spread) / (1 + square / cases)
