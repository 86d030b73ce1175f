"""What REST sends of a portfolio's measured risk. Money is numbers: these are statistics, losses positive."""

from rest_framework import serializers


class RiskNumberSerializer(serializers.Serializer):
    """A number with what it was made of; null with a state that allows none."""

    value = serializers.FloatField(allow_null=True)
    state = serializers.CharField(help_text="ok, price_stale, price_missing, no_history or insufficient_data")
    method = serializers.CharField()
    confidence = serializers.FloatField(allow_null=True)
    horizon = serializers.IntegerField(help_text="Sessions")
    window = serializers.IntegerField(help_text="Sessions asked for")
    n = serializers.IntegerField(help_text="Observations used")
    as_of = serializers.DateTimeField()
    fingerprint = serializers.CharField(help_text="SHA-256 of the returns")
    note = serializers.CharField(allow_blank=True)


class ContributionSerializer(serializers.Serializer):
    """A position's part in the normal value at risk, and in the historical shortfall."""

    symbol = serializers.CharField()
    value = serializers.FloatField()
    marginal = serializers.FloatField()
    component = serializers.FloatField()
    standalone = serializers.FloatField()
    incremental = serializers.FloatField()
    shortfall = serializers.FloatField()


class ContributionsSerializer(serializers.Serializer):
    """Whose risk it is: components sum to `total`, shortfalls to `shortfall_total`."""

    confidence = serializers.FloatField()
    total = serializers.FloatField()
    diversification = serializers.FloatField()
    shortfall_total = serializers.FloatField()
    positions = ContributionSerializer(many=True)


class ExposureSerializer(serializers.Serializer):
    """Money held, as far as it has a price."""

    gross = serializers.FloatField()
    net = serializers.FloatField()
    long = serializers.FloatField()
    short = serializers.FloatField()
    by_sector = serializers.DictField(child=serializers.FloatField())
    by_currency = serializers.DictField(child=serializers.FloatField())


class ShareSerializer(serializers.Serializer):
    """A position's share of gross value."""

    symbol = serializers.CharField()
    share = serializers.FloatField()


class TopSerializer(serializers.Serializer):
    """Share of the n largest positions."""

    positions = serializers.IntegerField()
    share = serializers.FloatField()


class ConcentrationSerializer(serializers.Serializer):
    """Herfindahl-Hirschman index of gross value, and the largest positions."""

    hhi = serializers.FloatField()
    effective = serializers.FloatField()
    largest = ShareSerializer(many=True)
    top = TopSerializer(many=True)


class DaysToExitSerializer(serializers.Serializer):
    """Sessions until a position is sold."""

    symbol = serializers.CharField()
    days = serializers.FloatField()


class SoldSerializer(serializers.Serializer):
    """Share of gross value that is sold after so many sessions."""

    sessions = serializers.IntegerField()
    share = serializers.FloatField()


class LiquiditySerializer(serializers.Serializer):
    """At `participation` of the average volume; `unknown` has none."""

    participation = serializers.FloatField()
    days = DaysToExitSerializer(many=True)
    within = SoldSerializer(many=True)
    unknown = serializers.ListField(child=serializers.CharField())


class FallSerializer(serializers.Serializer):
    """One drawdown; `recovered` is null while it lasts."""

    began = serializers.DateField()
    trough = serializers.DateField()
    recovered = serializers.DateField(allow_null=True)
    depth = serializers.FloatField()
    length = serializers.IntegerField()


class DrawdownRiskSerializer(serializers.Serializer):
    """`actual`: of the recorded values; else of today's positions over their history."""

    actual = serializers.BooleanField()
    current = serializers.FloatField()
    deepest = serializers.FloatField()
    falls = FallSerializer(many=True)


class CorrelationSerializer(serializers.Serializer):
    """Of the largest positions, neighbours alike; `repaired`: eigenvalues below zero were cut off."""

    symbols = serializers.ListField(child=serializers.CharField())
    matrix = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))
    clusters = serializers.ListField(child=serializers.IntegerField())
    repaired = serializers.BooleanField()
    left_out = serializers.ListField(child=serializers.CharField())


class ShortestSerializer(serializers.Serializer):
    """The position with the fewest returns."""

    symbol = serializers.CharField()
    n = serializers.IntegerField()


class MeasuresSerializer(serializers.Serializer):
    """The whole risk of a portfolio, over the sessions that have closed; `state` is the worst of all."""

    state = serializers.CharField()
    as_of = serializers.DateTimeField()
    fingerprint = serializers.CharField()
    window = serializers.IntegerField()
    n = serializers.IntegerField()
    equity = serializers.FloatField(allow_null=True)
    missing = serializers.ListField(child=serializers.CharField())
    stale = serializers.ListField(child=serializers.CharField())
    without_history = serializers.ListField(child=serializers.CharField())
    shortest_history = ShortestSerializer(allow_null=True)
    var = RiskNumberSerializer(many=True)
    es = RiskNumberSerializer(many=True)
    simulation_error = RiskNumberSerializer(many=True)
    contributions = ContributionsSerializer(many=True)
    volatility = RiskNumberSerializer(many=True)
    beta = RiskNumberSerializer()
    exposure = ExposureSerializer()
    concentration = ConcentrationSerializer()
    liquidity = LiquiditySerializer()
    drawdown = DrawdownRiskSerializer(allow_null=True)
    correlation = CorrelationSerializer(allow_null=True)


class TestedDaySerializer(serializers.Serializer):
    """A session with its forecast and what it made."""

    session = serializers.DateField()
    var = serializers.FloatField()
    pnl = serializers.FloatField()
    exception = serializers.BooleanField()


class BackTestSerializer(serializers.Serializer):
    """Tests of one method at one confidence; statistics are null with too few days."""

    method = serializers.CharField()
    confidence = serializers.FloatField()
    hypothetical = serializers.BooleanField(help_text="Today's positions moved through history: no stored forecast")
    state = serializers.CharField()
    observations = serializers.IntegerField()
    exceptions = serializers.IntegerField()
    expected = serializers.FloatField()
    kupiec = serializers.FloatField(allow_null=True)
    kupiec_p = serializers.FloatField(allow_null=True)
    christoffersen = serializers.FloatField(allow_null=True)
    christoffersen_p = serializers.FloatField(allow_null=True)
    coverage = serializers.FloatField(allow_null=True)
    coverage_p = serializers.FloatField(allow_null=True)
    zone = serializers.CharField(allow_null=True)
    multiplier_add = serializers.FloatField(allow_null=True)
    cumulative_probability = serializers.FloatField(allow_null=True)
    days = TestedDaySerializer(many=True)


class SnapshotSerializer(serializers.Serializer):
    """The risk at one time of the market; null is a number that had no value then. Value at risk and shortfall are historical, one session."""

    ts = serializers.DateTimeField(help_text="Market time")
    state = serializers.CharField()
    window = serializers.IntegerField()
    n = serializers.IntegerField()
    fingerprint = serializers.CharField()
    equity = serializers.FloatField(allow_null=True)
    gross = serializers.FloatField()
    net = serializers.FloatField()
    var_95 = serializers.FloatField(allow_null=True)
    es_95 = serializers.FloatField(allow_null=True)
    var_99 = serializers.FloatField(allow_null=True)
    es_99 = serializers.FloatField(allow_null=True)
    diversification_99 = serializers.FloatField(allow_null=True)
    volatility = serializers.FloatField(allow_null=True)
    beta = serializers.FloatField(allow_null=True)
    drawdown = serializers.FloatField(allow_null=True)
    hhi = serializers.FloatField()
    days_to_exit = serializers.FloatField(allow_null=True)
    numbers = serializers.DictField(help_text="Every method, confidence and horizon: var, es, volatility")
    recorded_at = serializers.DateTimeField()
