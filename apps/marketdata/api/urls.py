from django.urls import path

from apps.marketdata.api.bars import BarList
from apps.marketdata.api.corporate_actions import InstrumentActions
from apps.marketdata.api.data import DataState, DataUpdate
from apps.marketdata.api.factors import FactorHistory, LatestFactors, Recommendations, VixHistory
from apps.marketdata.api.fundamentals import InstrumentFundamentals
from apps.marketdata.api.instruments import InstrumentDetail, InstrumentList
from apps.marketdata.api.quality import QualityList, QuarantineList, QuarantineRelease
from apps.marketdata.api.screens import ScreenDetail, ScreenList, ScreenRunView
from apps.marketdata.api.ticks import DepthList, InstrumentBook, QuoteList, TradeList
from apps.marketdata.api.universes import UniverseDetail, UniverseList
from apps.marketdata.api.vendors import VendorList
from apps.marketdata.api.watchlists import WatchlistDetail, WatchlistList

urlpatterns = [
    path("instruments/", InstrumentList.as_view(), name="api-instruments"),
    path("instruments/<str:symbol>/", InstrumentDetail.as_view(), name="api-instrument"),
    path("instruments/<str:symbol>/actions/", InstrumentActions.as_view(), name="api-instrument-actions"),
    path("instruments/<str:symbol>/book/", InstrumentBook.as_view(), name="api-instrument-book"),
    path("bars/", BarList.as_view(), name="api-bars"),
    path("quotes/", QuoteList.as_view(), name="api-quotes"),
    path("market-trades/", TradeList.as_view(), name="api-market-trades"),
    path("depth/", DepthList.as_view(), name="api-depth"),
    path("data/status/", DataState.as_view(), name="api-data-status"),
    path("data/update/", DataUpdate.as_view(), name="api-data-update"),
    path("data/vendors/", VendorList.as_view(), name="api-data-vendors"),
    path("instruments/<str:symbol>/fundamentals/", InstrumentFundamentals.as_view(), name="api-instrument-fundamentals"),
    path("factors/latest/", LatestFactors.as_view(), name="api-factors-latest"),
    path("factors/recommendations/", Recommendations.as_view(), name="api-factors-recommendations"),
    path("factors/<str:ticker>/", FactorHistory.as_view(), name="api-factors-history"),
    path("vix/history/", VixHistory.as_view(), name="api-vix-history"),
    path("data/quality/", QualityList.as_view(), name="api-data-quality"),
    path("data/quarantines/", QuarantineList.as_view(), name="api-data-quarantines"),
    path("data/quarantines/<int:quarantine_id>/release/", QuarantineRelease.as_view(), name="api-data-quarantine-release"),
    path("universes/", UniverseList.as_view(), name="api-universes"),
    path("universes/<str:name>/", UniverseDetail.as_view(), name="api-universe"),
    path("watchlists/", WatchlistList.as_view(), name="api-watchlists"),
    path("watchlists/<int:watchlist_id>/", WatchlistDetail.as_view(), name="api-watchlist"),
    path("screens/", ScreenList.as_view(), name="api-screens"),
    path("screens/run/", ScreenRunView.as_view(), name="api-screens-run"),
    path("screens/<int:screen_id>/", ScreenDetail.as_view(), name="api-screen"),
]
