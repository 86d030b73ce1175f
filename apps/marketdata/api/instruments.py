from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView, RetrieveAPIView

from apps.core.api.filters import StrictFilterBackend
from apps.core.api.pagination import CatalogueOrder
from apps.marketdata.api.serializers import InstrumentSerializer
from apps.marketdata.models import AssetClass, Instrument
from apps.marketdata.selectors.instruments import instrument_get, instruments_matching


class InstrumentFilter(filters.FilterSet):
    search = filters.CharFilter(method="matching", label="part of the symbol or of the name; the best match comes first")
    asset_class = filters.ChoiceFilter(choices=AssetClass.choices)
    tradable = filters.BooleanFilter()

    class Meta:
        model = Instrument
        fields: list[str] = []

    def matching(self, queryset: QuerySet[Instrument], _name: str, text: str) -> QuerySet[Instrument]:
        """Rows that match, the best first."""
        return queryset & instruments_matching(text) if text.strip() else queryset


@extend_schema_view(get=extend_schema(operation_id="instruments_list", summary="Instruments", tags=["market data"]))
class InstrumentList(ListAPIView):
    serializer_class = InstrumentSerializer
    pagination_class = CatalogueOrder
    filter_backends = [StrictFilterBackend]
    filterset_class = InstrumentFilter
    queryset = Instrument.objects.order_by("symbol")


@extend_schema_view(get=extend_schema(operation_id="instruments_retrieve", summary="One instrument by its symbol", tags=["market data"]))
class InstrumentDetail(RetrieveAPIView):
    serializer_class = InstrumentSerializer
    lookup_field = "symbol"
    queryset = Instrument.objects.all()

    def get_object(self) -> Any:
        """The instrument. Raises NotFound which names the symbol."""
        return instrument_get(self.kwargs["symbol"])
