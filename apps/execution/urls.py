"""Addresses of the order ticket, the blotter and one order."""

from django.urls import path

from apps.execution import pages

urlpatterns = [
    path("trade", pages.ticket, name="ticket"),
    path("trades", pages.blotter, name="blotter"),
    path("trades/<int:order_id>", pages.order, name="order-detail"),
    path("trades/<int:order_id>/cancel", pages.cancel, name="order-cancel"),
    path("trades/<int:order_id>/replace", pages.replace, name="order-replace"),
    path("algos", pages.algo_list, name="algos"),
    path("algos/<int:algo_id>", pages.algo, name="algo-detail"),
    path("algos/<int:algo_id>/cancel", pages.algo_stop, name="algo-cancel"),
    path("charts/algos/<int:algo_id>", pages.algo_chart, name="chart-algo"),
]
