"""How long to wait before a line is opened again."""

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 30.0


def reconnect_pause(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row (at least 1): doubling up to half a minute, less up to half of it by chance.

    `chance` is uniform in [0, 1): feeds that lost the same vendor at the same moment do not come back at the same moment.
    """
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** (min(failures, 20) - 1))
    return longest * (1 - chance / 2)
