"""What checks say about values that they measure: their name, and how far they are off."""


class Measuring:
    """The part of a check that is about measured values. By default nothing is measured."""

    @property
    def measure_name(self) -> str:
        """The measured value, as a noun, where there is one."""
        return "the value"

    @property
    def value_column(self) -> str | None:
        """The column with the number measured of one row or group, if it is shown; else None."""
        return None

    def deviation(self, value: float) -> float:
        """How far a measured number is from what is right.

        It is at least a tenth of the bound, so that a value just outside of it does not count as
        ten times worse soon. 0 where that can't be said, and for a value that is right.
        """
        del value
        return 0.0
