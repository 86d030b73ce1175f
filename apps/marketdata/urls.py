"""Addresses of market data's pages and charts."""

from django.urls import path

from apps.marketdata.pages import factor_charts, factors, instruments, quality, screener, vendors, watchlists

urlpatterns = [
    path("data", quality.quality, name="data-quality"),
    path("data/check", quality.check_now, name="data-check"),
    path("data/vendor", vendors.vendor_decide, name="data-vendor"),
    path("data/quarantine", quality.hold, name="data-hold"),
    path("data/quarantine/<int:quarantine_id>/release", quality.release, name="data-release"),
    path("data/of/<path:symbol>", quality.quality_of, name="data-quality-of"),
    path("charts/data/completeness", quality.completeness_chart, name="chart-data-completeness"),
    path("charts/data/findings", quality.findings_chart, name="chart-data-findings"),
    path("instruments", instruments.instrument_list, name="instruments"),
    path("instruments/<path:symbol>", instruments.instrument_detail, name="instrument"),
    path("charts/instrument/<path:symbol>", instruments.instrument_chart, name="chart-instrument"),
    path("watchlists", watchlists.watchlists, name="watchlists"),
    path("watchlists/item", watchlists.watchlist_item, name="watchlist-item"),
    path("factors", factors.factors, name="factors"),
    path("charts/factors/heatmap", factor_charts.heatmap_chart, name="chart-factor-heatmap"),
    path("charts/factors/history", factor_charts.history_chart, name="chart-factor-history"),
    path("charts/factors/correlation", factor_charts.correlation_chart, name="chart-factor-correlation"),
    path("charts/factors/ic", factor_charts.ic_chart, name="chart-factor-ic"),
    path("charts/factors/spread", factor_charts.spread_chart, name="chart-factor-spread"),
    path("charts/vix", factor_charts.vix_chart, name="chart-vix"),
    path("screener", screener.screener, name="screener"),
]
