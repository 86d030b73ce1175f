"""Addresses of market data's pages."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
