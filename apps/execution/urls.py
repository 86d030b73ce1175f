"""Addresses of the order ticket, the blotter, parent orders and the kill switch."""

from django.urls import path

from apps.execution.pages import algos, columns, engines, halting, history, orders, rebalancing, tickets

urlpatterns = [
    path("trade", tickets.ticket, name="ticket"),
    path("trades", orders.blotter, name="blotter"),
    path("trades/columns", columns.columns_choose, name="blotter-columns"),
    path("trades/history", history.trade_history, name="trade-history"),
    path("charts/trades/symbols", history.symbols_chart, name="chart-trades-symbols"),
    path("charts/trades/costs", history.costs_chart, name="chart-trades-costs"),
    path("charts/trades/rebalances", history.rebalances_chart, name="chart-trades-rebalances"),
    path("trades/cancel", orders.cancel_many, name="orders-cancel"),
    path("trades/<int:order_id>", orders.order, name="order-detail"),
    path("trades/<int:order_id>/cancel", orders.cancel, name="order-cancel"),
    path("trades/<int:order_id>/reconcile", orders.reconcile, name="order-reconcile"),
    path("trades/<int:order_id>/approve", orders.approve, name="order-approve"),
    path("trades/<int:order_id>/replace", orders.replace, name="order-replace"),
    path("algos", algos.algo_list, name="algos"),
    path("algos/<int:algo_id>", algos.algo, name="algo-detail"),
    path("algos/<int:algo_id>/cancel", algos.algo_stop, name="algo-cancel"),
    path("charts/algos/<int:algo_id>", algos.algo_chart, name="chart-algo"),
    path("risk/halt", halting.halt, name="trading-halt"),
    path("portfolios/<int:portfolio_id>/rebalance", rebalancing.propose, name="rebalance-propose"),
    path("portfolios/<int:portfolio_id>/rebalances/<int:proposal_id>/execute", rebalancing.execute, name="rebalance-execute"),
    path("engines", engines.engine_list, name="engines"),
    path("engines/<int:engine_id>", engines.engine, name="engine-detail"),
    path("engines/<int:engine_id>/cycles/<int:number>", engines.engine_cycle, name="engine-cycle"),
    path("engines/<int:engine_id>/do", engines.engine_do, name="engine-do"),
]
